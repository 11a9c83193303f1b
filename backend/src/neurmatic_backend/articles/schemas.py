"""What articles look like from outside."""

from datetime import datetime

import msgspec


class ArticleSummary(msgspec.Struct):
    """An article in a list."""

    slug: str
    title: str
    summary: str
    author: str
    tags: list[str]
    published_at: datetime
    reading_minutes: int


class ArticlePage(msgspec.Struct):
    """Published articles, newest first; `next_cursor` asks for the older ones, null at the end."""

    items: list[ArticleSummary]
    next_cursor: str | None


class ArticleDetail(ArticleSummary):
    """A whole article; `body_html` is sanitised."""

    body_html: str
    updated_at: datetime


class TagCount(msgspec.Struct):
    """A tag and the number of published articles that have it."""

    tag: str
    count: int


class TagList(msgspec.Struct):
    """All tags, the most used first."""

    items: list[TagCount]
