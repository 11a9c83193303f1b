"""[edge.maintenance]: what is answered while the edge is closed, and who is let in all the same."""

from typing import Annotated

from pydantic import Field

from neurmatic.stack.section import Network, Section


class Maintenance(Section):
    """Read by `neurmatic maintenance on`, and holds until the next `on` or `off`; `up` changes nothing of it."""

    allow: Annotated[tuple[Network, ...], Field(strict=False)] = Field(
        default=(),
        description="Addresses and networks that are let in, such as 203.0.113.7; as named by whoever [edge.trusted] trusts.",
    )
    retry_after: int = Field(
        default=300, ge=1, le=86400, description="Seconds after which everybody else should ask again: Retry-After."
    )
    message: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,500}$")] = Field(
        default="We are working on it and will be back soon.", description="What they are told; one line of plain text."
    )
    page: str | None = Field(
        default=None,
        description="An HTML file of the project, all in one, that they get instead of the tool's own page; "
        "`$request_id` in it becomes the request's.",
    )
