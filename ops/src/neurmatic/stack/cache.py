"""[edge.cache]: public answers that the edge keeps, so that a thousand readers cost one query."""

from typing import Annotated

from pydantic import Field

from neurmatic.stack.section import Seconds, Section, UrlPath

QueryName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]


class Cache(Section):
    """Nothing is kept unless its path is named here. A request that carries anything personal is never answered from it."""

    paths: Annotated[tuple[UrlPath, ...], Field(strict=False)] = Field(
        default=(), description="URL prefixes of public GET answers; each must lie within a service's routes."
    )
    query: Annotated[tuple[QueryName, ...], Field(strict=False)] = Field(
        default=(),
        description="Query parameters that public answers may have; a request with another passes the cache by.",
    )
    seconds: Seconds = Field(
        default=300, description="Seconds an answer counts as fresh, unless it says otherwise itself."
    )
    stale_seconds: Seconds = Field(
        default=3600,
        description="Seconds an answer that nobody asked for is kept, to be served when the service is down.",
    )
    size: str = Field(default="100m", pattern=r"^\d+[kmg]$", description="Most that is kept, in nginx's notation.")
    harmless: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        default=(),
        description="Request headers, beside those that browsers send everyone, that say nothing of who asks.",
    )
