"""The address of realtime, and what runs behind it as long as the application does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from litestar import Litestar, asgi
from litestar.handlers import ASGIRouteHandler

from neurmatic_backend.core.cache import Cache
from neurmatic_backend.core.database import Database
from neurmatic_backend.realtime.edge import Edge
from neurmatic_backend.realtime.listener import Listener
from neurmatic_backend.realtime.schemas import Announcement
from neurmatic_backend.realtime.sockets import Sockets

PATH = "/socket.io"


def socket_route(sockets: Sockets) -> ASGIRouteHandler:
    """The handler of everything below PATH."""
    return asgi(PATH, is_mount=True, copy_scope=True)(sockets)


def listening(
    database: Database, cache: Cache, edge: Edge, sockets: Sockets
) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """While the application runs, pass on what is announced: to what keeps answers, then to who will ask for them."""

    async def pass_on(one: Announcement) -> None:
        cache.renew(one.change.version)
        await edge.purge(one.slugs)
        if one.told:
            await sockets.tell(one.change)

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        task = asyncio.create_task(Listener(database, pass_on).run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await sockets.close()

    return lifespan
