import asyncio
import os
import signal
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from test_articles import article

from neurmatic_backend.articles.service import save
from neurmatic_backend.core import queues


async def eventually(ask, seconds=20):
    async with asyncio.timeout(seconds):
        while not (result := await ask()):
            await asyncio.sleep(0.05)
        return result


async def test_views_become_daily_sums_once(api, database, run):
    async with database.transaction() as connection:
        await save(connection, article(1))
    for _ in range(30):
        assert httpx.post(f"{api.url}/analytics/views", json={"slug": "article-1"}).status_code == 202
    assert httpx.post(f"{api.url}/analytics/views", json={"slug": "nothing"}).status_code == 404
    run("worker").ready()
    await eventually(lambda: database.pool.fetchval("SELECT true WHERE NOT EXISTS (SELECT FROM pgqueuer)"))
    assert await database.pool.fetchval("SELECT sum(views) FROM daily_views") == 30
    async with database.pool.acquire() as connection:
        assert (await queues.counts(connection))["analytics"].completed == 30


async def test_a_job_is_enqueued_with_what_it_is_about_or_not_at_all(database):
    with pytest.raises(RuntimeError):
        async with database.transaction() as connection:
            await queues.enqueue(connection, queues.ANALYTICS, {})
            raise RuntimeError
    assert await database.pool.fetchval("SELECT count(*) FROM pgqueuer") == 0


async def schedule(database, due):
    async with database.transaction() as connection:
        await save(connection, article(1, status="scheduled", publish_at=due))


async def test_a_scheduled_article_appears_at_its_second_not_before(api, database, run):
    run("worker").ready()
    due = datetime.now(UTC) + timedelta(seconds=6)
    await schedule(database, due)
    assert api.status("/articles/article-1") == 404
    await eventually(lambda: asyncio.to_thread(lambda: api.status("/articles/article-1") == 200), 30)
    row = await database.pool.fetchrow("SELECT published_at, updated_at FROM articles")
    assert row["published_at"] == due
    assert row["updated_at"] >= due


async def test_what_was_due_while_no_worker_ran_is_published_when_one_comes(api, database, run):
    await schedule(database, datetime.now(UTC) + timedelta(seconds=0.2))
    await asyncio.sleep(0.5)
    run("worker")
    await eventually(lambda: asyncio.to_thread(lambda: api.status("/articles/article-1") == 200))


async def test_the_job_of_a_killed_worker_runs_again_within_a_minute(database, run):
    """The worker is killed while its job waits for a row that this test holds."""
    async with database.transaction() as connection:
        await save(connection, article(1))
        view = await connection.fetchval("INSERT INTO page_views (article_id) SELECT id FROM articles RETURNING id")
        await queues.enqueue(connection, queues.ANALYTICS, {"view_id": view})
    async with database.pool.acquire() as blocker:
        transaction = blocker.transaction()
        await transaction.start()
        await blocker.execute("LOCK TABLE daily_views IN ACCESS EXCLUSIVE MODE")
        worker = run("worker")
        await eventually(lambda: database.pool.fetchval("SELECT true FROM pg_locks WHERE NOT granted"))
        worker.end(signal.SIGKILL)
        await transaction.rollback()
    assert await database.pool.fetchval("SELECT count(*) FROM pgqueuer") == 1, "the job is still there"
    run("worker")
    await eventually(lambda: database.pool.fetchval("SELECT true WHERE NOT EXISTS (SELECT FROM pgqueuer)"), 60)
    assert await database.pool.fetchval("SELECT sum(views) FROM daily_views") == 1


async def test_a_job_that_kills_its_worker_again_and_again_is_parked(database):
    """Its starts are counted before it runs; the one too many ends it, visible as failed."""
    async with database.transaction() as connection:
        await queues.enqueue(connection, queues.ANALYTICS, {})
    job = await database.pool.fetchval("SELECT id FROM pgqueuer")
    await database.pool.execute("INSERT INTO job_starts VALUES ($1, $2)", job, queues.MOST_STARTS)
    from platform_support import BIN

    env = os.environ | {"DATABASE_URL": database._url, "REDIS_URL": "redis://127.0.0.1:1/0"}
    env.pop("PORT", None)
    worker = await asyncio.create_subprocess_exec(BIN / "neurmatic-backend", "worker", env=env)
    try:
        await eventually(lambda: database.pool.fetchval("SELECT status = 'failed' FROM pgqueuer WHERE id = $1", job))
    finally:
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(worker.wait(), 15) == 0
    async with database.pool.acquire() as connection:
        assert (await queues.counts(connection))["analytics"].failed == 1


async def test_a_worker_outlives_its_database(database, run, postgres):
    worker = run("worker").ready()
    await database.pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    async with database.transaction() as connection:
        await save(connection, article(1, status="scheduled", publish_at=datetime.now(UTC)))
    await eventually(lambda: database.pool.fetchval("SELECT status = 'published' FROM articles"))
    assert worker.process.poll() is None
    assert worker.end()[0] == 0


async def test_the_queues_log_is_pruned(database):
    await database.pool.execute(
        "INSERT INTO pgqueuer_log (created, job_id, status, priority, entrypoint) VALUES (now() - interval '30 days', 1, 'successful', 0, 'x'), (now(), 2, 'successful', 0, 'x')"
    )
    await queues.prune(database)
    assert await database.pool.fetchval("SELECT array_agg(job_id) FROM pgqueuer_log") == [2]
