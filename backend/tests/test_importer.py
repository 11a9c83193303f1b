import subprocess
from datetime import UTC, datetime
from importlib.metadata import files
from pathlib import Path

import pytest
from feedgen.feed import FeedGenerator

from neurmatic_backend.articles.importer import import_from

GUIDE = Path(__file__).parents[2] / "guide"


@pytest.fixture
def write(tmp_path):
    def put(**contents):
        for name, content in contents.items():
            path = tmp_path / f"{name.replace('__', '/')}.md"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(tmp_path)

    return put


async def test_importing_twice_changes_nothing_and_an_edit_is_taken_over(database, write):
    source = write(one="# Title\n\nText.", below__two="---\ntitle: Two\ntags: [A b, c]\ndate: 2026-05-01\n---\nText.")
    assert sorted((await import_from(database, source)).imported) == ["below/two.md", "one.md"]
    again = await import_from(database, source)
    assert (len(again.unchanged), again.imported, again.updated) == (2, [], [])
    write(one="# Title\n\nOther text.")
    assert (await import_from(database, source)).updated == ["one.md"]
    row = await database.pool.fetchrow("SELECT title, tags, published_at FROM articles WHERE slug = 'two'")
    assert tuple(row) == ("Two", ["a-b", "c"], datetime(2026, 5, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("---\ntitle: [broken\n---\nText.", "not valid YAML"),
        ("---\n- a\n- b\n---\nText.", "no table"),
        ("---\ntitle: x\nText without an end", "has no end"),
        ("---\ntitle: x\ndate: someday\n---\nText.", "is no date"),
        ("---\ntitle: x\nstatus: secret\n---\nText.", "none of draft"),
        ("---\ntitle: x\ntags: 3\n---\nText.", "tags"),
        ("Größe".encode("latin-1"), "not UTF-8"),
        ("a\0b", "null characters"),
        ("", "no text"),
        ("# Only a title", "no text"),
        (b"x" * (1024 * 1024 + 1), "larger than 1024 KiB"),
    ],
)
async def test_what_can_not_be_read_is_refused_with_a_reason_and_the_rest_imported(database, write, content, reason):
    summary = await import_from(database, write(bad=content, good="Fine words."))
    assert list(summary.refused) == ["bad.md"] and reason in summary.refused["bad.md"]
    assert summary.imported == ["good.md"]
    assert await database.pool.fetchval("SELECT array_agg(slug) FROM articles") == ["good"]


async def test_two_files_that_want_one_address_are_told_apart_by_a_refusal(database, write):
    summary = await import_from(database, write(a="---\nslug: same\n---\nOne.", b="---\nslug: same\n---\nTwo."))
    assert summary.imported == ["a.md"] and "belongs to another" in summary.refused["b.md"]


async def test_scripts_do_not_come_through(database, write):
    await import_from(
        database, write(x="Hello <script>alert(1)</script>\n\n[link](javascript:alert(1)) <b onclick=x>bold</b>")
    )
    html = await database.pool.fetchval("SELECT body_html FROM articles")
    assert "<script" not in html and "href" not in html and "onclick" not in html and "bold" in html


def feed(kind, **changes):
    generator = FeedGenerator()
    generator.id("https://example.org/feed")
    generator.title("Changes")
    generator.link(href="https://example.org", rel="alternate")
    generator.description("What changed")
    generator.updated(datetime(2026, 1, 1, tzinfo=UTC))
    for number in range(3):
        entry = generator.add_entry()
        entry.id(f"https://example.org/{number}")
        entry.title(changes.get("title", f"Release {number}"))
        entry.link(href=f"https://example.org/{number}")
        entry.content(f"<p>News {number} <script>alert(1)</script></p>", type="CDATA")
        entry.published(datetime(2026, 1, 1 + number, tzinfo=UTC))
        entry.updated(datetime(2026, 1, 1 + number, tzinfo=UTC))
    return generator.atom_str() if kind == "atom" else generator.rss_str()


@pytest.mark.parametrize("kind", ["atom", "rss"])
async def test_feeds_made_by_somebody_elses_generator(database, tmp_path, kind):
    path = tmp_path / "feed.xml"
    path.write_bytes(feed(kind))
    assert len((await import_from(database, str(path))).imported) == 3
    assert len((await import_from(database, str(path))).unchanged) == 3
    rows = await database.pool.fetch("SELECT title, body_html, published_at FROM articles ORDER BY published_at")
    assert [row["title"] for row in rows] == ["Release 0", "Release 1", "Release 2"]
    assert "News 2" in rows[2]["body_html"] and "script" not in rows[2]["body_html"]


BOMB = """<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<rss version="2.0"><channel><title>&b;</title><item><title>&b;</title><description>x</description></item></channel></rss>"""


@pytest.mark.parametrize(
    ("content", "reason"),
    [(BOMB, "declares entities"), ("<rss><channel>", "not well-formed"), ("<html><body>no feed</body></html>", "no RSS or Atom feed"), ("", "not well-formed")],
)  # fmt: skip
async def test_what_is_no_feed_is_refused_with_a_reason(database, tmp_path, content, reason):
    path = tmp_path / "feed.xml"
    path.write_text(content)
    summary = await import_from(database, str(path))
    assert reason in summary.refused[str(path)], summary
    assert await database.pool.fetchval("SELECT count(*) FROM articles") == 0


async def test_markdown_that_nobody_here_wrote(database):
    """Packages ship their notices and licences as Markdown; whatever they wrote must come in, or say why not."""
    found = [
        Path(one.locate())
        for name in ("litestar", "pgqueuer", "uvicorn", "httpx", "redis")
        for one in files(name) or []
        if one.name.endswith(".md")
    ]
    assert found, "none of these packages ships Markdown any more: choose others"
    for path in found:
        summary = await import_from(database, str(path))
        assert len(summary.imported) + len(summary.unchanged) + len(summary.updated) == 1, summary.refused


def test_the_command_says_what_became_of_each_and_exits_1_when_some_were_refused(environment, write, database):
    from platform_support import BIN

    source = write(good="Fine.", bad=b"\xff\xfe")
    done = subprocess.run(
        [BIN / "neurmatic-backend", "import", source], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "1 imported" in done.stdout and "bad.md: is not UTF-8" in done.stdout
    nowhere = subprocess.run(
        [BIN / "neurmatic-backend", "import", "/nowhere"], env=environment, capture_output=True, text=True, check=False
    )
    assert (nowhere.returncode, "does not exist" in nowhere.stdout) == (1, True)


async def test_the_guide_comes_in_whole(database):
    summary = await import_from(database, str(GUIDE))
    assert not summary.refused
    assert len(summary.imported) == len(list(GUIDE.glob("*.md")))
