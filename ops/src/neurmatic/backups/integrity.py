"""A restored cluster looked at as a whole: every page's checksum, every constraint."""

from pathlib import Path

import psycopg

from neurmatic.backups.database import Connection
from neurmatic.backups.setting import Setting

_OURS = r"n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'"
_VALIDATED = rf"""
SELECT o.oid, format('ALTER TABLE %s VALIDATE CONSTRAINT %I', o.conrelid::regclass, o.conname)
  FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE o.contype IN ('c', 'f') AND o.convalidated AND c.relkind = 'r' AND {_OURS}
"""  # noqa: S608  made of this module's own constants
_UNIQUE = rf"""
SELECT format('REINDEX INDEX %s', i.indexrelid::regclass)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE (i.indisunique OR i.indisexclusion) AND i.indisvalid AND c.relkind = 'i' AND {_OURS}
"""  # noqa: S608  as above


def unmet_constraints(connection: Connection) -> list[str]:
    """What rows break a constraint, a sentence each. For a cluster that is thrown away: it forgets what was validated."""
    statements = []
    for oid, statement in connection.execute(_VALIDATED.encode()).fetchall():
        connection.execute("UPDATE pg_constraint SET convalidated = false WHERE oid = %s", (oid,))
        statements.append(statement)
    statements += [statement for (statement,) in connection.execute(_UNIQUE.encode()).fetchall()]
    found = []
    for statement in statements:
        try:
            connection.execute(statement.encode())
        except psycopg.Error as error:
            found.append(f"{statement}: {str(error).strip().splitlines()[0]}")
    return found


def damaged_pages(setting: Setting, data: Path) -> list[str]:
    """Pages of a cluster that was shut down in order whose checksum is wrong; all of its databases are read."""
    words = [str(setting.postgres_bin / "pg_checksums"), "--check", "-D", str(data)]
    said = setting.host.run(words, env={"LANG": "C"}, user=setting.user, timeout=24 * 3600, check=False)
    if said.ok or "checksums are not enabled" in said.err:
        return []
    return said.err.strip().splitlines()[:20] or [f"pg_checksums ended with {said.code}"]
