"""One HTTP request as a client makes it, with a time limit on the whole of it."""

import http.client
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit


@dataclass(frozen=True)
class Answer:
    """What came back. Without an answer `status` is 0 and `error` says why.

    Attributes:
        headers: names in lower case; the last one of several.
        fields: every header as it came, names in lower case.
        seconds: from before the connection to the last byte.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0
    error: str = ""
    fields: tuple[tuple[str, str], ...] = ()

    def every(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for field, value in self.fields if field == name.lower()]

    def json(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def __str__(self) -> str:
        return f"{self.status} in {self.seconds * 1000:.0f} ms" if self.status else f"no answer: {self.error}"


def request(  # noqa: PLR0913  a request has this many aspects; all but the first are by keyword
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float = 5,
    ca: Path | None = None,
    address: str | None = None,
    source: str | None = None,
) -> Answer:
    """Make one request and never raise.

    Args:
        url: http or https.
        method: in capitals.
        headers: beside `Host`, which the URL gives.
        body: sent as it is.
        timeout: seconds for each wait on the socket.
        ca: the certificate authorities, intermediate ones too, that https must chain to.
        address: where to connect instead of the URL's host, which still names the server in TLS and `Host`.
        source: the address to ask from; on loopback every 127.x.y.z will do.
    """
    parts = urlsplit(url)
    begun = time.monotonic()
    connection: http.client.HTTPConnection | None = None
    try:
        connection = _connection(parts, timeout, ca, address, source)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body=body, headers={"Host": parts.netloc, **(headers or {})})
        answer = connection.getresponse()
        content = answer.read()
        fields = tuple((name.lower(), value) for name, value in answer.getheaders())
        return Answer(answer.status, dict(fields), content, time.monotonic() - begun, fields=fields)
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, seconds=time.monotonic() - begun, error=str(error) or type(error).__name__)
    finally:
        if connection:
            connection.close()


def _connection(
    url: SplitResult, timeout: float, ca: Path | None, address: str | None, source: str | None
) -> http.client.HTTPConnection:
    host = url.hostname or ""
    bind = (source, 0) if source else None
    if url.scheme == "http":
        return http.client.HTTPConnection(address or host, url.port, timeout=timeout, source_address=bind)
    import ssl  # noqa: PLC0415  slow to import; plain HTTP is what `status` asks

    context = ssl.create_default_context(cafile=ca)
    if ca:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    connection = http.client.HTTPSConnection(host, url.port, timeout=timeout, context=context)
    if address:
        raw = socket.create_connection((address, connection.port), timeout=timeout, source_address=bind)
        try:
            connection.sock = context.wrap_socket(raw, server_hostname=host)
        except BaseException:
            raw.close()
            raise
    return connection
