"""The certificate that a client is given, in a real handshake."""

import contextlib
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509


@dataclass(frozen=True)
class Handshake:
    """What a handshake showed.

    Attributes:
        certificate: the one served; None when there was no handshake at all.
        refused: why a client that verifies would not go on; empty when it would.
    """

    certificate: x509.Certificate | None
    refused: str = ""

    @property
    def serial(self) -> str:
        return f"{self.certificate.serial_number:x}" if self.certificate else ""


def handshake(address: str, port: int, name: str, *, ca: Path | None = None, timeout: float = 5) -> Handshake:
    """Shake hands as a client that asks for `name` and trusts the roots in `ca`, or else the system's. Never raises."""
    refused = ""
    context = ssl.create_default_context(cafile=ca)
    try:
        return Handshake(_served(context, address, port, name, timeout))
    except ssl.SSLCertVerificationError as error:
        refused = error.verify_message
    except OSError as error:
        return Handshake(None, str(error) or type(error).__name__)
    context = ssl.create_default_context()  # once more, to see what was refused
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with contextlib.suppress(OSError):
        return Handshake(_served(context, address, port, name, timeout), refused)
    return Handshake(None, refused)


def _served(context: ssl.SSLContext, address: str, port: int, name: str, timeout: float) -> x509.Certificate:
    with (
        socket.create_connection((address, port), timeout=timeout) as raw,
        context.wrap_socket(raw, server_hostname=name) as wrapped,
    ):
        return x509.load_der_x509_certificate(wrapped.getpeercert(binary_form=True) or b"")
