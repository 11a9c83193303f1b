"""Imports articles from Markdown files or a feed: each item apart, all of it or nothing, as often as one likes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from neurmatic_backend.articles.feeds import feed_items
from neurmatic_backend.articles.markdown_files import file_items
from neurmatic_backend.articles.service import Article, save
from neurmatic_backend.core.database import Database
from neurmatic_backend.core.errors import InvalidField

MARKDOWN = (".md", ".markdown")


@dataclass
class Summary:
    """What became of every item, by its source."""

    imported: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


async def import_from(database: Database, source: str) -> Summary:
    """Import a folder of Markdown files, one such file, or an RSS or Atom feed (a file, or an http(s) address)."""
    summary = Summary()
    for name, article, reason in _items(source):
        if article is None:
            summary.refused[name] = reason
            continue
        try:
            async with database.transaction() as connection:
                outcome = await save(connection, article)
        except InvalidField as error:
            summary.refused[name] = f"{error.field}: {error}"
            continue
        getattr(summary, outcome).append(name)
    return summary


def _items(source: str) -> Iterator[tuple[str, Article | None, str]]:
    if source.startswith(("http://", "https://")):
        yield from feed_items(source)
        return
    path = Path(source)
    if not path.exists():
        yield source, None, "does not exist"
    elif path.is_dir() or path.suffix.lower() in MARKDOWN:
        yield from file_items(path)
    else:
        yield from feed_items(str(path))
