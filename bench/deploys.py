"""What clients notice, and how long it takes, when the platform is deployed, rolled back and scaled; about six minutes.

Beside it, as the limit, what a hand-written script does with the same release on the same machine: start new instances, wait until they
are ready, switch nginx, stop the old ones - without a check, a record, or a way back.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from statistics import median

import machine
from load import LIST
from stack import started

from neurmatic.probes.ledger import summarize
from neurmatic.probes.load import Background, Load

RATE = 200
RESULTS = Path(__file__).with_name("deploys.md")
NEW_PORTS = (4, 5)
"""Offsets in the pool: beside the first ports of the pool, which the platform's first instances have."""
SETTLE_SECONDS = 0.5
DRAIN_SECONDS = 3


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write deploys.md")
    args = parser.parse_args()
    begun = time.monotonic()

    def say(line):
        print(f"{time.monotonic() - begun:5.0f} s  {line}", file=sys.stderr, flush=True)

    described = machine.describe()
    with started(say) as stack:
        rows = [row for n in range(args.rounds) for row in _round(stack, n, say)]
    text = as_markdown(described, rows, args.rounds)
    print(text)
    if args.write:
        RESULTS.write_text(text)


def _round(stack, n, say):
    tool = stack.platform.json
    version = f"0.1.{n + 1}"
    file = stack.platform.file
    file.write_text(file.read_text().replace(f'version = "0.1.{n}"', f'version = "{version}"'))
    acts = {
        "deploy, without its backup": lambda: tool("deploy", "--no-backup", "--environment", "production"),
        "rollback": lambda: tool("rollback", "--environment", "production"),
        "deploy of a release that is there, with a proven backup": lambda: tool(
            "deploy", "--environment", "production"
        ),
        "scale 2 to 8": lambda: tool("scale", "api=8", "--environment", "production"),
        "scale 8 to 2": lambda: tool("scale", "api=2", "--environment", "production"),
    }
    for name, act in acts.items():
        say(f"{name}, round {n + 1}")
        yield measured(stack, name, act)
    say(f"the hand-written script, round {n + 1}")
    yield measured(stack, "limit: a hand-written script", lambda: by_hand(stack))
    tool("restart", "api", "--environment", "production")


def measured(stack, name, act):
    """The act under constant load through the edge; its own phases, where it tells them."""
    load = Load(stack.edge + LIST, rate=RATE, seconds=300, ca=stack.platform.ca)
    with Background(load) as running:
        time.sleep(0.5)
        begun = time.monotonic()
        said = act() or {}
        seconds = time.monotonic() - begun
        time.sleep(0.5)
    seen = summarize(running.ledger)
    assert seen.due > 0
    return {
        "name": name,
        "seconds": seconds,
        "due": seen.due,
        "failed": seen.due - seen.good,
        "gap": seen.longest_gap_ms,
        "late": seen.client_delay_ms,
        "phases": said.get("seconds", {}),
    }


def by_hand(stack):
    """Start two, wait, switch, stop two: as short as it can be written."""
    services = stack.platform.json("status")["services"]
    old = [row for row in services if row["service"] == "api"]
    folder = stack.platform.state / "services" / old[0]["instance"]
    env = {path.name: path.read_text().rstrip("\n") for path in (folder / "env").iterdir()}
    release = stack.platform.state / "releases" / stack.platform.json("status")["release"]
    first = min(int(row["address"].rpartition(":")[2]) for row in old) // 100 * 100
    ports = [first + offset for offset in NEW_PORTS]
    command = [release / "venv/bin/neurmatic-backend", "serve"]
    new = [
        subprocess.Popen(
            command,
            cwd=release,
            env=env | {"PORT": str(port), "NEURMATIC_INSTANCE": f"new-{port}"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for port in ports
    ]
    for port in ports:
        await_ready(f"http://127.0.0.1:{port}/api/v1/health/ready")
    listed = stack.layout.upstream("api")
    before = listed.read_text()
    nginx = next(row["pid"] for row in services if row["service"] == "edge" and row["address"])
    listed.write_text("".join(f"server 127.0.0.1:{port} max_fails=1 fail_timeout=1s;\n" for port in ports))
    os.kill(nginx, signal.SIGHUP)
    time.sleep(SETTLE_SECONDS)
    # A script would stop the old ones now; here they stay for the next round, and the new ones go the same way.
    listed.write_text(before)
    os.kill(nginx, signal.SIGHUP)
    time.sleep(SETTLE_SECONDS)
    for one in new:
        one.terminate()
    for one in new:
        one.wait(timeout=DRAIN_SECONDS * 10)


def await_ready(url):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    sys.exit(f"bench: {url} did not become ready")


def as_markdown(described, rows, rounds):
    lines = [
        "# What a deploy takes, and what clients notice of it",
        "",
        f"Written by `make bench-deploys`. Measured {described['at']} on {described['cpu']}: the platform in production's environment, two API",
        f"instances and a worker, native runtime; {RATE} requests a second through the edge (an open loop, the list of articles, never cached).",
        f"{rounds} rounds: seconds and longest gap are medians (lowest-highest), requests and failures sums. A gap is the longest time without a",
        "good answer, this client's own delays included. Figures compare within this run alone.",
        "",
        "| what | seconds | requests | failed | longest gap | client late by |",
        "|---|---|---|---|---|---|",
    ]
    names = list(dict.fromkeys(row["name"] for row in rows))
    for name in names:
        mine = [row for row in rows if row["name"] == name]
        gaps, late = [row["gap"] for row in mine], max(row["late"] for row in mine)
        lines.append(
            f"| {name} | {spread([row['seconds'] for row in mine], 1)} | {sum(row['due'] for row in mine)} | {sum(row['failed'] for row in mine)} "
            f"| {spread(gaps, 0)} ms | {late:.0f} ms |"
        )
    lines += ["", "## Where the time goes", "", "| what | phase | seconds |", "|---|---|---|"]
    for name in names:
        mine = [row["phases"] for row in rows if row["name"] == name]
        for phase in mine[0]:
            lines.append(f"| {name} | {phase} | {spread([one.get(phase, 0.0) for one in mine], 1)} |")
    return "\n".join(lines) + "\n"


def spread(values, digits):
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


if __name__ == "__main__":
    main()
