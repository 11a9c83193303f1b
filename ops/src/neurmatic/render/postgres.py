"""PostgreSQL's configuration: every setting that differs from the server's own default."""

from neurmatic.render.backup import archive_settings
from neurmatic.render.file import File, Files
from neurmatic.render.places import LOOPBACK, Places
from neurmatic.stack.backup import Backup
from neurmatic.stack.layout import Layout
from neurmatic.stack.postgres import Postgres

CONFIG = "config/postgresql/postgresql.conf"
ACCESS = "config/postgresql/pg_hba.conf"

# The last line: a checkpointer that was started while the server recovered sleeps for five minutes before it looks at
# archive_timeout for the first time; a checkpoint wakes it.
# \getenv and :'name' keep the password out of arguments; %L quotes it.
ROLE_AND_DATABASE = r"""
\set ON_ERROR_STOP on
\getenv app_password APP_PASSWORD
SELECT format('CREATE ROLE %I LOGIN', :'app_user')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'app_user') \gexec
SELECT format('ALTER ROLE %I PASSWORD %L', :'app_user', :'app_password') \gexec
SELECT format('CREATE DATABASE %I OWNER %I', :'app_database', :'app_user')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'app_database') \gexec
CHECKPOINT;
"""
"""psql's script that makes the application's role and database where they are missing, and sets the password."""


def render_postgres(postgres: Postgres, backup: Backup | None, layout: Layout, places: Places = LOOPBACK) -> Files:
    """Files for the cluster in the state folder; it is configured from outside its data folder."""
    access = "# TYPE DATABASE USER ADDRESS METHOD\n"
    access += "".join(f"host all all {network} scram-sha-256\n" for network in places.clients)
    settings = {
        "hba_file": f"'{layout.state}/{ACCESS}'",
        "listen_addresses": f"'{places.listen}'",
        "unix_socket_directories": "''",  # a socket's path may have 107 bytes; a state folder's is often longer
        "port": postgres.port,
        "max_connections": postgres.max_connections,
        "shared_buffers": postgres.shared_buffers,
        "effective_cache_size": postgres.effective_cache_size,
        "password_encryption": "scram-sha-256",
        "log_min_duration_statement": postgres.slow_statement_ms,
        "log_line_prefix": "'%m [%p] %q%u@%d %a '",
        "log_timezone": "'UTC'",
        "timezone": "'UTC'",
    }
    settings |= archive_settings(backup, layout) if backup else {}
    text = "# Written by neurmatic; change neurmatic.toml instead.\n"
    text += "".join(f"{name} = {value}\n" for name, value in settings.items())
    return {CONFIG: File(text), ACCESS: File(access)}
