"""Migrations: numbered SQL files, each applied once, in its own transaction, under a lock, its checksum recorded.

Home-made because the libraries for plain SQL files need a second, synchronous driver; this is forty lines on asyncpg.
"""

import hashlib
from importlib.resources import files
from typing import NamedTuple

import asyncpg
from pgqueuer import Queries

LOCK = 8_020_251_123  # any number, as long as it stays the same
TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    name text PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


class MigrationError(Exception):
    """A migration that was applied has been changed since."""


class Migration(NamedTuple):
    """One file of migrations/."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """All of them, in their order."""
    folder = files("neurmatic_backend") / "migrations"
    return sorted(Migration(one.name, one.read_text("utf-8")) for one in folder.iterdir() if one.name.endswith(".sql"))


async def migrate(connection: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    """Apply what is missing; several processes may call this at once. Returns the names of what was applied.

    Raises:
        MigrationError: an applied file differs from the one here.
    """
    await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
    try:
        await connection.execute(TABLE)
        done = {
            row["name"]: row["checksum"]
            for row in await connection.fetch("SELECT name, checksum FROM schema_migrations")
        }
        applied = []
        for one in migrations():
            if one.name in done:
                if done[one.name] != one.checksum:
                    raise MigrationError(
                        f"{one.name} was changed after it had been applied; write a new migration instead"
                    )
                continue
            async with connection.transaction():
                await connection.execute(one.sql)
                await connection.execute(
                    "INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)", one.name, one.checksum
                )
            applied.append(one.name)
        if await _bring_queue_up_to_date(connection):
            applied.append("queue")
        return applied
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)


async def _bring_queue_up_to_date(connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
    """The queue's tables are its library's own business; True when they were made."""
    queries = Queries.from_asyncpg_connection(connection)
    if await queries.has_table("pgqueuer"):
        await queries.upgrade()
        return False
    await queries.install()
    return True
