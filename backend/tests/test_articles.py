from datetime import UTC, datetime, timedelta

import pytest

from neurmatic_backend.articles.service import Article, save

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def article(number, **changes):
    fields = {
        "slug": f"article-{number}", "title": f"Article {number}", "summary": "About it.", "author": "Ada", "tags": ("nginx",),
        "body_markdown": f"Words about upstream number {number}.", "status": "published",
        "publish_at": BEGIN + timedelta(days=number), "source_key": f"test:{number}",
    }  # fmt: skip
    return Article(**(fields | changes))


async def fill(database, *articles):
    for one in articles:
        async with database.transaction() as connection:
            await save(connection, one)


async def test_the_list_is_newest_first_and_pages_by_cursor_without_gap_or_repeat(api, database):
    same_time = [article(n, publish_at=BEGIN) for n in range(100, 105)]
    await fill(database, *(article(n) for n in range(20)), *same_time)
    seen, cursor = [], None
    while True:
        page = api.get("/articles", params={"limit": 7} | ({"cursor": cursor} if cursor else {})).json()
        seen += page["items"]
        if not (cursor := page["next_cursor"]):
            break
    assert len(seen) == len({one["slug"] for one in seen}) == 25
    assert [one["published_at"] for one in seen] == sorted((one["published_at"] for one in seen), reverse=True)
    assert set(seen[0]) == {"slug", "title", "summary", "author", "tags", "published_at", "reading_minutes"}


@pytest.mark.parametrize("limit", ["", "limit=1", "limit=20", "limit=0", "limit=101", "limit=x"])
async def test_the_first_page_is_the_same_whichever_way_it_is_answered(api, database, limit):
    await fill(database, *(article(n) for n in range(25)))
    direct, through_the_framework = (api.get(f"/articles?{limit}{rest}") for rest in ("", "&q="))
    for answer in (direct, through_the_framework):
        for name in ("date", "x-request-id"):
            del answer.headers[name]
    assert (direct.status_code, direct.headers) == (through_the_framework.status_code, through_the_framework.headers)
    assert {**direct.json(), "request_id": ""} == {**through_the_framework.json(), "request_id": ""}


async def test_only_published_articles_are_visible(api, database):
    later = datetime.now(UTC) + timedelta(days=1)
    await fill(
        database,
        *(
            article(n, status=s, publish_at=later if s == "scheduled" else BEGIN)
            for n, s in enumerate(("draft", "scheduled", "archived"))
        ),
    )
    assert api.get("/articles").json() == {"items": [], "next_cursor": None}
    assert [api.status(f"/articles/article-{n}") for n in range(3)] == [404] * 3


async def test_tags_and_words_narrow_the_list(api, database):
    await fill(
        database,
        article(1),
        article(2, tags=("redis", "nginx")),
        article(3, tags=("redis",), body_markdown="A drained instance."),
    )

    def slugs(**params):
        return [one["slug"] for one in api.get("/articles", params=params).json()["items"]]

    assert slugs(tag="redis") == ["article-3", "article-2"]
    assert slugs(q="draining") == ["article-3"]
    assert slugs(q="upstreams", tag="redis") == ["article-2"]
    assert slugs(q='"; DROP TABLE articles; --') == []
    assert api.get("/tags").json()["items"] == [{"tag": "nginx", "count": 2}, {"tag": "redis", "count": 2}]


async def test_an_article_has_an_entity_tag_and_is_not_sent_twice(api, database):
    await fill(
        database, article(1, body_markdown="# Top\n\nText <script>alert(1)</script><img src=x onerror=alert(1)>")
    )
    first = api.get("/articles/article-1")
    assert "<script" not in first.text and "onerror" not in first.text and "<h1" not in first.text
    etag = first.headers["etag"]
    assert api.get("/articles/article-1", headers={"If-None-Match": f'"other", W/{etag}'}).status_code == 304
    await fill(database, article(1, title="Changed"))
    changed = api.get("/articles/article-1", headers={"If-None-Match": etag})
    assert (changed.status_code, changed.json()["title"]) == (200, "Changed")


@pytest.mark.parametrize(
    ("params", "field"),
    [({"limit": "x"}, "limit"), ({"limit": "0"}, "limit"), ({"limit": "101"}, "limit"), ({"cursor": "nonsense"}, "cursor"),
     ({"cursor": "9999999999999999999-1"}, "cursor"), ({"q": "a" * 201}, "q"), ({"tag": "a\0b"}, "tag")],
)  # fmt: skip
def test_a_wrong_field_is_named(api, params, field):
    answer = api.get("/articles", params=params)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_every_answer_carries_request_id_and_release(api):
    for path in ("/articles", "/nowhere", "/articles?limit=x", "/metrics", "/health/live", "/openapi.json"):
        answer = api.get(path, headers={"X-Request-ID": "given-by-nginx-1"})
        assert answer.headers.get_list("x-request-id") == ["given-by-nginx-1"], path
        assert answer.headers["x-release"] == "test-1"
    unfit = api.get("/nowhere", headers={"X-Request-ID": "bad id; rm"})
    assert unfit.headers["x-request-id"] != "bad id; rm"
    assert unfit.json()["request_id"] == unfit.headers["x-request-id"]


def test_the_openapi_document_is_the_committed_one(api):
    import json
    from pathlib import Path

    committed = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"
    assert json.loads(committed.read_text()) == api.get("/openapi.json").json(), "run make docs"
