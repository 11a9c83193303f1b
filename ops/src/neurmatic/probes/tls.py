"""TLS from a client's side: connections with nothing sent yet, and what a handshake comes to."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography import x509

TIMEOUT = 5.0  # seconds for each wait on the socket


@dataclass(frozen=True)
class Place:
    """Where to connect, under which name, and whom to trust.

    Attributes:
        name: the server name that is asked for; None: none.
        ca: the roots that it must chain to; None: the system's.
        source: the address to ask from; None: any.
    """

    address: str
    port: int
    name: str | None
    ca: Path | None
    source: str | None = None


@dataclass(frozen=True)
class Handshake:
    """What came of it.

    Attributes:
        error: why this client would not go on; empty when it would.
        certificate: the one served, refused or not; None when there was no handshake at all.
    """

    error: str = ""
    version: str = ""
    suite: str = ""
    alpn: str = ""
    reused: bool = False
    ticket: bool = False
    certificate: x509.Certificate | None = None

    @property
    def serial(self) -> str:
        """The certificate's number in hexadecimal; empty without one."""
        return f"{self.certificate.serial_number:x}" if self.certificate else ""


def client_context(ca: Path | None) -> ssl.SSLContext:
    """A client that trusts these roots alone; None: the system's."""
    return ssl.create_default_context(cafile=ca)


def blind_client() -> ssl.SSLContext:
    """A client that takes whatever certificate it is shown, so that only the server can refuse."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@contextmanager
def opened(place: Place, context: ssl.SSLContext | None = None) -> Iterator[ssl.SSLSocket]:
    """A connection on which the handshake is done and nothing sent.

    Raises:
        OSError: there is no connection, or no handshake.
    """
    bind = (place.source, 0) if place.source else None
    with (
        socket.create_connection((place.address, place.port), timeout=TIMEOUT, source_address=bind) as raw,
        (context or client_context(place.ca)).wrap_socket(raw, server_hostname=place.name) as connection,
    ):
        yield connection


def handshake(place: Place, context: ssl.SSLContext | None = None) -> Handshake:
    """Shake hands and look, once more without verifying where the certificate is refused. Never raises for what the server does."""
    try:
        with opened(place, context) as one:
            return _seen(one)
    except ssl.SSLCertVerificationError as error:
        refused = error.verify_message
    except OSError as error:
        return Handshake(error=str(error) or type(error).__name__)
    try:
        with opened(place, blind_client()) as one:
            return replace(_seen(one), error=refused)
    except OSError:
        return Handshake(error=refused)


def _seen(connection: ssl.SSLSocket) -> Handshake:
    return Handshake(
        version=connection.version() or "",
        suite=(connection.cipher() or ("",))[0],
        alpn=connection.selected_alpn_protocol() or "",
        certificate=x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b""),
    )


def limited_client(ca: Path | None, version: ssl.TLSVersion, suites: str = "ALL") -> ssl.SSLContext:
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
            socket.create_connection((place.address, place.port), timeout=TIMEOUT) as raw,
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
