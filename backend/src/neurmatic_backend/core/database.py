"""PostgreSQL: a pool that may start before its server does, and goes on when it comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

STATEMENT_SECONDS = 10.0
CONNECT_SECONDS = 5.0
GONE = (
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    ConnectionError,
    OSError,
    TimeoutError,
)
"""What it raises when the server is away, hung or overloaded: the request may succeed later."""


class Connection(asyncpg.Connection):
    """A pool's connection. Nothing here changes a session's state, so that giving one back needs no round trip to reset it."""

    def get_reset_query(self) -> str:
        return ""  # an open transaction is still rolled back


class Database:
    """A pool of connections. Opening it connects nowhere: a process serves, not ready, while the server is down."""

    def __init__(self, url: str, size: int, name: str) -> None:
        self._url = url
        self._size = size
        self._name = name
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def open(self) -> None:
        self._pool = await asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=self._size,
            command_timeout=STATEMENT_SECONDS,
            timeout=CONNECT_SECONDS,
            connection_class=Connection,
            server_settings={"application_name": self._name},
        )

    async def close(self) -> None:
        """Give back every connection; those in use get a moment to finish."""
        if self._pool:
            try:
                await asyncio.wait_for(self._pool.close(), timeout=5)
            except TimeoutError:
                self._pool.terminate()

    @property
    def pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        assert self._pool is not None, "the database is used before it was opened"  # noqa: S101  a programming error
        return self._pool

    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None:
        """One row, from a query that changes nothing: a connection that died in the pool is replaced once."""
        try:
            return await self.pool.fetchrow(query, *args)
        except (asyncpg.InterfaceError, asyncpg.PostgresConnectionError, ConnectionError):
            return await self.pool.fetchrow(query, *args)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"]:
        """One connection in one transaction: all of it happens, or nothing."""
        async with self.pool.acquire(timeout=CONNECT_SECONDS) as connection, connection.transaction():
            yield connection

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection of its own, outside the pool: for probes, listeners and migrations."""
        return await asyncpg.connect(
            self._url, timeout=CONNECT_SECONDS, server_settings={"application_name": self._name}
        )
