"""Send requests to one URL at a constant rate, and account for every one of them.

  neurmatic load --rate 50 --for 30s https://localhost:8443/

An open loop: each request has a moment at which it is due and is sent then, whatever became of those before it, and its time counts
from that moment. So a server that pauses for a second at 50/s shows as 50 slow requests, as many as would have waited. Each due request
is counted exactly once: answered (by class of status) or lost:
  refused     no connection could be opened         timed_out   no whole answer within --timeout
  cut         the connection ended before it did    tls         the certificate isn't the CA's, or no handshake
  malformed   what came back is not HTTP            abandoned   unanswered when the run was broken off
  never_sent  this machine couldn't: too many in flight (--connections), out of files or ports, or too busy
A request whose idle connection the server had just closed is sent again on a new one, as every client does, and counted as retried.

Latencies are those of requests answered or timed out. When "client late by" is high, this machine was too busy to measure: the figures
say more of it than of the server. As root the load comes before other work here. Ctrl-C or SIGTERM ends the run and shows what was
counted up to then.

Inside a project, https trusts the stack's own authority; elsewhere the system's. Without --anywhere only loopback and private addresses
are asked: load is for machines of your own.

Exit code 0 when every request was answered as expected, 1 when one wasn't, 2 usage, 130 or 143 when it was ended early.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from neurmatic.cli.context import layout
from neurmatic.errors import ConfigurationError
from neurmatic.hosts.interrupts import Terminated
from neurmatic.probes.ledger import Ledger, Summary, summarize
from neurmatic.probes.load import Background, Load

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
ENDED_EARLY = {KeyboardInterrupt: 130, Terminated: 143}
GRACE = 1
"""Seconds that requests in flight have left then."""
BUSY_MS = 100
"""A client later than this is worth a warning."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("url", metavar="URL", help="http or https")
    add("--rate", type=float, required=True, metavar="R", help="requests due per second, at most 2000")
    add("--for", dest="seconds", type=_seconds, required=True, metavar="T", help="how long: 500ms, 10s, 2m, 1h")
    add("--method", type=str.upper, default="GET", metavar="NAME", help="default GET")
    add("--header", action="append", default=[], metavar="'NAME: VALUE'", help="send a header too; may be repeated")
    add("--body", default="", metavar="TEXT", help="send this body; @FILE sends a file's content")
    add("--timeout", type=_seconds, default=10.0, metavar="T", help="until the whole answer, from due (default 10s)")
    add("--no-keep-alive", action="store_true", help="open a new connection for each request")
    add("--connections", type=int, default=1000, metavar="N", help="the most requests in flight (default 1000)")
    add("--ca", type=Path, metavar="FILE", help="the only authority that https may chain to")
    add("--address", metavar="HOST", help="connect there; the URL's host still names the server")
    add("--expect", type=int, action="append", default=[], metavar="STATUS", help="a good answer; may be repeated")
    add("--label-header", default="", metavar="NAME", help="count answers by this header of theirs, too")
    add("--anywhere", action="store_true", help="also ask addresses that are neither loopback nor private")
    add("--json", action="store_true", help="print JSON; times in milliseconds")
    add("--ledger", type=Path, metavar="FILE", help="write every due request there, one JSON object a line")


def run(args: argparse.Namespace) -> int:
    load = _load(args)
    if args.ledger:
        _writable(args.ledger)
    early: int | None = None
    with Background(load) as running:
        try:
            _watch(running, shown=sys.stderr.isatty() and not args.json)
        except (KeyboardInterrupt, Terminated) as end:
            early = ENDED_EARLY[type(end)]
            running.stop(grace=GRACE)
    summary = summarize(running.ledger)
    if args.ledger:
        _write(args.ledger, running.ledger)
    print(json.dumps({"url": load.url, **as_json(summary)}, indent=2) if args.json else "\n".join(as_text(summary)))
    return int(not summary.ok) if early is None else early


def as_json(summary: Summary) -> dict[str, Any]:
    """The summary's fields, and whether every request was answered as expected."""
    return {"ok": summary.ok, **asdict(summary)}


def as_text(summary: Summary) -> list[str]:
    """The summary as lines for an operator."""
    what = f"{summary.due} requests due in {summary.seconds:g} s at {summary.rate:g}/s"
    latency = "  ".join(f"{name} {_shown(ms)}" for name, ms in summary.latency_ms.items())
    lines = [
        what + (f" (stopped early: {summary.planned} were planned)" if summary.stopped else ""),
        f"  as expected  {summary.good}",
        f"  answered     {_counts(summary.answered)}",
        f"  lost         {_counts(summary.lost)}",
        *(f"    {why}: {words}" for why, words in summary.words.items()),
        f"  retried      {summary.retried}",
        f"  latency      {latency}",
        f"  longest gap  {_shown(summary.longest_gap_ms)} without a good answer",
        f"  achieved     {summary.achieved_rate:g}/s, client late by at most {_shown(summary.client_delay_ms)}",
    ]
    if summary.labels:
        lines.append(f"  answered by  {_counts(summary.labels)}")
    if summary.client_delay_ms > BUSY_MS:
        lines.append(
            "  this machine was too busy to send on time: the slowest figures may be its own, not the server's"
        )
    return lines


def _load(args: argparse.Namespace) -> Load:
    return Load(
        url=args.url,
        rate=args.rate,
        seconds=args.seconds,
        method=args.method,
        headers=dict(map(_header, args.header)),
        body=_body(args.body),
        timeout=args.timeout,
        ca=args.ca or (None if args.anywhere else _own_ca(args)),
        address=args.address,
        keep_alive=not args.no_keep_alive,
        connections=args.connections,
        expect=frozenset(args.expect),
        label_header=args.label_header,
        anywhere=args.anywhere,
    )


def _watch(running: Background, *, shown: bool) -> None:
    """Wait for the end; `shown`: with a line each second."""
    begun = time.monotonic()
    while not running.wait(1):
        if shown:
            now = running.progress
            flying = now.due - now.good - now.failed
            print(
                f"{time.monotonic() - begun:5.0f} s  {now.due} due  {now.good} as expected  {now.failed} not  {flying} in flight",
                file=sys.stderr,
            )


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text.strip())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 500ms, 10s, 2m or 1h")
    return float(found[1]) * UNITS[found[2]]


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ConfigurationError(f"{text!r} is no header", "write it as --header 'Name: value'")
    return name.strip(), value.strip()


def _body(text: str) -> bytes:
    if not text.startswith("@"):
        return text.encode()
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"--body {text}: {error.strerror}") from None


def _own_ca(args: argparse.Namespace) -> Path | None:
    """The authority of the stack in whose project this is run."""
    try:
        ca = layout(args).trust
    except ConfigurationError:
        if args.file:
            raise
        return None
    return ca if ca.is_file() else None


def _writable(path: Path) -> None:
    """Raises: ConfigurationError: before the load rather than after it."""
    try:
        path.open("a").close()
    except OSError as error:
        raise ConfigurationError(f"--ledger {path}: {error.strerror}") from None


def _write(path: Path, ledger: Ledger) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in ledger.rows())


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "0"


def _shown(ms: float | None) -> str:
    return "-" if ms is None else f"{ms:.1f} ms"
