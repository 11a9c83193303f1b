"""HTTP/1.1 connections for a load: many at once in one thread, kept alive, and clear about how one ended."""

import asyncio
import errno
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

import h11

from neurmatic.probes.ledger import Lost

HERE = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM})
"""Errors of opening a connection that are this machine's own, before anything was sent."""
NO_WAY = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENETUNREACH})
"""What an address of a family says that this machine doesn't have; it tells nothing of the server."""


@dataclass(frozen=True)
class Reply:
    """A whole answer: its status, the size of its body in bytes, and what the header asked for said."""

    status: int
    size: int
    label: str


class Connection(asyncio.Protocol):
    """One connection; one request at a time.

    Attributes:
        heard: whether a byte came back since the last request was sent.
        closed: by either side; nothing can be sent any more.
        gone: set when the system has closed it, too.

    Args:
        label_header: noted in each Reply.
        register: it stands there as long as it is open.
    """

    def __init__(self, label_header: str, register: set["Connection"]) -> None:
        self.heard = False
        self.closed = False
        self.gone = asyncio.Event()
        self._register = register
        self._label_header = label_header.lower().encode()
        self._http = h11.Connection(h11.CLIENT)
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[Reply] | None = None
        self._status, self._size, self._label = 0, 0, ""

    def send(self, request: h11.Request, body: bytes) -> asyncio.Future[Reply]:
        """Send a request.

        Returns:
            Its whole answer; or OSError when the connection ended first, or h11.RemoteProtocolError when it isn't HTTP.
        """
        assert self._transport  # noqa: S101  the pool gives out open connections only
        self.heard = False
        self._status, self._size, self._label = 0, 0, ""
        self._reply = asyncio.get_running_loop().create_future()
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        parts = [self._http.send(request), self._http.send(h11.Data(body)) if body else b""]
        self._transport.write(b"".join(part or b"" for part in [*parts, self._http.send(h11.EndOfMessage())]))
        return self._reply

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent: both sides are through with the last one and keep the connection."""
        through = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        return through and not self.closed and not self._http.trailing_data[0]

    def close(self) -> None:
        """Take leave as HTTP and TLS have it."""
        if self._transport and not self.closed:  # a second close() breaks a TLS transport of Python 3.11
            self._transport.close()
        self.closed = True

    def abort(self) -> None:
        """Cut it off."""
        self.closed = True
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  as asyncio has it for TCP and TLS
        self._transport = transport
        self._register.add(self)

    def data_received(self, data: bytes) -> None:
        if self._reply is None or self._reply.done():
            self.abort()  # an answer that nobody asked for: a server's good-bye, such as 408
            return
        self.heard = True
        try:
            self._http.receive_data(data)
            self._read()
        except h11.RemoteProtocolError as error:
            self._fail(error)

    def eof_received(self) -> None:
        try:
            self._http.receive_data(b"")
            self._read()  # an answer without a length ends with its connection
        except h11.RemoteProtocolError:
            self._fail(ConnectionResetError("the server closed the connection before the answer's end"))
        self.closed = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._register.discard(self)
        self.gone.set()
        self._fail(exc or ConnectionResetError("the connection was closed before the answer's end"))

    def _read(self) -> None:
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Response):
                self._status = event.status_code
                self._label = next((v.decode("latin-1") for k, v in event.headers if k == self._label_header), "")
            elif isinstance(event, h11.Data):
                self._size += len(event.data)
            elif isinstance(event, h11.EndOfMessage):
                if self._reply and not self._reply.done():
                    self._reply.set_result(Reply(self._status, self._size, self._label))
                return
            elif not isinstance(event, h11.InformationalResponse):
                return  # more is to come, or nothing more can

    def _fail(self, error: Exception) -> None:
        if self._reply and not self._reply.done():
            self._reply.set_exception(error)


class Pool:
    """Connections to one server: idle ones, newest first, and new ones.

    Args:
        addresses: IP addresses, so that no name is looked up while the clock runs; the first that takes a connection is used.
        tls: and the name that the certificate must have.
        label_header: noted in each Reply.
    """

    def __init__(
        self, addresses: Sequence[str], port: int, tls: tuple[ssl.SSLContext, str] | None, label_header: str
    ) -> None:
        self._addresses, self._port, self._tls, self._label_header = addresses, port, tls, label_header
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()

    def take(self) -> Connection | None:
        """An idle connection that hasn't been closed yet, as far as is known here."""
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
            connection.close()
        return None

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for another request."""
        self._idle.append(connection)

    async def open(self) -> Connection:
        """Open a new connection.

        Raises:
            OSError: the most telling one, when no address took it.
        """
        context, name = self._tls or (None, None)
        errors: list[OSError] = []
        for address in self._addresses:
            try:
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self._label_header, self._open),
                    *(address, self._port),
                    ssl=context,
                    server_hostname=name,
                )
            except (ConnectionResetError, ssl.SSLError):
                raise  # somebody took it, and that is an answer
            except OSError as error:
                errors.append(error)
            else:
                return connection
        raise next((error for error in errors if error.errno not in NO_WAY), errors[-1])

    async def close(self) -> None:
        """Cut off what is still open."""
        for connection in self._open:
            connection.abort()
        gone = [asyncio.create_task(one.gone.wait()) for one in self._open]
        if gone:
            await asyncio.wait(gone, timeout=1)


def explain(error: Exception, *, connected: bool) -> tuple[Lost, str]:
    """Why there is no answer, and in whose words."""
    detail = (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__
    if isinstance(error, h11.RemoteProtocolError):
        return Lost.MALFORMED, detail
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ConnectionResetError | BrokenPipeError):
        return Lost.CUT, detail
    if isinstance(error, ssl.SSLError):
        return Lost.TLS, detail
    if isinstance(error, OSError) and error.errno in HERE and not connected:
        return Lost.NEVER_SENT, detail
    return (Lost.CUT if connected else Lost.REFUSED), detail
