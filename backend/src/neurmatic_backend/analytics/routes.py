"""Addresses of analytics."""

from typing import Any

from litestar import Response, Router, post
from litestar.openapi.datastructures import ResponseSpec

from neurmatic_backend.analytics.service import View, record_view
from neurmatic_backend.core.database import Database
from neurmatic_backend.core.errors import MEDIA_TYPE, Problem

_PROBLEMS = {
    status: ResponseSpec(Problem, description=text, media_type=MEDIA_TYPE, generate_examples=False)
    for status, text in ((400, "a field is not valid"), (404, "there is no such article"), (503, "no database"))
}


@post(
    "/analytics/views",
    operation_id="recordView",
    summary="Note that an article is read",
    status_code=202,
    responses=_PROBLEMS,
)
async def record(database: Database, data: View) -> Response[None]:
    await record_view(database, data.slug)
    nothing: Any = b""  # accepted; there is nothing to tell
    return Response(nothing, status_code=202)


router = Router("/", route_handlers=[record], tags=["analytics"])
