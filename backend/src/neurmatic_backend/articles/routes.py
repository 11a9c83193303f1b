"""Addresses of the articles. Answers are JSON text from PostgreSQL, passed on as it is."""

import re
from typing import Annotated, Any

from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter
from litestar.types import ASGIApp, Receive, Scope, Send

from neurmatic_backend.articles import service
from neurmatic_backend.articles.schemas import ArticleDetail, ArticlePage, TagList
from neurmatic_backend.core.cache import Cache
from neurmatic_backend.core.database import Database
from neurmatic_backend.core.errors import MEDIA_TYPE, Problem

TAGS_SECONDS = 10
USUAL_ITEMS = 20
_FIRST_PAGE = re.compile(rb"(?:limit=([1-9][0-9]{0,2}))?")
Cursor = Annotated[str | None, Parameter(description="`next_cursor` of the page before", max_length=64, required=False)]
Tag = Annotated[str | None, Parameter(description="only articles with this tag", max_length=64, required=False)]
Words = Annotated[
    str | None, Parameter(description="only articles that match these words", max_length=200, required=False)
]


def _problem(description: str) -> ResponseSpec:
    return ResponseSpec(Problem, description=description, media_type=MEDIA_TYPE, generate_examples=False)


INVALID, MISSING, AWAY = _problem("a field is not valid"), _problem("there is no such article"), _problem("no database")


class JsonText(Response[Any]):
    """JSON as PostgreSQL built it. Nothing is left to encode, so it is sent past the framework's rendering, which took 8 us."""

    def __init__(self, text: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(text.encode())
        self._headers = headers

    def to_asgi_response(self, *_args: Any, **_options: Any) -> ASGIApp:  # type: ignore[override]  # any ASGI callable does
        return self.send

    async def send(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        length = str(len(self.content)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length), *self._headers]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.content, "more_body": False})


class FirstPage:
    """Answers for the newest articles, asked most of all, before the framework takes the request apart: a fifth of its time."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        plain = _FIRST_PAGE.fullmatch(scope["query_string"])
        if plain is None:
            await self.app(scope, receive, send)
            return
        database: Database = scope["litestar_app"].state.database
        text = await service.list_json(database, int(plain[1] or USUAL_ITEMS), None, None, None)
        await JsonText(text).send(scope, receive, send)


@get(
    "/articles",
    operation_id="listArticles",
    middleware=[FirstPage],
    summary="Published articles, newest first",
    responses={400: INVALID, 503: AWAY},
)
async def list_articles(
    database: Database, limit: int = USUAL_ITEMS, cursor: Cursor = None, tag: Tag = None, q: Words = None
) -> Response[ArticlePage]:
    return JsonText(await service.list_json(database, limit, cursor, tag, q))


@get("/articles/{slug:str}", operation_id="readArticle", summary="One article", responses={404: MISSING, 503: AWAY})
async def read_article(database: Database, slug: str, request: Request[Any, Any, Any]) -> Response[ArticleDetail]:
    body, digest = await service.one_json(database, slug)
    etag = f'"{digest[:32]}"'
    given = request.headers.get("if-none-match", "")
    if etag in (one.strip().removeprefix("W/") for one in given.split(",")) or given == "*":
        nothing: Any = b""  # a 304 has no body
        return Response(nothing, status_code=304, headers={"ETag": etag})
    return JsonText(body, (b"etag", etag.encode()))


@get("/tags", operation_id="listTags", summary="Tags of published articles, the most used first", responses={503: AWAY})
async def list_tags(database: Database, cache: Cache) -> Response[TagList]:
    return JsonText(await cache.kept("tags", TAGS_SECONDS, lambda: service.tags_json(database)))


router = Router("/", route_handlers=[list_articles, read_article, list_tags], tags=["articles"])
