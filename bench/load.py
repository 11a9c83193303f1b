"""Closed-loop throughput by wrk: every target in turn, round after round, so that a noisy moment meets all of them."""

import json
import ssl
import sys
import urllib.request
from pathlib import Path
from statistics import median

from peers import Target
from tools import wrk

LIST = "/api/v1/articles?limit=20"
WAYS = ("direct", "edge")


def endpoints(target: Target):
    """What is asked: the list of 20 articles, the first of them, and health."""
    first = json.loads(fetch(target.direct + LIST, None))["items"][0]["slug"]
    return {"list": LIST, "one": f"/api/v1/articles/{first}", "health": "/api/v1/health"}


def check_equal(targets: list[Target], paths: dict[str, str], ca: Path):
    """Every target gives the platform's own answer, directly and through its edge, or nothing is measured.

    Health answers differ in what they tell; that they say healthy is what they have in common.
    """
    tls = ssl.create_default_context(cafile=ca)
    for name, path in paths.items():
        expected = None
        for target in targets:
            for base in (target.direct, target.edge):
                answer = json.loads(fetch(base + path, tls))
                said = answer["status"] if name == "health" else answer
                expected = expected or said
                if said != expected or (name == "list" and len(said["items"]) != 20):
                    sys.exit(f"bench: {target.name} answers {base + path} differently: {str(said)[:300]}")


def measure(targets: list[Target], paths: dict[str, str], rounds: int, seconds: int, say):
    """Requests a second for each way, endpoint and target: all rounds' figures, after a warm-up that isn't counted."""
    found = []
    for way in WAYS:
        for name, path in paths.items():
            found += [
                {"way": way, "endpoint": name, "target": one.name, "url": getattr(one, way) + path, "runs": []}
                for one in targets
            ]
    for number in range(rounds + 1):
        say(f"load, round {number} of {rounds}" if number else "load, warm-up")
        for cell in _turned(found, number, len(targets)):
            run = wrk(cell["url"], seconds if number else 1)
            if number:
                cell["runs"].append(run)
    return [_summary(cell) for cell in found]


def _turned(cells, number, width):
    """The cells with each endpoint's targets in another order every round: nobody is always first."""
    for begin in range(0, len(cells), width):
        turn = number % width
        yield from (*cells[begin + turn : begin + width], *cells[begin : begin + turn])


def _summary(cell):
    figures = [run.per_second for run in cell["runs"]]
    return {
        "way": cell["way"],
        "endpoint": cell["endpoint"],
        "target": cell["target"],
        "per_second": round(median(figures)),
        "lowest": round(min(figures)),
        "highest": round(max(figures)),
        "rounds": [round(figure) for figure in figures],
        "p99_ms": round(median(run.p99_ms for run in cell["runs"]), 1),
    }


def fetch(url, tls):
    with urllib.request.urlopen(url, timeout=10, context=tls if url.startswith("https") else None) as answer:
        return answer.read()
