"""Page views: a row now, a daily sum soon."""

import msgspec

from neurmatic_backend.articles.service import published_id
from neurmatic_backend.core.database import Database
from neurmatic_backend.core.errors import NotFoundError
from neurmatic_backend.core.queues import ANALYTICS, enqueue

_ADD = "INSERT INTO page_views (article_id) VALUES ($1) RETURNING id"
# Takes whatever has come in so far, not just the job's own view: a burst becomes a few sums. Run twice, it finds nothing.
_FOLD = """
WITH taken AS (
    DELETE FROM page_views WHERE id IN (SELECT id FROM page_views ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED)
    RETURNING article_id, (viewed_at AT TIME ZONE 'UTC')::date AS day
)
INSERT INTO daily_views (article_id, day, views)
SELECT article_id, day, count(*) FROM taken GROUP BY article_id, day ORDER BY article_id, day
ON CONFLICT (article_id, day) DO UPDATE SET views = daily_views.views + excluded.views
"""


class View(msgspec.Struct):
    """Somebody has read an article."""

    slug: str


async def record_view(database: Database, slug: str) -> None:
    """Note the view and enqueue its aggregation, both or neither.

    Raises:
        NotFoundError: there is no such published article.
    """
    async with database.transaction() as connection:
        article_id = None if "\0" in slug else await published_id(connection, slug)
        if article_id is None:
            raise NotFoundError
        view_id = await connection.fetchval(_ADD, article_id)
        await enqueue(connection, ANALYTICS, {"view_id": view_id})


async def fold_views(database: Database, payload: object) -> None:
    """A job of the queue analytics: fold the views that are there into their days."""
    if not isinstance(payload, dict):
        raise TypeError("a job of analytics carries a view's number")
    await database.pool.execute(_FOLD)
