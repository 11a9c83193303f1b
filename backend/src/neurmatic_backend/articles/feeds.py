"""RSS and Atom feeds, read into articles. XML that declares entities is refused before anything expands it."""

import hashlib
from calendar import timegm
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import defusedxml.ElementTree
import feedparser
from defusedxml.common import DefusedXmlException

from neurmatic_backend.articles.markdown_files import slugify
from neurmatic_backend.articles.markup import plain_summary, sanitise
from neurmatic_backend.articles.service import Article

LARGEST_BYTES = 16 * 1024 * 1024
FETCH_SECONDS = 20
MOST_TAGS = 20


def feed_items(source: str) -> Iterator[tuple[str, Article | None, str]]:
    """(name, article or None, reason) for each entry of the feed; one refusal when it is no feed at all."""
    try:
        content = _read(source)
    except OSError as error:
        yield source, None, f"can't be read: {error}"
        return
    if reason := _refusal(content):
        yield source, None, reason
        return
    feed = feedparser.parse(content, sanitize_html=False)  # ours is sanitised where it is rendered, and again here
    if not feed.version:
        yield source, None, "is no RSS or Atom feed"
        return
    origin = feed.feed.get("id") or feed.feed.get("link") or source
    for number, entry in enumerate(feed.entries, start=1):
        name = str(entry.get("id") or entry.get("link") or f"{source} entry {number}")
        article = _article(entry, f"feed:{origin}:{name}", str(feed.feed.get("title") or ""))
        yield name, article, "" if article else "has no title or no text"


def _read(source: str) -> bytes:
    if source.startswith(("http://", "https://")):
        with urlopen(source, timeout=FETCH_SECONDS) as answer:  # noqa: S310  the scheme was just checked
            return bytes(answer.read(LARGEST_BYTES + 1))
    with Path(source).open("rb") as file:
        return file.read(LARGEST_BYTES + 1)


def _refusal(content: bytes) -> str:
    if len(content) > LARGEST_BYTES:
        return f"is larger than {LARGEST_BYTES // 1024**2} MiB"
    try:
        defusedxml.ElementTree.fromstring(content, forbid_dtd=True)
    except DefusedXmlException as error:
        return f"declares entities or a document type, which feeds don't need ({type(error).__name__})"
    except Exception as error:  # noqa: BLE001  the parser has many ways to say that this is no XML
        return f"is not well-formed XML: {error}"
    return ""


def _article(entry: Any, key: str, author: str) -> Article | None:
    contents = entry.get("content") or [{"value": entry.get("summary", "")}]
    body = sanitise(str(contents[0].get("value", ""))).strip()
    title = str(entry.get("title") or "").strip()
    if not title or not body or "\0" in body:
        return None
    moment = entry.get("published_parsed") or entry.get("updated_parsed")
    at = datetime.fromtimestamp(timegm(moment), UTC) if moment else datetime.now(UTC)
    tags = dict.fromkeys(
        slug for one in entry.get("tags", [])[:MOST_TAGS] if (slug := slugify(str(one.get("term") or ""))[:64])
    )
    digest = hashlib.sha256(key.encode()).hexdigest()[:8]  # feeds repeat titles; addresses may not
    return Article(
        slug=f"{slugify(title)[:100]}-{digest}",
        title=title[:300],
        summary=plain_summary(str(entry.get("summary") or body)),
        author=str(entry.get("author") or author)[:200],
        tags=tuple(tags),
        body_markdown=body + "\n",
        status="published" if at <= datetime.now(UTC) else "scheduled",
        publish_at=at,
        source_key=key,
    )
