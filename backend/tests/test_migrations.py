import asyncio

import asyncpg
import pytest

from neurmatic_backend.core import migrations


async def test_on_an_empty_database_twice_and_by_several_at_once(empty_database):
    connections = [await asyncpg.connect(empty_database) for _ in range(4)]
    applied = await asyncio.gather(*(migrations.migrate(one) for one in connections))
    assert sorted(map(len, applied)) == [0, 0, 0, len(migrations.migrations()) + 1]
    assert await migrations.migrate(connections[0]) == []
    for one in connections:
        await one.close()


async def test_a_migration_changed_after_it_was_applied_is_refused(empty_database):
    connection = await asyncpg.connect(empty_database)
    await migrations.migrate(connection)
    await connection.execute("UPDATE schema_migrations SET checksum = 'other' WHERE name = '0001_articles.sql'")
    with pytest.raises(migrations.MigrationError, match="0001_articles"):
        await migrations.migrate(connection)
    await connection.close()


async def test_one_that_fails_leaves_nothing_of_itself(empty_database, monkeypatch):
    broken = migrations.Migration("9999_broken.sql", "CREATE TABLE half (id int); SELECT 1/0;")
    real = migrations.migrations()
    monkeypatch.setattr(migrations, "migrations", lambda: [*real, broken])
    connection = await asyncpg.connect(empty_database)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrations.migrate(connection)
    assert await connection.fetchval("SELECT to_regclass('half')") is None
    monkeypatch.setattr(migrations, "migrations", lambda: real)
    assert await migrations.migrate(connection) == ["queue"]
    await connection.close()
