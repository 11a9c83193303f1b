"""The questions behind the health answers: each with a time limit, all at once, shared for at most a second."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec
from redis.asyncio import Redis

from neurmatic_backend.core.database import Database
from neurmatic_backend.core.lifecycle import Lifecycle
from neurmatic_backend.core.queues import QUEUES, QueueCounts, counts
from neurmatic_backend.monitoring.memory import ALERT_PERCENT, Memory, MemoryWatch

log = logging.getLogger(__name__)
DATABASE_SECONDS, REDIS_SECONDS = 2.0, 1.0
SLOW_DATABASE_MS, SLOW_REDIS_MS = 1000.0, 500.0
MOST_WAITING, MOST_FAILED = 100, 50
SHARED_SECONDS = 1.0


class Server(msgspec.Struct):
    """A server that the platform stands on, as its clients see it."""

    status: str
    critical: bool
    latency_ms: float
    detail: str = ""


class Queues(msgspec.Struct):
    """The job queues; `unknown` when the database can't tell."""

    status: str
    critical: bool
    detail: str
    queues: dict[str, QueueCounts]


class Checks(msgspec.Struct):
    """The four parts of health."""

    database: Server
    redis: Server
    queues: Queues
    memory: Memory


class Health(msgspec.Struct):
    """The overall answer: `healthy`, `degraded` or `unhealthy`."""

    status: str
    release: str
    instance: str
    uptime_s: float
    checked_at: datetime
    checks: Checks


class Monitor:
    """Asks, and shares what it learned. Its connections are its own: a hung pool can't hide a hung server."""

    def __init__(self, database: Database, redis_url: str, lifecycle: Lifecycle) -> None:
        self._database = database
        self._redis = Redis.from_url(redis_url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS)
        self._lifecycle = lifecycle
        self._memory = MemoryWatch()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._answer: tuple[float, Health] | None = None
        self._asking: asyncio.Task[Health] | None = None

    async def close(self) -> None:
        self._drop_connection()
        with contextlib.suppress(Exception):
            await self._redis.aclose()

    async def health(self) -> Health:
        """The state of everything, at most SHARED_SECONDS old; however many ask, each probe runs once."""
        if self._answer and time.monotonic() - self._answer[0] < SHARED_SECONDS:
            return self._answer[1]
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> Health:
        begun = time.monotonic()
        (database, queues), redis = await asyncio.gather(self._ask_database(), self._ask_redis())
        memory = self._memory.look()
        if memory.used_percent > ALERT_PERCENT:
            log.error("memory alert: %s %% of %s bytes", memory.used_percent, memory.limit_bytes)
        checks = Checks(database, redis, queues, memory)
        answer = Health(
            overall_status(checks),
            self._lifecycle.release,
            self._lifecycle.instance,
            round(self._lifecycle.uptime_s, 1),
            datetime.now(UTC),
            checks,
        )
        self._answer = (begun, answer)
        return answer

    async def _ask_database(self) -> tuple[Server, Queues]:
        """SELECT 1 first, then the queues on the same connection, both within the one limit."""
        begun = time.monotonic()
        queues = Queues("unknown", False, "the database does not answer", {})
        server, connection = await _timed(self._select_one, DATABASE_SECONDS, SLOW_DATABASE_MS, critical=True)
        if connection is None:
            self._drop_connection()
            return server, queues
        try:
            left = max(0.1, DATABASE_SECONDS - (time.monotonic() - begun))
            found = await asyncio.wait_for(counts(connection), left)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            self._drop_connection()
            queues.detail = "the queues can't be counted: " + type(error).__name__
            return server, queues
        return server, _judged(found)

    async def _select_one(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._database.connect()
        await self._connection.fetchval("SELECT 1")
        return self._connection

    def _drop_connection(self) -> None:
        """Without a farewell: the server may be hung."""
        if self._connection:
            self._connection.terminate()
            self._connection = None

    async def _ask_redis(self) -> Server:
        async def ping() -> bool:
            return bool(await self._redis.ping())

        server, _ = await _timed(ping, REDIS_SECONDS, SLOW_REDIS_MS, critical=False)
        return server


async def _timed(
    probe: Callable[[], Awaitable[Any]], limit: float, slow_ms: float, *, critical: bool
) -> tuple[Server, Any]:
    """Run one probe; what it returned is None when it failed or took too long."""
    begun = time.monotonic()
    try:
        result = await asyncio.wait_for(probe(), limit)
    except Exception as error:  # noqa: BLE001  whatever it is, the server did not answer
        detail = f"no answer within {limit:g} s" if isinstance(error, TimeoutError) else type(error).__name__
        return Server("down", critical, round((time.monotonic() - begun) * 1000, 1), detail), None
    latency = round((time.monotonic() - begun) * 1000, 1)
    slow = latency > slow_ms
    return Server("slow" if slow else "up", critical, latency, f"over {slow_ms:g} ms" if slow else ""), result


def _judged(found: dict[str, QueueCounts]) -> Queues:
    over = [f"{name}: {one.waiting} waiting" for name, one in found.items() if one.waiting > MOST_WAITING]
    over += [f"{name}: {one.failed} failed" for name, one in found.items() if one.failed > MOST_FAILED]
    ordered = {name: found[name] for name in QUEUES if name in found}
    return Queues("degraded" if over else "up", False, ", ".join(over), ordered)


def overall_status(checks: Checks) -> str:
    """The one word: the database decides between unhealthy and the rest; anything else only degrades."""
    if checks.database.status == "down":
        return "unhealthy"
    parts = (checks.database, checks.redis, checks.queues, checks.memory)
    return "healthy" if all(part.status == "up" for part in parts) else "degraded"
