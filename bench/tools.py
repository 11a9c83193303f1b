"""The public tools that ask: wrk and h2load in a closed loop, openssl s_time for handshakes. What they answer is read here."""

import itertools
import json
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from neurmatic.probes.ledger import percentile

CONCURRENCY = 32
STREAMS = 4  # of each HTTP/2 connection
TIMEOUT_SECONDS = 10
SCRIPT = Path(__file__).with_name("wrk.lua")
_addresses = itertools.count(1_000_000, 1_000_000)


@dataclass(frozen=True)
class Run:
    """One tool's run: how much was answered, and how fast. Times are milliseconds."""

    requests: int
    per_second: float
    p50_ms: float | None = None
    p99_ms: float | None = None


def wrk(url, seconds, headers=(), *, always_new=False):
    """Ask over HTTP/1.1; `always_new`: no address twice, by a parameter that changes nothing.

    An answer that is no 2xx or 3xx, or a broken connection, ends the benchmark.
    """
    argv = ["wrk", "-t1", f"-c{CONCURRENCY}", f"-d{seconds}s", f"--timeout={TIMEOUT_SECONDS}s", "-s", SCRIPT]
    argv += [word for header in headers for word in ("-H", header)] + [url]
    argv += ["--", str(next(_addresses))] if always_new else []
    run = json.loads(_output(argv).splitlines()[-1])
    if run.pop("errors"):
        sys.exit(f"bench: some of {run['requests']} requests to {url} failed; there is nothing to compare")
    return Run(**run)


def h2load(url, seconds, log: Path):
    """Ask over HTTP/2, as many requests in progress as wrk has.

    Its own count of failures leaves out what never came back, so the answers are counted from its log, and by who answered.
    """
    log.unlink(missing_ok=True)
    argv = ["h2load", "-t1", f"-c{CONCURRENCY // STREAMS}", f"-m{STREAMS}", f"-D{seconds}", f"--log-file={log}", url]
    said = _output(argv)
    rows = [line.split() for line in log.read_text().splitlines()]
    statuses = Counter(status for _, status, _ in rows)
    if set(statuses) != {"200"} or "Application protocol: h2" not in said:
        sys.exit(f"bench: h2load on {url} got {dict(statuses)}: {said[-1000:]}")
    micros = sorted(int(row[2]) for row in rows)
    return Run(len(rows), len(rows) / seconds, *(percentile(micros, share) / 1000 for share in (0.5, 0.99)))


def handshakes(url, path, size, *, resumed):
    """TLS 1.3 connections one after the other, each with one request for `path`, which brings `size` bytes and a header."""
    address = url.removeprefix("https://")
    argv = ["openssl", "s_time", "-connect", address, "-www", path, "-tls1_3", "-time", "2"]
    begun = time.monotonic()
    said = _output([*argv, "-reuse" if resumed else "-new"])
    seconds = time.monotonic() - begun  # its own are whole ones
    count, each = re.search(r"(\d+) connections in \d+ real seconds, (\d+) bytes read per connection", said).groups()
    marks = Counter(re.search(r"^[rt*]+$", said, re.MULTILINE)[0])  # r: resumed; * and t: new
    if ("r" in marks) is not resumed or len(marks) > 1 or int(each) < size:
        sys.exit(f"bench: openssl s_time on {address}: {dict(marks)}, {each} bytes each")
    return Run(int(count), int(count) / seconds)


def _output(argv):
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"bench: {' '.join(map(str, argv))} failed: {done.stdout}{done.stderr}")
    return done.stdout
