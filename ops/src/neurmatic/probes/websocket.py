"""A websocket from a client's side: whether it opens, whether it stays, and what it is told."""

import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    Message,
    Ping,
    RejectConnection,
    RejectData,
    Request,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from neurmatic.probes.http import Answer
from neurmatic.probes.tls import Place, opened

ANSWER_SECONDS = 10.0
_HANDSHAKE = (AcceptConnection, RejectConnection, RejectData)


class Websocket:
    """A connection on which a websocket was asked for, as a page of the site asks for one.

    Attributes:
        answer: 101 when it was opened.
        is_open: nobody has closed it yet, as far as is known here.
        code: with which it was closed, such as 1012 by a server that restarts; None where nobody said so.

    Args:
        site: its base URL, which is the page's origin, too.
        path: with the query.
    """

    def __init__(self, connection: socket.socket, site: str, path: str) -> None:
        self._connection = connection
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._waiting: deque[Event] = deque()
        self._part = ""
        self.is_open = True
        self.code: int | None = None
        origin = [(b"Origin", site.encode())]
        self._send(Request(host=urlsplit(site).netloc, target=path, extra_headers=origin))
        self.answer = self._answered()

    def say(self, text: str) -> None:
        """Send one message."""
        self._send(Message(data=text))

    def listen(self, seconds: float) -> list[str]:
        """What it is told in this time."""
        return list(self._told(seconds))

    def hears(self, words: str, seconds: float) -> bool:
        """Whether a message that contains the words comes in this time; those before it are passed over."""
        return any(words in message for message in self._told(seconds))

    def _told(self, seconds: float) -> Iterator[str]:
        until = time.monotonic() + seconds
        while (event := self._next(until)) is not None:
            if isinstance(event, Ping):
                self._send(event.response())
            elif isinstance(event, Message):
                self._part += event.data if isinstance(event.data, str) else event.data.decode(errors="replace")
                if event.message_finished:
                    message, self._part = self._part, ""
                    yield message

    def _answered(self) -> Answer:
        begun = time.monotonic()
        status, fields, body = 0, [], b""
        while isinstance(event := self._next(begun + ANSWER_SECONDS), _HANDSHAKE):
            if isinstance(event, RejectData):
                body += event.data
            else:
                status = event.status_code if isinstance(event, RejectConnection) else 101
                headers = event.headers if isinstance(event, RejectConnection) else event.extra_headers
                fields = [(name.decode().lower(), value.decode("latin-1")) for name, value in headers]
            if isinstance(event, AcceptConnection) or (isinstance(event, RejectData) and event.body_finished):
                break
        self.is_open = self.is_open and status == 101  # noqa: PLR2004  HTTP's own number
        error = "" if status else "no answer"
        return Answer(status, dict(fields), body, time.monotonic() - begun, error, tuple(fields))

    def _next(self, until: float) -> Event | None:
        """The next thing that comes; None when none does by then, or none will."""
        while self.is_open and not self._waiting:
            self._connection.settimeout(max(0.01, until - time.monotonic()))
            try:
                self._protocol.receive_data(self._connection.recv(65536) or None)
                self._waiting.extend(self._protocol.events())
            except TimeoutError:
                return None
            except (OSError, RemoteProtocolError):
                self.is_open = False
        event = self._waiting.popleft() if self._waiting else None
        if isinstance(event, CloseConnection):
            self.is_open, self.code = False, event.code
        return event

    def _send(self, event: Event) -> None:
        try:
            self._connection.sendall(self._protocol.send(event))
        except (OSError, LocalProtocolError):  # the other end is gone, or has said that it goes
            self.is_open = False


@contextmanager
def through_edge(place: Place, site: str, path: str) -> Iterator[Websocket]:
    """A websocket asked for over TLS.

    Raises:
        OSError: there is no connection, or no handshake.
    """
    with opened(place) as connection:
        yield Websocket(connection, site, path)


@contextmanager
def at_instance(port: int, site: str, path: str) -> Iterator[Websocket]:
    """One asked for at an instance itself, past the edge.

    Raises:
        OSError: there is no connection.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS) as connection:
        yield Websocket(connection, site, path)
