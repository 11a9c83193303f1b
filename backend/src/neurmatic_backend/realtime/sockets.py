"""The Socket.IO server of one instance: open pages connect, listen, and have nothing to say.

Websocket is the only transport. Long polling spreads one connection over many requests, and those would have to
reach the same instance; the edge sends each request to the least busy one.
"""

import resource
from typing import Any
from urllib.parse import urlsplit

import msgspec
import socketio
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.types import Receive, Scope, Send

from neurmatic_backend.core.lifecycle import Lifecycle
from neurmatic_backend.realtime.schemas import Change, new_version

EVENT = "changed"
MOST_CLIENTS = 2000  # 43 kB each, measured
PING_SECONDS, PONG_SECONDS = 25, 20
LARGEST_MESSAGE_BYTES = 1024
_SAID_BY_CLIENTS = ("3", "40", "41", "1")  # pong, connect, disconnect, close: all that the protocol needs of them


class Sockets:
    """An ASGI application. Every client is told each change, and at its connection which version is the present one."""

    def __init__(self, site_url: str, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._version = new_version()
        self._most = most_clients(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        self._server = socketio.AsyncServer(
            async_mode="asgi",
            transports=["websocket"],
            cors_allowed_origins=[origin(site_url)],
            namespaces=["/"],
            always_connect=True,
            ping_interval=PING_SECONDS,
            ping_timeout=PONG_SECONDS,
            max_http_buffer_size=LARGEST_MESSAGE_BYTES,
            http_compression=False,
        )
        self._server.on("connect", self._greet)
        self._app = socketio.ASGIApp(self._server, socketio_path=None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.WEBSOCKET:
            raise HTTPException(status_code=400, detail="This address takes websockets only.")
        if self._lifecycle.draining or len(self._server.eio.sockets) >= self._most:
            await send({"type": "websocket.close", "code": 1013, "reason": "try again later"})
            return
        await self._app(scope, _only_needed(receive), send)

    async def tell(self, change: Change) -> None:
        """Tell every client of this instance."""
        self._version = change.version
        await self._server.emit(EVENT, msgspec.to_builtins(change))

    async def close(self) -> None:
        """End what the server does in the background; its clients' connections are the HTTP server's to close."""
        await self._server.shutdown()

    async def _greet(self, sid: str, _environ: Any, _auth: Any) -> None:
        await self._server.emit(EVENT, msgspec.to_builtins(Change(self._version)), to=sid)


def most_clients(open_files: int) -> int:
    """How many an instance takes: each holds a file descriptor, and half of them are left for everything else."""
    return MOST_CLIENTS if open_files == resource.RLIM_INFINITY else min(MOST_CLIENTS, open_files // 2)


def origin(url: str) -> str:
    """Scheme, host and port of an address: what a browser says a page is from."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _only_needed(receive: Receive) -> Receive:
    """Leave out whatever else a client sends, before anything takes it apart or keeps it."""

    async def receive_needed() -> Any:
        while True:
            message: Any = await receive()
            if message["type"] != "websocket.receive" or (message.get("text") or "").startswith(_SAID_BY_CLIENTS):
                return message

    return receive_needed
