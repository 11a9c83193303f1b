"""What the edge costs: hits against plain nginx, misses against the instance, TLS connections, and one feature less at a time."""

import ssl
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gaps
from edges import Server, plain, rendered
from load import LIST, fetch
from processes import apart
from stack import Stack
from tools import CONCURRENCY, Run, h2load, handshakes, wrk

from neurmatic.hosts.processes import tree

BROKEN_OFF = "499"  # by the tool, at its end
APART = ", on other cores than the edge"
SOMEBODY = ("X-Bench: 1",)  # a header that not everybody sends: passed by the cache
PASSED_BY = LIST + "&bench=1"  # so is a parameter that isn't the cache's, whether or not headers are looked at
LUA = r'access_by_lua_block \{ require\("cache"\)[^\n]*'
ADDED = r"add_header (?:X-Frame|X-Content|X-XSS|Referrer-|Permissions-|Content-Security|Strict-)[^\n]*"
# What is taken out of the rendered configuration, and the header of those requests that it costs.
FEATURES = {
    "limits": ([(r"limit_(?:req|conn) [^\n]*", "")], ()),
    "security headers": ([(ADDED, "")], ()),
    "headers for other sites (CORS)": ([(r"add_header Access-Control-[^\n]*", "")], ()),
    "access log": ([(r"access_log /dev/stdout[^\n]*", "access_log off;")], ()),
    "request id": ([(r"\$request_id", "none")], ()),
    "the cache's decision (Lua)": ([(LUA, "")], ()),
    "gzip, asked for": ([("gzip on;", "gzip off;")], ("Accept-Encoding: gzip",)),
    "brotli, asked for": ([("brotli on;", "brotli off;")], ("Accept-Encoding: br",)),
}
# openssl s_time names no server: here whoever names none is answered, too.
NAMELESS = [
    (r"ssl http2 default_server;", "ssl http2;"),
    (r"ssl http2;(\s+server_name localhost;)", r"ssl http2 default_server;\1"),
]


@dataclass(frozen=True)
class Cell:
    """One thing that is measured: what is asked, of whom, how, and what the edge's log must say of every answer."""

    what: str
    who: str
    server: Server
    ask: Callable[[str], Run]
    logged: tuple[str, str, str] | None = None


def measure(stack: Stack, folder: Path, rounds: int, say):
    """Everything that `edge_report` tells of."""
    with ExitStack() as stop:
        speed, costs = _cells(stack, folder, stop)
        for cell in (*speed, *costs):
            cell.server.logged()  # what was asked so far
        say("edge, warm-up")
        for cell in speed:
            _observed(cell)
        found = {"speed": [], "costs": []}
        for cells, rows in zip((speed, costs), found.values(), strict=True):
            rows += [{"what": cell.what, "who": cell.who, "rounds": []} for cell in cells]
        for number in range(1, rounds + 1):
            say(f"edge, round {number} of {rounds}")
            for cells, rows in zip((speed, costs), found.values(), strict=True):
                for cell, row in _turned(list(zip(cells, rows, strict=True)), number / rounds):
                    row["rounds"].append(_observed(cell))
    return found | {"gaps": gaps.measure(stack, min(rounds, 3), say)}


