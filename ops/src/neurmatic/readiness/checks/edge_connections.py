"""So many requests of one client in progress at once; whoever is slow is cut off, and half-open connections, too."""

import ssl
import time
from contextlib import ExitStack

from neurmatic.probes.http import Answer
from neurmatic.probes.tls import opened, seconds_until_closed
from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.refusals import expect_refusal
from neurmatic.readiness.subject import Rehearsal, Subject

QUICK = False
MARGIN_SECONDS = 5.0
SETTLES_SECONDS = 0.5
TRIES = 2


def check(subject: Subject, evidence: Evidence) -> None:
    copy = subject.rehearsal()
    limits = copy.stack.edge.limits
    route = copy.service()[1].routes[0]
    with ExitStack() as held:
        client, refused = _one_too_many(copy, held)
        evidence.expect(refused.status == 429, f"{limits.connections} requests in progress; one more: {refused.status}")
        expect_refusal(evidence, refused)
        other = copy.get(route, source=copy.new_client())
        evidence.expect(other.status != 429, f"another client meanwhile: {other.status}")
        probe = copy.get(copy.health_path("ready"), source=client)
        evidence.expect(probe.status == 200, f"a health address for the first one: {probe.status}")
    _slow(copy, evidence)
    _dribbling(copy, evidence)


def _one_too_many(copy: Rehearsal, held: ExitStack) -> tuple[str, Answer]:
    """A client with as many requests in progress as it may have, and the answer to one more.

    When it isn't refused, another client tries the same: a reload of nginx, such as that of the start just before, ends
    connections on which nothing was asked yet, and a busy worker may not have read the requests.
    """
    route = copy.service()[1].routes[0]
    for _ in range(TRIES):
        client = copy.new_client()
        for _ in range(copy.stack.edge.limits.connections):
            _send(copy, held.enter_context(opened(copy.place(client))), "POST", route)
        refused = copy.get(route, source=client)
        if refused.status == 429:
            break
        time.sleep(SETTLES_SECONDS)
    return client, refused


def _slow(copy: Rehearsal, evidence: Evidence) -> None:
    """Silent after the handshake, in mid-header, in mid-body, or dribbling a header: each is closed within its time limit."""
    limits = copy.stack.edge.limits
    route = copy.service()[1].routes[0]
    with ExitStack() as held:
        silent, header, body, slow = (held.enter_context(opened(copy.place(copy.new_client()))) for _ in range(4))
        slow.sendall(f"GET {route} HTTP/1.1\r\nX-Slow: ".encode())
        header.sendall(f"GET {route} HTTP/1.1\r\nHost: ".encode())
        _send(copy, body, "POST", route)
        _expect_closed(evidence, slow, "a header that dribbles in", limits.header_seconds, b"x")
        _expect_closed(evidence, silent, "silent after the handshake", limits.header_seconds)
        _expect_closed(evidence, header, "stopped in mid-header", limits.header_seconds)
        _expect_closed(evidence, body, "stopped in mid-body", limits.body_seconds)


def _dribbling(copy: Rehearsal, evidence: Evidence) -> None:
    """A body of which a byte comes now and then, at an address that counts its clients and at one that doesn't."""
    for path in (copy.service()[1].routes[0], copy.health_path("ready")):
        with opened(copy.place(copy.new_client())) as one:
            _send(copy, one, "POST", path)
            _expect_closed(
                evidence, one, f"a body that dribbles in at {path}", copy.stack.edge.limits.body_seconds, b"x"
            )


def _expect_closed(evidence: Evidence, one: ssl.SSLSocket, words: str, limit: float, drip: bytes = b"") -> None:
    seconds = seconds_until_closed(one, limit + MARGIN_SECONDS, drip)
    evidence.expect(
        seconds is not None, f"{words}: {'closed' if seconds is not None else 'still open after'} within {limit:g} s"
    )


def _send(copy: Rehearsal, connection: ssl.SSLSocket, method: str, path: str) -> None:
    """A request whose body never comes to its end."""
    host = f"{copy.stack.identity.host}:{copy.stack.edge.https_port}"
    connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\nx".encode())
