"""Addresses of the articles. Answers are JSON text from PostgreSQL, passed on as it is."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter

from neurmatic_backend.articles import service
from neurmatic_backend.articles.schemas import ArticleDetail, ArticlePage, TagList
from neurmatic_backend.core.cache import Cache
from neurmatic_backend.core.database import Database
from neurmatic_backend.core.errors import MEDIA_TYPE, Problem

JSON = "application/json"
TAGS_SECONDS = 10
Cursor = Annotated[str | None, Parameter(description="`next_cursor` of the page before", max_length=64, required=False)]
Tag = Annotated[str | None, Parameter(description="only articles with this tag", max_length=64, required=False)]
Words = Annotated[
    str | None, Parameter(description="only articles that match these words", max_length=200, required=False)
]


def _problem(description: str) -> ResponseSpec:
    return ResponseSpec(Problem, description=description, media_type=MEDIA_TYPE, generate_examples=False)


INVALID, MISSING, AWAY = _problem("a field is not valid"), _problem("there is no such article"), _problem("no database")


@get(
    "/articles",
    operation_id="listArticles",
    summary="Published articles, newest first",
    responses={400: INVALID, 503: AWAY},
)
async def list_articles(
    database: Database, limit: int = 20, cursor: Cursor = None, tag: Tag = None, q: Words = None
) -> Response[ArticlePage]:
    return _json(await service.list_json(database, limit, cursor, tag, q))


@get("/articles/{slug:str}", operation_id="readArticle", summary="One article", responses={404: MISSING, 503: AWAY})
async def read_article(database: Database, slug: str, request: Request[Any, Any, Any]) -> Response[ArticleDetail]:
    body, digest = await service.one_json(database, slug)
    etag = f'"{digest[:32]}"'
    given = request.headers.get("if-none-match", "")
    if etag in (one.strip().removeprefix("W/") for one in given.split(",")) or given == "*":
        nothing: Any = b""  # a 304 has no body
        return Response(nothing, status_code=304, headers={"ETag": etag})
    answer = _json(body)
    answer.headers["ETag"] = etag
    return answer


@get("/tags", operation_id="listTags", summary="Tags of published articles, the most used first", responses={503: AWAY})
async def list_tags(database: Database, cache: Cache) -> Response[TagList]:
    text = await cache.get("tags")
    if text is None:
        text = await service.tags_json(database)
        await cache.put("tags", text, TAGS_SECONDS)
    return _json(text)


def _json(text: str) -> Response[Any]:
    return Response(msgspec.Raw(text.encode()), media_type=JSON)


router = Router("/", route_handlers=[list_articles, read_article, list_tags], tags=["articles"])
