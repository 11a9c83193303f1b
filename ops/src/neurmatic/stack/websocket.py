"""[edge.websocket]: connections that stay open."""

from typing import Annotated

from pydantic import Field

from neurmatic.stack.section import Section, UrlPath

WEEK_SECONDS = 604_800


class Websocket(Section):
    """Addresses at which clients open a connection and keep it."""

    paths: Annotated[tuple[UrlPath, ...], Field(strict=False)] = Field(
        default=(), description="URL prefixes, such as /socket.io/; each must lie within a service's routes."
    )
    seconds: float = Field(
        default=WEEK_SECONDS, ge=1, le=31_536_000, description="Seconds a connection may be silent before it is closed."
    )
    connections: int = Field(default=10, ge=1, le=10_000, description="Open connections of one client.")
