"""Real servers for the platform's tests: a PostgreSQL cluster and a Redis of this run's own, on free ports."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import asyncpg
import pytest
from platform_support import BIN, Process, database_url, make_postgres, make_redis

from neurmatic_backend.core.database import Database

TABLES = "articles, page_views, daily_views, job_starts, job_counts, pgqueuer, pgqueuer_log, pgqueuer_statistics"


@pytest.fixture(scope="session")
def folder():
    path = Path(tempfile.mkdtemp(prefix="platform-", dir="/var/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(folder):
    server = make_postgres(folder / "postgres")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis(folder):
    server = make_redis(folder / "redis")
    yield server
    server.stop(signal.SIGTERM)


@pytest.fixture(scope="session")
def environment(postgres, redis):
    """The environment of the platform's processes, on a migrated database."""
    env = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": database_url(postgres),
        "REDIS_URL": f"redis://127.0.0.1:{redis.port}/0",
        "NEURMATIC_RELEASE": "test-1",
        "NEURMATIC_INSTANCE": "api-1",
        "NEURMATIC_DRAIN_SECONDS": "1",
    } | {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}
    subprocess.run([BIN / "neurmatic-backend", "migrate"], env=env, check=True, capture_output=True)
    return env


@pytest.fixture
def run(environment):
    """Start processes of the platform; they are gone at the end of the test."""
    started = []

    def start(command, **env):
        started.append(Process(command, environment | env))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.send_signal(signal.SIGCONT)
            one.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def api(environment):
    """One API for a whole module; tests that break it start their own."""
    one = Process("serve", environment).ready()
    yield one
    assert one.end()[0] == 0


@pytest.fixture
async def database(environment):
    """The database, empty."""
    one = Database(environment["DATABASE_URL"], 4, "tests")
    await one.open()
    await one.pool.execute(f"TRUNCATE {TABLES}")
    yield one
    await one.close()


@pytest.fixture
async def empty_database(postgres):
    """URL of a database without a schema."""
    connection = await asyncpg.connect(database_url(postgres))
    name = f"empty_{time.monotonic_ns()}"
    await connection.execute(f"CREATE DATABASE {name}")
    yield database_url(postgres, name)
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()
