"""What a load asks for and where, checked and resolved before the first request is due."""

import ipaddress
import math
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import h11

from neurmatic.errors import ConfigurationError

MOST_PER_SECOND = 2000  # beyond, one process of this client measures itself
MOST_SECONDS = 3600
MOST_REQUESTS = 500_000  # the ledger is held in memory: some 200 MB
PORTS = {"http": 80, "https": 443}
OURS = frozenset({"content-length", "transfer-encoding", "connection", "upgrade"})
"""Headers that say how a request is sent, which is the client's own affair."""


@dataclass(frozen=True)
class Load:
    """A constant load. Everything that can be wrong with it is said before anything is sent.

    Attributes:
        url: http or https.
        rate: requests due per second.
        seconds: how long requests are due; the run ends at most `timeout` later.
        method: in capitals.
        headers: beside `Host`, which the URL gives.
        body: sent as it is.
        timeout: seconds from the due moment to the whole answer.
        ca: the only certificate authority that https may chain to; None: the system's.
        address: where to connect instead of the URL's host, which still names the server in TLS and `Host`.
        keep_alive: use connections again, as browsers do; False: a new one for each request.
        connections: the most requests in flight; what is due beyond is in the ledger as never sent.
        expect: the statuses of a good answer; without any, 200 to 399.
        label_header: a header of the answer to note in the ledger, such as one that names the instance.
        anywhere: also on addresses that are neither loopback nor private.

    Raises:
        ConfigurationError: it is not usable as it is.
    """

    url: str
    rate: float
    seconds: float
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    timeout: float = 10
    ca: Path | None = None
    address: str | None = None
    keep_alive: bool = True
    connections: int = 1000
    expect: frozenset[int] = frozenset()
    label_header: str = ""
    anywhere: bool = False

    def __post_init__(self) -> None:
        for what, value, most in (
            ("the rate", self.rate, MOST_PER_SECOND),
            ("the duration in seconds", self.seconds, MOST_SECONDS),
            ("the time limit in seconds", self.timeout, MOST_SECONDS),
            ("the number of connections", self.connections, MOST_REQUESTS),
            ("rate times duration", self.rate * self.seconds, MOST_REQUESTS),
        ):
            if not 0 < value <= most:
                raise ConfigurationError(f"{what} is {value:g}", f"choose more than 0 and at most {most}")

    @property
    def planned(self) -> int:
        """How many requests are due in all: the first at 0 s, the last before `seconds`."""
        return math.ceil(self.rate * self.seconds - 1e-9)


@dataclass(frozen=True)
class Target:
    """Where to connect, and the request that is sent there."""

    addresses: tuple[str, ...]
    port: int
    tls: tuple[ssl.SSLContext, str] | None
    request: h11.Request


def aim(load: Load) -> Target:
    """Look the host up, once, and make the request.

    Raises:
        ConfigurationError: no such URL, host, CA or request; or the host is somebody else's.
    """
    parts = _split(load.url)
    host = parts.hostname or ""
    port = parts.port or PORTS[parts.scheme]
    addresses = _addresses(load.address or host, port)
    strangers = [one for one in addresses if not is_near(one)]
    if strangers and not load.anywhere:
        raise ConfigurationError(
            f"{load.address or host} is {', '.join(strangers)}, which is neither loopback nor private: load is for machines of your own",
            "if it is yours, say so with --anywhere",
        )
    return Target(addresses, port, (_trust(load.ca), host) if parts.scheme == "https" else None, _request(load, parts))


def is_near(address: str) -> bool:
    """Whether an IP address is loopback, private or link-local."""
    one = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(one, ipaddress.IPv6Address):
        one = one.ipv4_mapped or one
    return one.is_loopback or one.is_private or one.is_link_local


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in PORTS and parts.hostname and parts.port != 0
    except ValueError as error:
        raise ConfigurationError(f"{url!r} is no URL: {error}") from None
    if not usable:
        raise ConfigurationError(f"{url!r} is no URL that can be asked", "write it as https://HOST:PORT/PATH")
    if parts.username is not None:
        raise ConfigurationError("the URL has a user in it", "send it as a header: Authorization")
    return parts


def _addresses(host: str, port: int) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"{host} has no address: {error}") from None
    return tuple(dict.fromkeys(str(one[4][0]) for one in found))


def _trust(ca: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:  # SSLError is one
        raise ConfigurationError(f"{ca} is no file of certificates: {error.strerror or error}") from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def _request(load: Load, url: SplitResult) -> h11.Request:
    names = {name.lower() for name in load.headers}
    if taken := names & OURS:
        raise ConfigurationError(f"the header {taken.pop()} is set by the load tool itself")
    if load.method == "CONNECT":
        raise ConfigurationError("CONNECT asks for a tunnel, not for an answer")
    headers = [] if "host" in names else [("Host", url.netloc)]
    headers += [] if "accept" in names else [("Accept", "*/*")]
    headers += [] if "user-agent" in names else [("User-Agent", "neurmatic-load")]
    headers += load.headers.items()
    if load.body or load.method in ("POST", "PUT", "PATCH"):
        headers.append(("Content-Length", str(len(load.body))))
    if not load.keep_alive:
        headers.append(("Connection", "close"))
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    try:
        return h11.Request(method=load.method, target=target, headers=headers)
    except (h11.LocalProtocolError, UnicodeError) as error:
        raise ConfigurationError(
            f"no request can be made of this method, path and headers: {error}",
            "write what isn't ASCII in a path as %XX",
        ) from None
