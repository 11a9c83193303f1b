"""PostgreSQL's configuration: every setting that differs from the server's own default."""

from neurmatic.render.backup import archive_settings
from neurmatic.render.file import File, Files
from neurmatic.stack.backup import Backup
from neurmatic.stack.layout import Layout
from neurmatic.stack.postgres import Postgres

CONFIG = "config/postgresql/postgresql.conf"
ACCESS = "config/postgresql/pg_hba.conf"


def render_postgres(postgres: Postgres, backup: Backup | None, layout: Layout) -> Files:
    """Files for the cluster in the state folder; it is configured from outside its data folder."""
    access = "# TYPE DATABASE USER ADDRESS METHOD\nhost all all 127.0.0.1/32 scram-sha-256\n"
    settings = {
        "hba_file": f"'{layout.state}/{ACCESS}'",
        "listen_addresses": "'127.0.0.1'",
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
