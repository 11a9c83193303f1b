"""Jobs in PostgreSQL: enqueued in the transaction of what they are about, counted, and parked when they kill workers."""

import functools
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec
from pgqueuer import Job, Queries, QueueManager

from neurmatic_backend.core.database import Database

log = logging.getLogger(__name__)

ANALYTICS, ARTICLE_SCHEDULER = "analytics", "article_scheduler"
QUEUES = (ANALYTICS, ARTICLE_SCHEDULER)
MOST_STARTS = 3
KEEP_LOG = timedelta(days=7)

# Both must be short for the job of a killed worker to be taken again soon: measured 4.3 s with these two.
HEARTBEAT = timedelta(seconds=4)
IDLE_POLL = timedelta(seconds=2)

_NOTE_START = """
INSERT INTO job_starts (job_id, starts) VALUES ($1, 1)
ON CONFLICT (job_id) DO UPDATE SET starts = job_starts.starts + 1
RETURNING starts
"""
_NOTE_END = """
WITH gone AS (DELETE FROM job_starts WHERE job_id = $1)
INSERT INTO job_counts (queue, completed) VALUES ($2, 1)
ON CONFLICT (queue) DO UPDATE SET completed = job_counts.completed + 1
"""
# Waiting: due, not merely scheduled. A picked job without a heartbeat is its dead worker's, and waits as well.
_COUNTS = """
SELECT q.name,
       count(j.id) FILTER (WHERE j.status = 'queued' AND j.execute_after <= now()) AS waiting,
       count(j.id) FILTER (WHERE j.status = 'picked') AS active,
       coalesce(max(c.completed), 0) AS completed,
       count(j.id) FILTER (WHERE j.status = 'failed') AS failed
  FROM unnest($1::text[]) AS q (name)
  LEFT JOIN pgqueuer j ON j.entrypoint = q.name
  LEFT JOIN job_counts c ON c.queue = q.name
 GROUP BY q.name
"""
_UNTIL = "SELECT greatest($1::timestamptz - now(), interval '0')"
_PRUNE = "DELETE FROM pgqueuer_log WHERE created < now() - $1::interval"

Handler = Callable[[Any], Awaitable[None]]


class QueueCounts(msgspec.Struct):
    """One queue now; `completed` counts since the beginning."""

    waiting: int
    active: int
    completed: int
    failed: int


class ParkedError(Exception):
    """The job was started too often without coming to an end: it kills its workers."""


async def enqueue(
    connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]",
    queue: str,
    payload: Any,
    due: datetime | None = None,
) -> None:
    """Put a job into a queue, in the connection's transaction; it is taken at `due`, or at once."""
    queries = Queries.from_asyncpg_connection(connection)  # type: ignore[arg-type]  # a proxy has the connection's methods
    # By the server's clock, from which the queue counts on: else a job may come milliseconds before it is due.
    wait = await connection.fetchval(_UNTIL, due) if due else None
    await queries.enqueue(queue, msgspec.json.encode(payload), execute_after=wait)


async def counts(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, QueueCounts]:
    """How each queue stands."""
    rows = await connection.fetch(_COUNTS, list(QUEUES))
    return {row["name"]: QueueCounts(row["waiting"], row["active"], row["completed"], row["failed"]) for row in rows}


async def prune(database: Database) -> None:
    """Forget the queue's log beyond KEEP_LOG; it keeps three rows for each job."""
    await database.pool.execute(_PRUNE, KEEP_LOG)


def register(manager: QueueManager, database: Database, queue: str, handler: Handler) -> None:
    """Have the manager's worker run `handler` for each job of the queue; a failed job stays, visible as failed."""

    @manager.entrypoint(queue, on_failure="hold")
    @functools.wraps(handler)
    async def run(job: Job) -> None:
        starts = await database.pool.fetchval(_NOTE_START, job.id)
        if starts > MOST_STARTS:
            log.error("job parked after %s starts", starts - 1, extra={"job": f"{queue}/{job.id}"})
            raise ParkedError(f"started {starts - 1} times without an end")
        await handler(msgspec.json.decode(job.payload or b"null"))
        await database.pool.execute(_NOTE_END, job.id, queue)
