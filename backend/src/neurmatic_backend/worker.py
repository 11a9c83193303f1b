"""The job worker: takes jobs until it is asked to end, finishes those it has, and outlives the database's absence."""

import asyncio
import logging
import os
import signal
from functools import partial

from pgqueuer import Queries, QueueManager
from pgqueuer.db import AsyncpgDriver

from neurmatic_backend.analytics.service import fold_views
from neurmatic_backend.app import create_worker_probes
from neurmatic_backend.articles.jobs import publish
from neurmatic_backend.core.database import Database
from neurmatic_backend.core.lifecycle import Lifecycle
from neurmatic_backend.core.queues import ANALYTICS, ARTICLE_SCHEDULER, HEARTBEAT, IDLE_POLL, prune, register
from neurmatic_backend.core.settings import Settings
from neurmatic_backend.server import make_server

log = logging.getLogger(__name__)
RETRY_SECONDS = 1.0
PRUNE_SECONDS = 3600


async def run_worker(settings: Settings, lifecycle: Lifecycle) -> None:
    """Run until SIGTERM or SIGINT."""
    database = Database(settings.database_url, settings.database_pool_size, settings.neurmatic_instance)
    await database.open()
    stop = asyncio.Event()
    tasks = [asyncio.create_task(_prune_now_and_then(database))]
    if os.environ.get("PORT"):
        server = make_server(create_worker_probes(settings, lifecycle), settings, lifecycle, drain=0)
        tasks.append(asyncio.create_task(server._serve()))  # noqa: SLF001  serve() less its signals: they are the worker's
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, partial(_end, lifecycle, stop))
    while not stop.is_set():
        try:
            await _take_jobs(database, stop)
        except Exception as error:  # noqa: BLE001  whatever ended it, jobs must be taken again
            log.warning("the queue is not available, trying again: %s", type(error).__name__)
            await asyncio.wait([asyncio.create_task(stop.wait())], timeout=RETRY_SECONDS)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await database.close()


def _end(lifecycle: Lifecycle, stop: asyncio.Event) -> None:
    lifecycle.draining = True
    stop.set()


async def _take_jobs(database: Database, stop: asyncio.Event) -> None:
    """Take jobs on a connection of their own until asked to stop, or until it breaks."""
    connection = await database.connect()
    try:
        manager = QueueManager(Queries(AsyncpgDriver(connection)))
        register(manager, database, ANALYTICS, partial(fold_views, database))
        register(manager, database, ARTICLE_SCHEDULER, partial(publish, database))
        ending = asyncio.create_task(_shut(manager, stop))
        try:
            await manager.run(
                dequeue_timeout=IDLE_POLL, heartbeat_timeout=HEARTBEAT, batch_size=10, shutdown_on_listener_failure=True
            )
        finally:
            ending.cancel()
    finally:
        connection.terminate()


async def _shut(manager: QueueManager, stop: asyncio.Event) -> None:
    await stop.wait()
    manager.shutdown.set()


async def _prune_now_and_then(database: Database) -> None:
    while True:
        await asyncio.sleep(PRUNE_SECONDS)
        try:
            await prune(database)
        except Exception as error:  # noqa: BLE001  it comes round again
            log.warning("the queue's log was not pruned: %s", type(error).__name__)
