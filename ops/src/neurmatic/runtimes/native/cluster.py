"""The stack's own PostgreSQL cluster: made once, with a role and a database for the application."""

import contextlib
import time
from pathlib import Path

from neurmatic.errors import NeurmaticError
from neurmatic.hosts.base import Host
from neurmatic.stack.layout import Layout
from neurmatic.stack.postgres import Postgres
from neurmatic.stack.secret import Secret

SUPERUSER = "postgres"

# The last line: a checkpointer that was started while the server recovered sleeps for five minutes before it looks at
# archive_timeout for the first time; a checkpoint wakes it.
# \getenv and :'name' keep the password out of arguments; %L quotes it.
_ROLE_AND_DATABASE = r"""
\set ON_ERROR_STOP on
\getenv app_password APP_PASSWORD
SELECT format('CREATE ROLE %I LOGIN', :'app_user')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'app_user') \gexec
SELECT format('ALTER ROLE %I PASSWORD %L', :'app_user', :'app_password') \gexec
SELECT format('CREATE DATABASE %I OWNER %I', :'app_database', :'app_user')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'app_database') \gexec
CHECKPOINT;
"""


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


def ensure_database(host: Host, postgres: Postgres, program: str, superuser: Secret, password: Secret) -> None:
    """Make the application's role and database where they are missing, and set the role's password."""
    variables = {"app_user": postgres.user, "app_database": postgres.database}
    host.run(
        [
            str(Path(program).with_name("psql")),
            *("--no-psqlrc", "--quiet", "--host", "127.0.0.1", "--port", str(postgres.port)),
            *("--username", SUPERUSER, "--dbname", "postgres"),
            *(word for name, value in variables.items() for word in ("--set", f"{name}={value}")),
        ],
        env={"PGPASSWORD": superuser.reveal(), "APP_PASSWORD": password.reveal(), "LANG": "C.UTF-8"},
        cwd=Path("/"),
        stdin=_ROLE_AND_DATABASE,
        timeout=30,
    )
