"""Reading articles, and writing them: other slices and the importer come here, never to the tables."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import asyncpg

from neurmatic_backend.articles import queries
from neurmatic_backend.articles.markup import reading_minutes, to_html
from neurmatic_backend.core.database import Database
from neurmatic_backend.core.errors import InvalidField, NotFoundError
from neurmatic_backend.core.queues import ARTICLE_SCHEDULER, enqueue
from neurmatic_backend.realtime.schemas import Change, new_version
from neurmatic_backend.realtime.service import announce

Connection = Any  # asyncpg's connection, or a pool's proxy of one
Status = Literal["draft", "scheduled", "published", "archived"]
MOST_ITEMS = 100
_CURSOR = re.compile(r"(\d{1,19})-(\d{1,18})")
_LARGEST = 2**62  # well inside PostgreSQL's timestamps and identifiers


@dataclass(frozen=True)
class Article:
    """An article as its author gives it. `publish_at` is the due second of a scheduled one."""

    slug: str
    title: str
    summary: str
    author: str
    tags: tuple[str, ...]
    body_markdown: str
    status: Status
    publish_at: datetime | None
    source_key: str

    @property
    def content_hash(self) -> str:
        """Differs when anything of the article differs."""
        return hashlib.sha256(repr(self).encode()).hexdigest()


async def list_json(database: Database, limit: int, cursor: str | None, tag: str | None, words: str | None) -> str:
    """A page of published articles, newest first, as JSON text of an ArticlePage.

    Raises:
        InvalidField: the limit is not 1 to MOST_ITEMS, or the cursor is none of ours.
    """
    if not 1 <= limit <= MOST_ITEMS:
        raise InvalidField("limit", f"must be 1 to {MOST_ITEMS}")
    older = _parse_cursor(cursor) if cursor else ()
    for name, value in (("tag", tag), ("q", words)):
        if value and "\0" in value:
            raise InvalidField(name, "must not contain a null character")
    query = queries.list_query(older=bool(older), tag=bool(tag), search=bool(words))
    row = await database.fetchrow(query, limit, *older, *(value for value in (tag, words) if value))
    return str(row[0]) if row else ""


def _parse_cursor(cursor: str) -> tuple[int, int]:
    match = _CURSOR.fullmatch(cursor)
    moment, number = (int(match[1]), int(match[2])) if match else (_LARGEST, 0)
    if moment >= _LARGEST:
        raise InvalidField("cursor", "is not one that this address has given")
    return moment, number


async def one_json(database: Database, slug: str) -> tuple[str, str]:
    """A published article as JSON text of an ArticleDetail, and its entity tag.

    Raises:
        NotFoundError: there is none, or it isn't published.
    """
    row = None if "\0" in slug else await database.fetchrow(queries.ONE, slug)
    if row is None:
        raise NotFoundError
    return str(row["body"]), str(row["etag"])


async def tags_json(database: Database) -> str:
    """Tags with their counts, as JSON text of a TagList."""
    row = await database.fetchrow(queries.TAGS)
    return str(row[0]) if row else ""


async def published_id(connection: Connection, slug: str) -> int | None:
    """The number of a published article; None when there is none."""
    found: int | None = await connection.fetchval(queries.ID_OF_PUBLISHED, slug)
    return found


async def publish_due(database: Database, article_id: int) -> bool:
    """Publish a scheduled article whose time has come; doing it twice changes nothing. True when it was published."""
    async with database.transaction() as connection:
        published = await connection.fetchrow(queries.PUBLISH_DUE, article_id)
        if published:
            await announce(connection, Change(new_version(), *published), [published["slug"]])
    return published is not None


async def save(connection: Connection, article: Article) -> Literal["imported", "updated", "unchanged"]:
    """Write an article by its source; a scheduled one's job is enqueued, and a change of what is public announced, in the same transaction."""
    known = await connection.fetchrow(queries.BY_SOURCE, article.source_key)
    if known and known["content_hash"] == article.content_hash:
        return "unchanged"
    published_at = article.publish_at or datetime.now(UTC) if article.status == "published" else None
    values = (
        *(article.slug, article.title, article.summary, article.author, list(article.tags), article.body_markdown),
        *(to_html(article.body_markdown), reading_minutes(article.body_markdown), article.status, article.publish_at),
        *(published_at, article.source_key, article.content_hash),
    )
    try:
        async with connection.transaction():
            if known:
                await connection.execute(queries.UPDATE, *values, known["id"])
                article_id = known["id"]
            else:
                article_id = await connection.fetchval(queries.INSERT, *values)
    except asyncpg.UniqueViolationError:
        raise InvalidField("slug", f"{article.slug} belongs to another article") from None
    before = known["slug"] if known and known["status"] == "published" else None
    if before:  # an edit, another address, or the end of its publication
        await announce(connection, Change(new_version()), sorted({before, article.slug}), told=False)
    elif published_at:
        await announce(connection, Change(new_version(), article.slug, article.title, published_at), [article.slug])
    if article.status == "scheduled":
        await enqueue(connection, ARTICLE_SCHEDULER, {"article_id": article_id}, article.publish_at)
    return "updated" if known else "imported"
