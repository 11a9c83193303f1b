"""Errors as problem details (RFC 9457), on every kind of answer; none tells what happened inside."""

import logging
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from neurmatic_backend.core.database import GONE

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
TITLES = {
    400: "The request is not valid",
    401: "Sign in first",
    404: "Not found",
    405: "This address does not take that method",
    413: "The request is too large",
    415: "This address does not take that kind of body",
    500: "Something went wrong on our side",
    503: "Not available for the moment",
}


class FieldError(msgspec.Struct):
    """What is wrong with one field of the request."""

    field: str
    message: str


class Problem(msgspec.Struct, omit_defaults=True):
    """An error, as RFC 9457 describes it. `request_id` is the one to quote when asking for help."""

    title: str
    status: int
    detail: str = ""
    request_id: str = ""
    type: str = "about:blank"
    errors: list[FieldError] = []


class InvalidField(Exception):  # noqa: N818  a verdict on the request
    """A field of the request is not valid."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class NotFoundError(Exception):
    """There is no such thing, or it isn't public."""


def problem(
    request: Request[Any, Any, Any], status: int, detail: str = "", errors: list[FieldError] | None = None
) -> Response[bytes]:
    """The answer for an error."""
    request_id = request.scope.get("state", {}).get("request_id", "")
    body = Problem(TITLES.get(status, "Error"), status, detail, request_id, errors=errors or [])
    headers = {"Cache-Control": "no-store"} | ({"Retry-After": "1"} if status == 503 else {})  # noqa: PLR2004  HTTP's own
    return Response(msgspec.json.encode(body), status_code=status, media_type=MEDIA_TYPE, headers=headers)


def _validation(request: Request[Any, Any, Any], error: ValidationException) -> Response[bytes]:
    found = error.extra if isinstance(error.extra, list) else []
    errors = [
        FieldError(str(one.get("key", "")), str(one.get("message", ""))) for one in found if isinstance(one, dict)
    ]
    return problem(request, 400, "" if errors else error.detail, errors)


def _http(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    if error.status_code >= 500:  # noqa: PLR2004  HTTP's own number
        return _unexpected(request, error)
    return problem(request, error.status_code, error.detail if error.status_code == 400 else "")  # noqa: PLR2004  as above


def _invalid(request: Request[Any, Any, Any], error: InvalidField) -> Response[bytes]:
    return problem(request, 400, errors=[FieldError(error.field, str(error))])


def _not_found(request: Request[Any, Any, Any], _error: NotFoundError) -> Response[bytes]:
    return problem(request, 404)


def _unavailable(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log.warning("the database is not available: %s", type(error).__name__)
    return problem(request, 503, "The database does not answer; try again in a moment.")


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log.error("unexpected error", exc_info=error, extra={"route": request.url.path})
    return problem(request, 500)


HANDLERS: dict[Any, Any] = {
    ValidationException: _validation,
    HTTPException: _http,
    InvalidField: _invalid,
    NotFoundError: _not_found,
    **dict.fromkeys(GONE, _unavailable),
    Exception: _unexpected,
}
