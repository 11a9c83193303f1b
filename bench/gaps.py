"""What clients notice when an instance is killed or hangs, and when nginx loads its configuration: under constant load."""

import os
import signal
import sys
import time

from load import LIST
from stack import Stack

from neurmatic.probes.ledger import summarize
from neurmatic.probes.load import Background, Load

RATE = 200
BEFORE_SECONDS, AFTER_SECONDS = 1.0, 6.0
WELL_SECONDS = 90
SOMEBODY = {"X-Bench": "1"}  # passed by the cache, so that the instances answer
FAULTS = {
    "an instance killed": ("api-1", signal.SIGKILL),
    "an instance hung": ("api-1", signal.SIGSTOP),
    "nginx reloaded": ("edge", signal.SIGHUP),
}


def measure(stack: Stack, times: int, say):
    """Each fault several times: what became of every request that was due."""
    found = []
    for fault, (instance, sent) in FAULTS.items():
        for number in range(1, times + 1):
            say(f"{fault}, {number} of {times}")
            await_well(stack)
            found.append({"fault": fault, **_seen(stack, stack.pid(instance), sent)})
    return found


def _seen(stack: Stack, pid, sent):
    load = Load(stack.edge + LIST, rate=RATE, seconds=60, ca=stack.platform.ca, headers=SOMEBODY)
    with Background(load) as running:
        time.sleep(BEFORE_SECONDS)
        os.kill(pid, sent)
        time.sleep(AFTER_SECONDS)
    seen = summarize(running.ledger)
    return {
        "due": seen.due,
        "failed": seen.due - seen.good,
        "longest_gap_ms": seen.longest_gap_ms,
        "slowest_ms": seen.latency_ms["max"],
        "p99_ms": seen.latency_ms["p99"],
        "client_delay_ms": seen.client_delay_ms,
    }


def await_well(stack: Stack):
    """Wait until the edge sends requests to every instance."""
    until = time.monotonic() + WELL_SECONDS
    lists = list(stack.layout.upstreams.glob("*.conf"))
    while any(" down;" in path.read_text() for path in lists) or stack.platform.run("status", check=False).returncode:
        if time.monotonic() > until:
            sys.exit(f"bench: not every instance is well again after {WELL_SECONDS} s")
        time.sleep(0.5)
    time.sleep(BEFORE_SECONDS)