def _turned(items, share):
    """Another one is the first each round, and none comes always after the same noise."""
    at = 2 * int(len(items) // 2 * share)  # two that are compared stay together
    return (*items[at:], *items[:at])


def _cells(stack: Stack, folder: Path, stop: ExitStack):
    one = stack.ports[:1]

    def edge(name, changes=()):
        return stop.enter_context(rendered(stack, folder / f"edge-{name}", one, changes))

    instance = Server(f"http://127.0.0.1:{one[0]}")
    body = fetch(instance.url + LIST, None)
    nginx = [
        stop.enter_context(plain(stack, folder / f"plain-{logs}", LIST.partition("?")[0], body, logs=logs))
        for logs in (True, False)
    ]
    whole, nameless = edge("whole"), edge("nameless", NAMELESS)
    lesser = {name: edge(str(number), changes) for number, (name, (changes, _)) in enumerate(FEATURES.items())}
    _check_equal(stack, body, [*nginx, whole, nameless, *lesser.values()])
    speed = [
        *_hits({"edge": whole, "plain nginx": nginx[0], "plain nginx without a log": nginx[1]}, folder),
        *_misses(stack, {"edge": whole, "instance": instance}),
        *_connections({"edge": nameless, "plain nginx": nginx[0]}, len(body)),
    ]
    return speed, list(_features(whole, lesser))


def _check_equal(stack: Stack, body, servers):
    """Everybody gives the instance's bytes, or nothing is measured."""
    tls = ssl.create_default_context(cafile=stack.platform.ca)
    for server in servers:
        if fetch(server.url + LIST, tls) != body:
            sys.exit(f"bench: {server.url} answers {LIST} differently from the instance")


def _hits(servers, folder: Path):
    for who, server in servers.items():
        yield Cell("cache hit, HTTP/1.1", who, server, _ask, ("200", "HTTP/1.1", "HIT"))
    log = folder / "h2load.log"
    for who, server in servers.items():
        yield Cell("cache hit, HTTP/2", who, server, lambda url: h2load(url + LIST, 1, log), ("200", "HTTP/2.0", "HIT"))


def _misses(stack: Stack, servers):
    """Misses, and what is passed by: first all on the same cores, then with the edge and wrk apart from what they ask."""
    for what, word, how in (
        ("cache miss", "MISS", {"always_new": True}),
        ("passed by the cache", "BYPASS", {"headers": SOMEBODY}),
    ):
        for beside in ("", APART):
            for who, server in servers.items():
                ask = partial(_ask_apart, stack, server) if beside else _ask
                yield Cell(what + beside, who, server, partial(ask, **how), ("200", "HTTP/1.1", word))


def _ask(url, path=LIST, **how):
    return wrk(url + path, 1, **how)


def _ask_apart(stack: Stack, server: Server, url, **how):
    behind = [pid for name in ("api-1", "postgres") for pid in tree(stack.pid(name))]  # PostgreSQL's come and go
    with apart(behind, server.pids()):
        return _ask(url, **how)


def _connections(servers, size):
    for what, resumed in (("new TLS connection", False), ("resumed TLS connection", True)):
        for who, server in servers.items():
            ask = partial(handshakes, path=LIST, size=size, resumed=resumed)
            yield Cell(what, who, server, ask, ("200", "HTTP/1.0", "HIT"))


def _features(whole: Server, lesser):
    """For each feature everything, and right after it everything but this, asked in the same way."""
    for kind, path, word in (("hit", LIST, "HIT"), ("proxied", PASSED_BY, "BYPASS")):
        for name, (_, headers) in FEATURES.items():
            for who, server in (("with", whole), ("without", lesser[name])):
                ask = partial(_ask, path=path, headers=headers)
                yield Cell(f"{kind}: {name}", who, server, ask, ("200", "HTTP/1.1", word))


def _observed(cell: Cell):
    """One run, and what it cost the server."""
    server = cell.server
    had, cpu, logger = server.requests(), server.cpu_seconds(), server.logger_seconds()
    run = cell.ask(server.url)
    cpu, logger = server.cpu_seconds() - cpu, server.logger_seconds() - logger
    if had is not None:
        _agree(cell, run, server.requests() - had - 1, "nginx's own count")
    if (seen := server.logged()) is not None:
        _agree(cell, run, seen[cell.logged], f"the log, which has {dict(seen)}")
        if any(one != cell.logged and one[0] != BROKEN_OFF for one in seen):
            sys.exit(f"bench: {cell.what}, {cell.who}: not all are {cell.logged}, but {dict(seen)}")
    return {
        "per_second": round(run.per_second, 1),
        "p50_ms": run.p50_ms,
        "p99_ms": run.p99_ms,
        "cpu_us": round(cpu / run.requests * 1e6, 2),
        "logger_us": round(logger / run.requests * 1e6, 2),
    }


def _agree(cell: Cell, run: Run, count, by):
    """The tools break off as many requests as they keep in progress; a server that counts others has answered otherwise."""
    if not 0 <= count - run.requests <= CONCURRENCY + 1:
        sys.exit(f"bench: {cell.what}, {cell.who}: {run.requests} answers, but {count} by {by}")
