"""What every answer carries, errors included: the request's id and the release; and one log line for each request."""

import logging
import re
import time
from secrets import token_hex

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from neurmatic_backend.core.lifecycle import Lifecycle

log = logging.getLogger("neurmatic_backend.requests")
_SANE_ID = re.compile(rb"[A-Za-z0-9-]{8,64}")
SLOW_SECONDS = 1.0


class RequestIds:
    """Plain ASGI around the whole application: the cheapest place for it."""

    def __init__(self, app: ASGIApp, lifecycle: Lifecycle) -> None:
        self.app = app
        self.release = lifecycle.release.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        request_id = given if _SANE_ID.fullmatch(given) else token_hex(16).encode()
        scope.setdefault("state", {})["request_id"] = request_id.decode()
        begun = time.perf_counter()
        status = 0

        async def with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id), (b"x-release", self.release)]
            await send(message)

        try:
            await self.app(scope, receive, with_headers)
        finally:
            self._note(scope, request_id, status, time.perf_counter() - begun)

    @staticmethod
    def _note(scope: Scope, request_id: bytes, status: int, seconds: float) -> None:
        failed = status >= 500 or status == 0  # noqa: PLR2004  HTTP's own number
        level = logging.WARNING if failed or seconds > SLOW_SECONDS else logging.INFO
        if log.isEnabledFor(level):
            extra = {"request_id": request_id.decode(), "method": scope.get("method"), "route": scope.get("path")}
            log.log(level, "request", extra={**extra, "status": status, "seconds": round(seconds, 4)})
