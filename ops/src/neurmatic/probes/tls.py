"""TLS from a client's side: connections with nothing sent yet, and what a handshake comes to."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """Where to connect, under which name, and whom to trust. `source`: the address to ask from."""

    address: str
    port: int
    name: str | None
    ca: Path
    source: str | None = None


@dataclass(frozen=True)
class Handshake:
    """What came of it; `error` is empty when it succeeded."""

    error: str = ""
    version: str = ""
    suite: str = ""
    alpn: str = ""
    reused: bool = False
    ticket: bool = False
    certificate: bytes = b""


def client_context(ca: Path) -> ssl.SSLContext:
    """A client that trusts this authority alone."""
    return ssl.create_default_context(cafile=ca)


@contextmanager
def opened(place: Place, context: ssl.SSLContext | None = None) -> Iterator[ssl.SSLSocket]:
    """A connection on which the handshake is done and nothing sent.

    Raises:
        OSError: there is no connection, or no handshake.
    """
    bind = (place.source, 0) if place.source else None
    with (
        socket.create_connection((place.address, place.port), timeout=30, source_address=bind) as raw,
        (context or client_context(place.ca)).wrap_socket(raw, server_hostname=place.name) as connection,
    ):
        yield connection


def handshake(place: Place, context: ssl.SSLContext | None = None) -> Handshake:
    """Shake hands and look; never raises for what the server does."""
    try:
        with opened(place, context) as one:
            return Handshake(
                version=one.version() or "",
                suite=(one.cipher() or ("",))[0],
                alpn=one.selected_alpn_protocol() or "",
                certificate=one.getpeercert(binary_form=True) or b"",
            )
    except OSError as error:
        return Handshake(error=str(error))


def limited_client(ca: Path, version: ssl.TLSVersion, suites: str = "ALL") -> ssl.SSLContext:
    """A client of one protocol version and these suites (of TLS 1.2 and older), however weak."""
    context = ssl.create_default_context(cafile=ca)
    context.set_ciphers(f"{suites}:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    return context


def resumption(place: Place) -> Handshake:
    """Whether a second TLS 1.2 handshake takes up the first one's session, and whether that came with a ticket."""
    context = limited_client(place.ca, ssl.TLSVersion.TLSv1_2)
    try:
        with opened(place, context) as first:
            session, ticket = first.session, bool(first.session and first.session.has_ticket)
        with (
            socket.create_connection((place.address, place.port), timeout=30) as raw,
            context.wrap_socket(raw, server_hostname=place.name, session=session) as second,
        ):
            return Handshake(reused=bool(second.session_reused), ticket=ticket)
    except OSError as error:
        return Handshake(error=str(error))


def seconds_until_closed(connection: ssl.SSLSocket, patience: float, drip: bytes = b"") -> float | None:
    """How long the server keeps the connection, while `drip` is sent twice a second; None when it outlasts `patience` seconds."""
    begun = time.monotonic()
    connection.settimeout(0.5)
    while time.monotonic() - begun < patience:
        try:
            if drip:
                connection.sendall(drip)
            if not connection.recv(4096):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    else:
        return None
    return time.monotonic() - begun
