"""The stack's own PostgreSQL cluster: made once, with a role and a database for the application."""

import contextlib
import time
from pathlib import Path
from typing import NamedTuple

from neurmatic.errors import NeurmaticError
from neurmatic.hosts.base import Host
from neurmatic.render.postgres import ROLE_AND_DATABASE
from neurmatic.stack.layout import Layout
from neurmatic.stack.postgres import Postgres
from neurmatic.stack.secret import Secret

SUPERUSER = "postgres"


def cluster_exists(host: Host, layout: Layout) -> bool:
    """Whether the data folder holds a whole cluster; it appears at once or not at all."""
    return host.exists(layout.data / "postgres" / "PG_VERSION")


def create_cluster(host: Host, layout: Layout, postgres_program: str, password: Secret, user: str | None) -> None:
    """Make the cluster beside its final place, then rename it there: a killed attempt leaves nothing that counts."""
    # A name of its own each time: the initdb of a killed attempt may still be writing.
    unfinished = layout.data / f"postgres.unfinished-{time.time_ns()}"
    password_file = layout.run / "initdb.password"
    for name in host.names(layout.data):
        if name.startswith("postgres.unfinished-"):
            with contextlib.suppress(NeurmaticError):
                host.remove(layout.data / name)
    host.make_folder(layout.data, owner=user)
    host.write(password_file, password.reveal() + "\n", mode=0o600, owner=user)
    try:
        host.run(
            [
                str(Path(postgres_program).with_name("initdb")),
                *("--pgdata", str(unfinished), "--username", SUPERUSER, "--pwfile", str(password_file)),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--data-checksums"),
            ],
            env={"LANG": "C.UTF-8"},
            cwd=layout.run,
            user=user,
            timeout=120,
        )
    finally:
        host.remove(password_file)
    host.rename(unfinished, layout.data / "postgres")


class Server(NamedTuple):
    """A running server, to be asked as its superuser.

    Attributes:
        program: full path of `postgres`, beside which psql lies.
        address: where it listens.
    """

    postgres: Postgres
    program: str
    superuser: Secret
    address: str


def ask(host: Host, server: Server, query: str) -> str:
    """The answer of the application's database to a query, as text; read only."""
    postgres, program, superuser, address = server
    said = host.run(
        [
            str(Path(program).with_name("psql")),
            *("--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--host", address),
            *("--port", str(postgres.port), "--username", SUPERUSER, "--dbname", postgres.database),
        ],
        env={"PGPASSWORD": superuser.reveal(), "PGOPTIONS": "-c default_transaction_read_only=on", "LANG": "C.UTF-8"},
        cwd=Path("/"),
        stdin=query,
        timeout=30,
    )
    return said.out.strip()


def ensure_database(host: Host, server: Server, password: Secret) -> None:
    """Make the application's role and database where they are missing, and set the role's password."""
    postgres, program, superuser, address = server
    variables = {"app_user": postgres.user, "app_database": postgres.database}
    host.run(
        [
            str(Path(program).with_name("psql")),
            *("--no-psqlrc", "--quiet", "--host", address, "--port", str(postgres.port)),
            *("--username", SUPERUSER, "--dbname", "postgres"),
            *(word for name, value in variables.items() for word in ("--set", f"{name}={value}")),
        ],
        env={"PGPASSWORD": superuser.reveal(), "APP_PASSWORD": password.reveal(), "LANG": "C.UTF-8"},
        cwd=Path("/"),
        stdin=ROLE_AND_DATABASE,
        timeout=30,
    )
