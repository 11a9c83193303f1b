"""What is done to the platform, the same commands in both runtimes, and what clients notice meanwhile: under constant load."""

import json
import os
import signal
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gaps import await_well
from load import LIST
from stack import Stack

from neurmatic.probes.ledger import summarize
from neurmatic.probes.load import Background, Load

RATE = 200
MOST_SECONDS = 300
"""An act that takes longer loses the rest of its load; none comes near it."""
BEFORE_SECONDS, AFTER_SECONDS = 0.5, 2.0
FAULT_SECONDS = 6.0
FAULTS = {
    "nginx reloaded (HUP)": ("edge", signal.SIGHUP),
    "an API instance killed (-9)": ("api", signal.SIGKILL),
}
PRODUCTION = ("--environment", "production")


@dataclass(frozen=True)
class Edge:
    """Where the load goes: a URL whose certificate comes from this authority."""

    url: str
    ca: Path


def measured(edge: Edge, name, act):
    """The act while requests come in through the edge; its own phases, where it tells them.

    The load goes on for two seconds after the act, so that what it leaves behind is seen, too.
    """
    load = Load(edge.url + LIST, rate=RATE, seconds=MOST_SECONDS, ca=edge.ca)
    with Background(load) as running:
        time.sleep(BEFORE_SECONDS)
        begun = time.monotonic()
        said = act() or {}
        seconds = time.monotonic() - begun
        time.sleep(AFTER_SECONDS)
    seen = summarize(running.ledger)
    assert seen.due > RATE * BEFORE_SECONDS
    return {
        "name": name,
        "seconds": None if said.get("has_no_end") else seconds,
        "due": seen.due,
        "failed": seen.due - seen.good,
        "why": dict(seen.lost) | {kind: count for kind, count in seen.answered.items() if kind[0] not in "23"},
        "gap": seen.longest_gap_ms,
        "late": seen.client_delay_ms,
        "phases": said.get("seconds", {}),
        "broken": said.get("broken"),
    }


def of_platform(stack: Stack, n, say):
    """One round: each act, of the platform's next version."""
    tool = partial(_tool, stack)
    edge = Edge(stack.edge, stack.platform.ca)
    _next_version(stack.platform.file, n)
    acts = {
        "deploy, without its backup": lambda: tool("deploy", "--no-backup"),
        "rollback": lambda: tool("rollback"),
        "deploy of a release that is there, with a proven backup": lambda: tool("deploy"),
        "scale 2 to 8": lambda: tool("scale", "api=8"),
        "scale 8 to 2": lambda: tool("scale", "api=2"),
    }
    for name, act in acts.items():
        say(f"{name}, round {n + 1}")
        await_well(stack)
        yield measured(edge, name, act)
    for name, (service, sent) in FAULTS.items():
        say(f"{name}, round {n + 1}")
        await_well(stack)
        yield measured(edge, name, partial(_hit, _process(stack, service), sent))
    await_well(stack)


def _tool(stack, *words):
    """What the command says of itself; of one that ends with 1 or more, as a deploy that was taken back does, its reason."""
    done = stack.platform.run(*words, "--json", *PRODUCTION, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {"broken": done.stderr.strip()}


def _next_version(file, n):
    text = file.read_text()
    before, after = (f'version = "0.1.{number}"' for number in (n, n + 1))
    assert before in text
    file.write_text(text.replace(before, after))


def _process(stack, service):
    """Of the service's first instance, as it is now."""
    rows = stack.platform.json("status")["services"]
    return next(row["pid"] for row in rows if row["service"] == service and row["instance"] != "guard")


def _hit(pid, sent):
    os.kill(pid, sent)
    time.sleep(FAULT_SECONDS)
    return {"has_no_end": True}
