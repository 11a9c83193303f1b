"""A PostgreSQL server as its client sees it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

import psycopg
from psycopg import sql

from neurmatic.errors import NeurmaticError
from neurmatic.stack.secret import Secret

CONNECT_SECONDS = 5
Connection = psycopg.Connection[tuple[Any, ...]]


class DatabaseError(NeurmaticError):
    """The database could not be asked, or refused."""


@dataclass(frozen=True)
class Address:
    """Where a server answers on this machine, as the superuser."""

    port: int
    database: str
    password: Secret
    user: str = "postgres"
    host: str = "127.0.0.1"

    def to(self, database: str) -> Self:
        """The same server, another database."""
        return replace(self, database=database)

    def words(self) -> tuple[str, ...]:
        """Options by which PostgreSQL's own programs get there; the password is in their environment."""
        where = ("--host", self.host, "--port", str(self.port), "--username", self.user)
        return (*where, "--no-password", "--dbname", self.database)

    @contextmanager
    def connected(self, *, autocommit: bool = True) -> Iterator[Connection]:
        """A connection.

        Raises:
            DatabaseError: there is none, or a statement in the block failed.
        """
        try:
            with psycopg.connect(
                host=self.host,
                port=self.port,
                dbname=self.database,
                user=self.user,
                password=self.password.reveal(),
                connect_timeout=CONNECT_SECONDS,
                autocommit=autocommit,
                application_name="neurmatic",
            ) as connection:
                yield connection
        except psycopg.OperationalError as error:
            raise DatabaseError(
                f"PostgreSQL, database {self.database} on port {self.port}: {str(error).strip()}",
                "see `neurmatic status` and `neurmatic logs postgres`",
            ) from error
        except psycopg.Error as error:
            raise DatabaseError(f"PostgreSQL, database {self.database}: {str(error).strip()}") from error

    def answers(self) -> bool:
        """Whether it takes connections now; waits a moment when it doesn't.

        Raises:
            DatabaseError: it knows another password, which no waiting will change.
        """
        try:
            with self.connected():
                return True
        except DatabaseError as error:
            if "authentication failed" in str(error):
                raise
            time.sleep(0.1)
            return False


def value(connection: Connection, query: str, *args: object) -> Any:
    """The first value of the first row."""
    row = connection.execute(query.encode(), args or None).fetchone()
    return row[0] if row else None


def named(template: str, *names: str) -> sql.Composed:
    """A statement with names quoted into its {}."""
    return sql.SQL(template).format(*(sql.Identifier(name) for name in names))


def cluster_bytes(connection: Connection) -> int:
    """Size of all databases of the server: what a disaster takes."""
    return int(value(connection, "SELECT sum(pg_database_size(oid)) FROM pg_database"))
