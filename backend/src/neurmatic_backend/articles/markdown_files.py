"""Markdown files with YAML front matter, read into articles; what can't be read is refused with a reason."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, get_args

import yaml

from neurmatic_backend.articles.markup import plain_summary
from neurmatic_backend.articles.service import Article, Status

LARGEST_BYTES = 1024 * 1024
MOST_TAGS = 20
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)(.*)\Z", re.DOTALL)
_HEADING = re.compile(r"^#[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)


class Refusal(Exception):  # noqa: N818  a verdict on a file, not an error of the program
    """The file is no article; the message says why."""


def file_items(path: Path) -> Iterator[tuple[str, Article | None, str]]:
    """(name, article or None, reason) for the file, or for each Markdown file in the folder and below."""
    root = path if path.is_dir() else path.parent
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.suffix.lower() in (".md", ".markdown"))
    for file in files:
        name = str(file.relative_to(root))
        try:
            yield name, read_article(file, name), ""
        except Refusal as reason:
            yield name, None, str(reason)
        except OSError as error:
            yield name, None, error.strerror or "can't be read"


def read_article(file: Path, name: str) -> Article:
    """One file as an article; what its front matter leaves out is derived.

    Raises:
        Refusal: it is too large, not UTF-8, empty, or its front matter is wrong.
    """
    if file.stat().st_size > LARGEST_BYTES:
        raise Refusal(f"is larger than {LARGEST_BYTES // 1024} KiB")
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refusal(f"is not UTF-8 (byte {error.start})") from None
    if "\0" in text:
        raise Refusal("contains null characters")
    meta, body = _split(text)
    heading = _HEADING.search(body)
    title = str(meta.get("title") or (heading[1] if heading else file.stem.replace("-", " "))).strip()
    if heading and heading[1].strip() == title and not body[: heading.start()].strip():
        body = body[heading.end() :]
    if not body.strip():
        raise Refusal("has no text")
    moment = _moment(meta.get("publish_at") or meta.get("date"), "date") or datetime.fromtimestamp(
        int(file.stat().st_mtime), UTC
    )
    status = _status(meta, moment)
    return Article(
        slug=slugify(str(meta.get("slug") or file.stem)) or "article",
        title=title[:300],
        summary=str(meta.get("summary") or plain_summary(body)).strip()[:500],
        author=str(meta.get("author") or "").strip()[:200],
        tags=_tags(meta.get("tags")),
        body_markdown=body.strip() + "\n",
        status=status,
        publish_at=moment,
        source_key=f"file:{name}",
    )


def _split(text: str) -> tuple[dict[str, Any], str]:
    match = _FRONT_MATTER.match(text)
    if not match:
        if text.startswith("---\n"):
            raise Refusal("its front matter has no end")
        return {}, text
    try:
        meta = yaml.safe_load(match[1]) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise Refusal(f"its front matter is not valid YAML{f' (line {mark.line + 2})' if mark else ''}") from None
    if not isinstance(meta, dict):
        raise Refusal("its front matter is no table of names and values")
    return meta, match[2]


def _moment(value: Any, name: str) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise Refusal(f"{name}: {value!r} is no date such as 2026-03-01 or 2026-03-01T09:00:00Z") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise Refusal(f"{name}: {value!r} is no date")
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _status(meta: dict[str, Any], moment: datetime) -> Status:
    status = str(meta.get("status") or "published")
    known: tuple[Status, ...] = get_args(Status)
    found = next((one for one in known if one == status), None)
    if found is None:
        raise Refusal(f"status: {status!r} is none of {', '.join(known)}")
    if found == "published" and moment > datetime.now(UTC):
        return "scheduled"
    return found


def _tags(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    found = value.split(",") if isinstance(value, str) else value
    if not isinstance(found, list) or len(found) > MOST_TAGS:
        raise Refusal(f"tags: must be a list of at most {MOST_TAGS}")
    return tuple(dict.fromkeys(tag for one in found if (tag := slugify(str(one))[:64])))


def slugify(text: str) -> str:
    """Lower-case letters and digits with hyphens, as it stands in an address."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:120]
