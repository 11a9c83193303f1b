"""Composes the slices into one application: the only place that knows all of them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from litestar import Litestar, MediaType, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.types import ASGIApp

from neurmatic_backend.analytics.routes import router as analytics
from neurmatic_backend.articles.routes import router as articles
from neurmatic_backend.core.cache import Cache
from neurmatic_backend.core.database import Database
from neurmatic_backend.core.errors import HANDLERS
from neurmatic_backend.core.lifecycle import Lifecycle
from neurmatic_backend.core.middleware import RequestIds
from neurmatic_backend.core.settings import Settings
from neurmatic_backend.monitoring.probes import Monitor
from neurmatic_backend.monitoring.routes import probes
from neurmatic_backend.monitoring.routes import router as monitoring
from neurmatic_backend.realtime.edge import Edge
from neurmatic_backend.realtime.routes import listening, socket_route
from neurmatic_backend.realtime.sockets import Sockets

PREFIX = "/api/v1"
LARGEST_BODY_BYTES = 1024 * 1024


def create_api(settings: Settings, lifecycle: Lifecycle) -> ASGIApp:
    """The whole API."""
    sockets = Sockets(settings.frontend_url, lifecycle)
    return _create(settings, lifecycle, [articles, analytics, monitoring], sockets)


def create_worker_probes(settings: Settings, lifecycle: Lifecycle) -> ASGIApp:
    """What a worker answers on its own port: whether it is alive and ready."""
    return _create(settings, lifecycle, [probes])


def _create(settings: Settings, lifecycle: Lifecycle, routers: list[Router], sockets: Sockets | None = None) -> ASGIApp:
    database = Database(settings.database_url, settings.database_pool_size, settings.neurmatic_instance)
    cache = Cache(settings.redis_url)
    monitor = Monitor(database, settings.redis_url, lifecycle)
    edge = Edge(settings.edge_purge_url, PREFIX)
    resources: dict[str, Any] = {"database": database, "cache": cache, "monitor": monitor, "lifecycle": lifecycle}
    app = Litestar(
        route_handlers=[Router(PREFIX, route_handlers=routers), *([socket_route(sockets)] if sockets else [])],
        dependencies={name: Provide(_always(value), sync_to_thread=False) for name, value in resources.items()},
        exception_handlers=HANDLERS,
        state=State({"database": database}),
        lifespan=[_opened(database, cache, monitor), *([listening(database, cache, edge, sockets)] if sockets else [])],
        openapi_config=OpenAPIConfig(
            title="Neurmatic platform",
            version="1",
            path=f"{PREFIX}/openapi.json",
            render_plugins=[JsonRenderPlugin(path="/", media_type=MediaType.JSON)],
        ),
        request_max_body_size=LARGEST_BODY_BYTES,
        logging_config=None,  # its own would replace ours: a line for every request, in production too
        signature_types=[Database, Cache, Monitor, Lifecycle],
    )
    return RequestIds(app, lifecycle)


def _always(value: Any) -> Callable[[], Any]:
    return lambda: value


def _opened(
    database: Database, cache: Cache, monitor: Monitor
) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        await database.open()
        yield
        await monitor.close()
        await cache.close()
        await database.close()

    return lifespan
