"""Damage done on purpose, to a scratch cluster alone: what a failing disk does, and whether it is found."""

from pathlib import Path

from neurmatic.backups.database import Connection
from neurmatic.backups.setting import Setting
from neurmatic.errors import NeurmaticError

PAGE = 8192
_LARGEST = """
SELECT c.oid::regclass::text, pg_relation_filepath(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
 ORDER BY pg_relation_size(c.oid) DESC LIMIT 1
"""


def largest_table(connection: Connection) -> tuple[str, Path]:
    """The database's largest table, and its file below the data folder.

    Raises:
        NeurmaticError: there is no table.
    """
    row = connection.execute(_LARGEST).fetchone()
    if row is None:
        raise NeurmaticError("the database has no table to damage")
    return str(row[0]), Path(row[1])


def overwrite(setting: Setting, file: Path) -> None:
    """Overwrite half of the first page of a stopped cluster's file with noise."""
    if not file.is_relative_to(setting.layout.scratch):
        raise NeurmaticError(f"{file} is no scratch cluster's: it was not touched")
    words = [
        "dd",
        "if=/dev/urandom",
        f"of={file}",
        f"bs={PAGE // 2}",
        "seek=1",
        "count=1",
        "conv=notrunc",
        "status=none",
    ]
    setting.host.run(words, env={}, user=setting.user)


def found(setting: Setting, data: Path, table: str) -> str:
    """That the checksums of the pages tell the damage, as a sentence.

    Raises:
        NeurmaticError: they don't.
    """
    program = str(setting.postgres_bin / "pg_checksums")
    said = setting.host.run(
        [program, "--check", "-D", str(data)], env={}, user=setting.user, timeout=24 * 3600, check=False
    )
    bad = next((line for line in said.err.splitlines() if "checksum verification failed" in line), "")
    if said.ok or not bad:
        raise NeurmaticError("the overwritten page was not found by its checksum", "see that the cluster has checksums")
    return f"a page of {table} overwritten on the copy: found by its checksum"
