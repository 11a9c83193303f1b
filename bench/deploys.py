"""What clients notice, and how long it takes, when the platform is deployed, rolled back, scaled, reloaded and hurt, in both runtimes.

Beside it, measured the same way: as the limit what a hand-written script does with the same release on the same machine, and on the
same images `docker compose up -d`. And what all this keeps in memory. A round takes about eight minutes.
"""

import argparse
import os
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import acts
import by_hand
import compose_peer
import contained
import deploys_report
import machine
import memory
from stack import started

RUNTIMES = ("native", "containers")
RESULTS = Path(__file__).with_name("deploys.md")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runtime", choices=RUNTIMES, action="append", help="this one alone; with its peers")
    parser.add_argument("--write", action="store_true", help="write deploys.md")
    args = parser.parse_args()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: sys.exit("bench: asked to end; what was started has ended"))
    begun = time.monotonic()

    def say(line):
        print(f"{time.monotonic() - begun:5.0f} s  {line}", file=sys.stderr, flush=True)

    described = machine.describe()
    ways = {"native": natively, "containers": as_containers}
    found = {runtime: ways[runtime](args.rounds, say) for runtime in args.runtime or RUNTIMES}
    say("done")
    described["load_after"] = round(os.getloadavg()[0], 1)
    text = deploys_report.as_markdown(described, found, args.rounds)
    print(text)
    if args.write:
        RESULTS.write_text(text)


def natively(rounds, say):
    """Each act's figures, round by round, the memory, and the limit."""
    rows = []
    with started(say) as stack:
        resident = memory.of_stack(stack)
        for n in range(rounds):
            rows += acts.of_platform(stack, n, say)
            say(f"the hand-written script, round {n + 1}")
            with by_hand.native(stack) as script:
                edge = acts.Edge(stack.edge, stack.platform.ca)
                rows.append(acts.measured(edge, "limit: a hand-written script", script))
    return {"rows": rows, "memory": resident, "engine": {}}


def as_containers(rounds, say):
    """The same, and the peers on the images of the platform's releases."""
    with ExitStack() as after:
        say("starting a container engine where none runs, and making the images that others are built from")
        engine = after.enter_context(contained.engine())
        after.callback(contained.remove_images, engine)
        with started(say, make=contained.Contained, runtime="containers") as stack:
            resident = memory.of_stack(stack)
            held = memory.of_engine(engine.folder / "pid", contained.ids(engine))
            rows = [row for n in range(rounds) for row in acts.of_platform(stack, n, say)]
            # Named by the peers before the platform goes, and its images with it.
            peer = after.enter_context(compose_peer.made(engine, stack.platform.images()))
        peer.start(say)
        rows += [row for n in range(rounds) for row in compose_peer.acts(peer, n, say)]
    return {"rows": rows, "memory": resident, "engine": held}


if __name__ == "__main__":
    main()
