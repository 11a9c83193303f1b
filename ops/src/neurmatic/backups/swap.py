"""Two databases of one server change places, in one transaction: clients see the one or the other, and never none."""

import contextlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg

from neurmatic.backups.database import Address, named, value
from neurmatic.errors import NeurmaticError

LONGEST_NAME = 63
"""Bytes of a name in PostgreSQL."""
UNFINISHED = "restored"
"""In the name of a database that is still being restored."""
_RENAMES = 3
"""Each try waits five seconds for others to leave, as PostgreSQL does it."""


def beside(database: str, word: str) -> str:
    """A name for a database beside this one, such as ``app_before_20261126t020000``."""
    suffix = f"_{word}_{datetime.now(UTC):%Y%m%dt%H%M%S}"
    return database[: LONGEST_NAME - len(suffix)] + suffix


def swap(server: Address, database: str, restored: str) -> str:
    """Give `restored` the name `database`; returns the name under which the one before is kept.

    Whoever is connected to `database` is cut off, and meets the restored one when connecting again. A connection that
    is opened meanwhile waits. A process killed in the middle leaves everything as it was: the server rolls back.

    Raises:
        DatabaseError: somebody could not be cut off; nothing has changed.
    """
    kept = beside(database, "before")
    with server.to("postgres").connected(autocommit=False) as connection, _cut_off(server, database):
        for attempt in range(_RENAMES):
            try:
                with connection.transaction():
                    connection.execute(named("ALTER DATABASE {} RENAME TO {}", database, kept))
                    connection.execute(named("ALTER DATABASE {} RENAME TO {}", restored, database))
                break
            except psycopg.errors.ObjectInUse:
                if attempt == _RENAMES - 1:
                    raise
    return kept


@contextlib.contextmanager
def _cut_off(server: Address, database: str) -> Iterator[None]:
    """End every connection to the database, again and again, while the block runs."""
    done = threading.Event()

    def cut() -> None:
        with contextlib.suppress(NeurmaticError), server.to("postgres").connected() as connection:
            while True:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,)
                )
                if done.wait(0.05):
                    return

    thread = threading.Thread(target=cut, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def rename(server: Address, database: str, name: str) -> None:
    """Give a database to which nobody is connected another name."""
    with server.to("postgres").connected() as connection:
        connection.execute(named("ALTER DATABASE {} RENAME TO {}", database, name))


def exists(server: Address, database: str) -> bool:
    """Whether the server has a database of this name."""
    with server.to("postgres").connected() as connection:
        return bool(value(connection, "SELECT 1 FROM pg_database WHERE datname = %s", database))


def drop(server: Address, database: str) -> None:
    """Drop a database, whoever is connected to it."""
    with server.to("postgres").connected() as connection:
        connection.execute(named("DROP DATABASE IF EXISTS {} WITH (FORCE)", database))


def drop_unfinished(server: Address) -> list[str]:
    """Drop the databases that killed restores left half made, and name them; no restore may be under way."""
    with server.to("postgres").connected() as connection:
        rows = connection.execute(
            "SELECT datname FROM pg_database WHERE datname ~ %s ORDER BY 1", (rf"_{UNFINISHED}_\d{{8}}t\d{{6}}$",)
        ).fetchall()
    for (name,) in rows:
        drop(server, name)
    return [str(name) for (name,) in rows]


def kept_before(server: Address, database: str) -> list[tuple[str, int]]:
    """Databases that earlier restores put aside, with their sizes in bytes."""
    with server.to("postgres").connected() as connection:
        rows = connection.execute(
            "SELECT datname, pg_database_size(datname) FROM pg_database WHERE datname LIKE %s ORDER BY 1",
            (f"{database}\\_before\\_%",),
        ).fetchall()
    return [(str(name), int(size)) for name, size in rows]
