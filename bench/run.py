"""Measures the platform side by side with its peers, all of them started here and ended here.

A full run takes about fifteen minutes and writes bench/results.md.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import commands
import edge
import load
import machine
import memory
import peers
import report
import stack

ENDPOINTS = ("list", "one", "health")
PARTS = (*ENDPOINTS, "edge", "commands", "memory", "build")
RESULTS = Path(__file__).with_name("results.md")


def main():
    args = _arguments()
    chosen = args.only or PARTS
    rounds = args.rounds or (2 if args.quick else 7)
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, _interrupt)
    begun = time.monotonic()

    def say(line):
        print(f"{time.monotonic() - begun:5.0f} s  {line}", file=sys.stderr, flush=True)

    results = {"machine": machine.describe(), "rounds": rounds}
    try:
        _measure(results, chosen, rounds, say)
    except KeyboardInterrupt:
        print("bench: interrupted; everything it started has ended", file=sys.stderr)
        return 130
    except subprocess.CalledProcessError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    results["aims"] = report.judged(results)
    print(json.dumps(results, indent=2) if args.json else report.as_text(results))
    if not args.only and not args.quick:
        RESULTS.write_text(report.as_markdown(results))
        say(f"written to {RESULTS.relative_to(stack.ROOT)}")
    return 0


def _interrupt(*_):
    """Ends the run; a second Ctrl-C doesn't keep it from ending what it started."""
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt


def _measure(results, chosen, rounds, say):
    with tempfile.TemporaryDirectory(prefix="neurmatic-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx's workers write their temporary files here
        if "build" in chosen:
            results["make"] = stack.make_phases(say)
        if "edge" in chosen:
            with stack.started(say, cached=True) as running:
                results["edge"] = edge.measure(running, folder, rounds, say)
        if set(chosen) <= {"edge"}:
            return
        with stack.started(say) as running:
            if "build" in chosen:
                results["up"] = stack.up_phases(running)
            if "memory" in chosen:
                results["memory"] = memory.of_stack(running)
            if "commands" in chosen:
                results["commands"] = commands.measure(running, folder, min(rounds, 3), say)
            if wanted := [one for one in ENDPOINTS if one in chosen]:
                with peers.all_started(running, folder, say) as targets:
                    paths = load.endpoints(targets[0])
                    load.check_equal(targets, paths, running.platform.ca)
                    say("every target gives the platform's answers")
                    chosen_paths = {name: paths[name] for name in wanted}
                    results["requests"] = load.measure(targets, chosen_paths, rounds, 1, say)
            say("stopping everything")


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2 rounds instead of 7; results.md stays as it is")
    parser.add_argument(
        "--only", action="append", choices=PARTS, metavar="NAME", help=f"one of {', '.join(PARTS)}; may be given again"
    )
    parser.add_argument("--rounds", type=int, help="rounds of one second for each target and address")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
