"""What is in a database, so that two of them can be compared: rows and a checksum of each table, and every definition."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from psycopg import sql

from neurmatic.backups.database import Address, Connection
from neurmatic.backups.manifest import Contents, Table

_OURS = r"n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'"
_TABLES = rf"""
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p' AND {_OURS} ORDER BY 1, 2
"""  # noqa: S608  made of this module's own constants
# What an extension owns comes with the extension.
_FREE = "NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = {oid} AND d.deptype = 'e')"
_DEFINITIONS = rf"""
SELECT format('extension %s %s', extname, extversion) FROM pg_extension
UNION ALL
SELECT format('column %s.%s.%s %s%s%s', n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
              CASE WHEN a.attnotnull THEN ' not null' ELSE '' END, coalesce(' default ' || pg_get_expr(e.adbin, e.adrelid), ''))
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm') AND {_OURS} AND {_FREE.format(oid="c.oid")}
UNION ALL
SELECT format('constraint %s.%s %s %s', n.nspname, o.conrelid::regclass, o.conname, pg_get_constraintdef(o.oid))
  FROM pg_constraint o JOIN pg_namespace n ON n.oid = o.connamespace WHERE {_OURS} AND {_FREE.format(oid="o.oid")}
UNION ALL
SELECT 'index ' || pg_get_indexdef(i.indexrelid)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_OURS}
UNION ALL
SELECT format('sequence %s.%s', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S' AND {_OURS}
UNION ALL
SELECT format('view %s.%s %s', n.nspname, c.relname, pg_get_viewdef(c.oid))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('v', 'm') AND {_OURS} AND {_FREE.format(oid="c.oid")}
UNION ALL
SELECT 'function ' || pg_get_functiondef(p.oid) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE p.prokind IN ('f', 'p') AND {_OURS} AND {_FREE.format(oid="p.oid")}
UNION ALL
SELECT 'trigger ' || pg_get_triggerdef(t.oid) FROM pg_trigger t WHERE NOT t.tgisinternal
UNION ALL
SELECT format('type %s.%s %s', n.nspname, t.typname, (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder)
                                                        FROM pg_enum WHERE enumtypid = t.oid))
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype = 'e' AND {_OURS}
ORDER BY 1
"""  # noqa: S608  as above
# Types of which PostgreSQL keeps hash indexes, and arrays of them; a domain is what it stands on. Not enumerations: they are
# stored, and hashed, as numbers that each database gives them anew.
_HASHED = """
SELECT bool_and(EXISTS (
         SELECT FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod
          WHERE m.amname = 'hash' AND o.opcdefault AND o.opcintype = CASE WHEN b.typcategory = 'A' THEN b.typelem ELSE b.oid END))
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
  JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
 WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
"""
# A sum depends on no order, and unlike xor it counts twice what is there twice. PostgreSQL adds it up in 128 bits.
_DIGEST = "SELECT count(*), coalesce(sum({hash}), 0)::text FROM ONLY {table} t"
# t.* is the row even where a column is called t.
_BINARY = sql.SQL("hash_record_extended(t.*, 0)")
_TEXT = sql.SQL("hashtextextended((t.*)::text, 0)")


def read_contents(connection: Connection) -> Contents:
    """Everything in this connection's database, as its transaction sees it.

    The checksums are of the same server's kind: equal rows give equal sums on the same major version and processor
    architecture, as a scratch cluster has them.
    """
    tables = {}
    for schema, name in connection.execute(_TABLES.encode()).fetchall():
        tables[f"{schema}.{name}"] = _digest(connection, sql.Identifier(schema, name))
    return Contents(tables, read_definitions(connection))


def contents_of(*addresses: Address) -> list[Contents]:
    """Everything in each of these databases, all of them read at once."""

    def read(address: Address) -> Contents:
        with address.connected() as connection:
            return read_contents(connection)

    with ThreadPoolExecutor(len(addresses)) as pool:
        return list(pool.map(read, addresses))


def read_definitions(connection: Connection) -> tuple[str, ...]:
    """A line for each thing that is defined in this connection's database."""
    connection.execute("SET search_path = ''")  # so that every name is written with its schema
    lines = tuple(line for (line,) in connection.execute(_DEFINITIONS.encode()).fetchall())
    connection.execute("RESET search_path")
    return lines


def _digest(connection: Connection, table: sql.Identifier) -> Table:
    """Hashed as it is stored where every column's type can be; as text where one can't, such as json."""
    row = connection.execute(_HASHED.encode(), (table.as_string(connection),)).fetchone()
    return _asked(connection, table, _BINARY if row and row[0] else _TEXT)


def _asked(connection: Connection, table: sql.Identifier, hashed: sql.SQL) -> Table:
    row = connection.execute(sql.SQL(_DIGEST).format(hash=hashed, table=table)).fetchone()
    assert row is not None  # noqa: S101  an aggregate has one row
    return Table(int(row[0]), str(row[1]))


def differences(wanted: Contents, found: Contents) -> Iterator[str]:
    """What is not as it should be, a sentence each; nothing when both hold the same."""
    for name, table in wanted.tables.items():
        other = found.tables.get(name)
        if other is None:
            yield f"table {name} is missing ({table.rows} rows)"
        elif other.rows != table.rows:
            yield f"table {name} has {other.rows} rows, not {table.rows}"
        elif other.checksum != table.checksum:
            yield f"table {name} has other rows ({table.rows}) than were backed up"
    yield from (f"table {name} was not in the backup" for name in found.tables if name not in wanted.tables)
    before, after = set(wanted.definitions), set(found.definitions)
    yield from (f"missing: {line[:200]}" for line in sorted(before - after))
    yield from (f"not in the backup: {line[:200]}" for line in sorted(after - before))
