"""Show what the edge is doing now: who gets requests, what came of them, and how long its certificate still lasts.

An instance that is out gets no requests: the guard took it out because it was not ready, or a command drained it. The
last one of a service stays in, ready or not. What nginx itself skips for a moment after failures, it tells nobody.
Traffic is counted from the end of the current log, so it says over how many seconds; a limit for credentials that refused
nothing is not listed.

Exit code 1 when an instance is out, the guard is dead, nginx runs another configuration than the one that lies there, or
the certificate ends within 14 days; 0 otherwise.
"""

import argparse
import json
from collections.abc import Iterator

from neurmatic.cli.context import HOST, layout
from neurmatic.cli.table import table
from neurmatic.releases.edge_report import EdgeReport, look
from neurmatic.releases.traffic import Refusals, Traffic
from neurmatic.releases.upstreams import Upstream
from neurmatic.runtimes.choice import runtime_of

COLUMNS = ("service", "instance", "address", "state", "for", "kept out by", "falls", "requests", "reason")
MINUTE, HOUR, DAY = 60, 3600, 86400


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    where = layout(args)
    report = look(HOST, where, runtime_of(HOST, where))
    print(json.dumps(report.as_json(), indent=2) if args.json else text(report))
    return 1 if list(report.problems()) else 0


def text(report: EdgeReport) -> str:
    """The report as text, with a line at the end for each problem."""
    answered = report.traffic.answered if report.traffic else {}
    lines = [table(COLUMNS, [_row(one, answered.get(one.address, 0)) for one in report.upstreams])]
    facts = [f"{name:13} {words}" for name, words in (*_traffic(report.traffic), *_state(report))]
    return "\n".join([*lines, "", *facts, *(f"! {problem}" for problem in report.problems())])


def _row(one: Upstream, requests: int) -> tuple[str, ...]:
    lasting = "" if one.seconds is None else duration(one.seconds)
    return (
        *(one.service, one.instance, one.address, one.state, lasting),
        *(one.kept_out_by, str(one.falls), str(requests), one.reason),
    )


def _traffic(traffic: Traffic | None) -> Iterator[tuple[str, str]]:
    if traffic is None:
        yield "traffic", "no request stands in the current log"
        return
    rate = f"{traffic.requests / max(traffic.seconds, 1):.1f} a second"
    yield (
        "traffic",
        f"{traffic.requests} requests in the {duration(traffic.seconds)} that the log was read back; {rate}",
    )
    yield "  answers", _listed(traffic.statuses)
    if traffic.p50 is not None and traffic.p99 is not None:
        yield "  time", f"p50 {traffic.p50 * 1000:.0f} ms, p99 {traffic.p99 * 1000:.0f} ms"
    if traffic.hit_rate is not None:
        asked = sum(traffic.cache.values())
        yield "  cache", f"{traffic.hit_rate:.0%} of {asked} answered from it: {_listed(traffic.cache)}"
    refused = traffic.refused
    yield (
        "  refused",
        _listed(
            {"rate": refused.rate, "connections": refused.connections}
            | _maintained(refused)
            | _named(refused.credentials)
        ),
    )
    yield "  retried", f"{traffic.retried} on another instance"


def _state(report: EdgeReport) -> Iterator[tuple[str, str]]:
    if one := report.connections:
        yield "connections", f"{one.open} open: {one.reading} reading, {one.writing} writing, {one.waiting} waiting"
    if report.maintenance:
        yield "maintenance", str(report.maintenance)
    yield "configuration", report.generation.loaded or "not known"
    age = report.guard.verdict_age_seconds
    yield (
        "guard",
        ("well" if report.guard.alive else "not well") + ("" if age is None else f": verdict {age:.0f} s old"),
    )
    if held := report.certificate:
        yield "certificate", f"{', '.join(held.names)}: {held.days_left} days left, issued by {held.issuer}"
    if known := report.trusted:
        yield "trusted", f"{known.cdn}'s addresses as of {known.as_of}, {known.age_days} days ago"


def _maintained(refused: Refusals) -> dict[str, int]:
    return {"maintenance": refused.maintenance} if refused.maintenance else {}


def _named(credentials: dict[str, int]) -> dict[str, int]:
    return {f"credentials {name}": count for name, count in credentials.items()}


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def duration(seconds: float) -> str:
    """As short as a person wants it: 8 s, 12 min, 3 h, 2 d."""
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
