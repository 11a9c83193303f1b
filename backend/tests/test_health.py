import asyncio
import os
import signal
import time

import asyncpg
import httpx
import pytest
from platform_support import database_url, make_postgres, make_redis, wait_for
from test_jobs import eventually


@pytest.fixture
def servers(folder, request):
    """A PostgreSQL and a Redis that this test may break."""
    name = str(time.monotonic_ns())
    postgres, redis = make_postgres(folder / f"postgres-{name}"), make_redis(folder / f"redis-{name}")
    yield postgres, redis
    postgres.stop()
    redis.stop(signal.SIGTERM)


@pytest.fixture
def api(servers, run):
    from subprocess import run as call

    from platform_support import BIN

    postgres, redis = servers
    env = {"DATABASE_URL": database_url(postgres), "REDIS_URL": f"redis://127.0.0.1:{redis.port}/0"}
    call([BIN / "neurmatic-backend", "migrate"], env=os.environ | env, check=True, capture_output=True)
    return run("serve", **env).ready()


def status(api):
    answer = api.get("/health")
    return answer.status_code, answer.json()["status"]


def test_states_as_servers_go_and_come_back(api, servers):
    postgres, redis = servers
    assert status(api) == (200, "healthy")
    redis.stop(signal.SIGTERM)
    wait_for(lambda: status(api) == (200, "degraded"))
    assert api.status("/articles") == api.status("/tags") == api.status("/health/ready") == 200
    redis.start()
    wait_for(lambda: status(api) == (200, "healthy"))
    postgres.stop(signal.SIGKILL)
    wait_for(lambda: status(api) == (503, "unhealthy"))
    answers = {path: api.status(path) for path in ("/health/live", "/health/ready", "/articles")}
    assert answers == {"/health/live": 200, "/health/ready": 503, "/articles": 503}
    postgres.start()
    wait_for(lambda: status(api) == (200, "healthy") and api.status("/health/ready") == 200)
    assert api.status("/articles") == 200


def test_hung_servers_are_answered_for_in_time(api, servers):
    postgres, redis = servers
    for server, part, expected in ((redis, "redis", "degraded"), (postgres, "database", "unhealthy")):
        time.sleep(1.1)
        server.send(signal.SIGSTOP)
        answer = api.get("/health").json()
        assert (answer["status"], answer["checks"][part]["status"]) == (expected, "down")
        assert api.status("/health/live") == 200
        server.send(signal.SIGCONT)
        wait_for(lambda: status(api) == (200, "healthy"))


def test_starts_without_its_servers_and_becomes_ready_when_they_come(servers, run):
    postgres, redis = servers
    postgres.stop()
    redis.stop(signal.SIGTERM)
    api = run("serve", DATABASE_URL=database_url(postgres), REDIS_URL=f"redis://127.0.0.1:{redis.port}/0")
    wait_for(lambda: api.status("/health/live") == 200)
    assert api.status("/health/ready") == 503
    postgres.start()
    wait_for(lambda: api.status("/health/ready") == 200)


def test_many_questions_are_one_probe(api):
    with httpx.Client() as client:
        answers = {client.get(f"{api.url}/health").json()["checked_at"] for _ in range(50)}
    assert len(answers) < 25


def test_for_administrators_only(api):
    for path in ("/metrics", "/monitoring/status"):
        answer = api.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")


async def test_a_request_in_flight_across_sigterm_is_answered_and_the_process_exits_with_0(api, servers):
    other = await asyncpg.connect(database_url(servers[0]))
    held = other.transaction()
    await held.start()
    await other.execute("LOCK TABLE articles IN ACCESS EXCLUSIVE MODE")  # the database is well, and one request waits
    slow = asyncio.create_task(asyncio.to_thread(api.status, "/articles"))
    await eventually(lambda: other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
    api.process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(wait_for, lambda: api.status("/health/ready") != 200)
    await asyncio.to_thread(wait_for, lambda: api.status("/health/live") == 0)  # the drain is over: it accepts nothing
    assert api.process.poll() is None and not slow.done()
    await held.rollback()
    assert await slow == 200
    await other.close()
    assert await asyncio.to_thread(api.process.wait, 30) == 0


def test_while_it_drains_it_is_not_ready_with_everything_else_well(servers, run):
    postgres, redis = servers
    env = {"DATABASE_URL": database_url(postgres), "REDIS_URL": f"redis://127.0.0.1:{redis.port}/0"}
    api = run("serve", NEURMATIC_DRAIN_SECONDS="10", **env).ready()
    api.process.send_signal(signal.SIGTERM)
    wait_for(lambda: api.status("/health/ready") == 503)
    assert api.status("/health/live") == 200
