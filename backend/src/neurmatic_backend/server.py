"""The HTTP server of one process: uvicorn, taught to drain before it closes its listener, and to answer in one packet."""

import asyncio
import signal
import socket
from types import FrameType
from typing import Any

import uvicorn
from litestar.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from neurmatic_backend.core.lifecycle import Lifecycle
from neurmatic_backend.core.settings import Settings

KEEP_ALIVE_SECONDS = 75  # longer than nginx keeps an upstream connection, so that nginx never uses one being closed
SHUTDOWN_SECONDS = 20
LARGEST_MESSAGE_BYTES = 1024  # of a websocket's client; what it may say is far shorter


class DrainingServer(uvicorn.Server):
    """At the first SIGTERM readiness turns 503 and serving goes on; `drain` seconds later it closes; a second one ends it."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle, drain: float) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._drain = drain
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  the overridden method's
        # Not super(): it would note the signal and end the process by it, with -15 instead of 0.
        if self._lifecycle.draining or self._loop is None or sig == signal.SIGINT:
            self.force_exit = self._lifecycle.draining
            self.should_exit = True
            return
        self._lifecycle.draining = True
        self._loop.call_soon_threadsafe(self._loop.call_later, self._drain, self._close)

    def _close(self) -> None:
        self.should_exit = True


class OnePacket:
    """A transport that sends at once what is written in one turn of the event loop: the head and the body of an answer."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held:
            data = b"".join(self._held)
            self._held.clear()
            self._transport.write(data)


class OnePacketProtocol(HttpToolsProtocol):
    """uvicorn's own writes head and body apart: a system call and a packet more for every answer."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(OnePacket(transport, self.loop))  # type: ignore[arg-type]  # all that it uses


def make_server(app: ASGIApp, settings: Settings, lifecycle: Lifecycle, drain: float) -> DrainingServer:
    """A server at the settings' address; nginx stands before it."""
    config = uvicorn.Config(
        app,
        host=settings.listen_address,
        port=settings.port,
        http=OnePacketProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        backlog=2048,
        ws="wsproto",  # measured: 25 kB for an open connection; websockets takes 28, and compression would take 100 more
        ws_per_message_deflate=False,
        ws_max_size=LARGEST_MESSAGE_BYTES,
        ws_ping_interval=None,  # Socket.IO has its own
    )
    return DrainingServer(config, lifecycle, drain)
