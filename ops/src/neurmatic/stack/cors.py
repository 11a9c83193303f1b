"""[edge.cors]: which other sites' pages may call the services, with the reader's cookies."""

from typing import Annotated

from pydantic import Field

from neurmatic.stack.section import Seconds, Section

Origin = Annotated[str, Field(pattern=r"^https?://[a-z0-9.-]+(:\d{1,5})?$")]
Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]


class Cors(Section):
    """The edge answers preflights itself; what a service sends of CORS is dropped, so that nothing comes twice."""

    origins: Annotated[tuple[Origin, ...], Field(strict=False)] = Field(
        default=(), description="Origins allowed beside the stack's own URL, such as https://admin.example.com."
    )
    methods: Annotated[tuple[Token, ...], Field(strict=False)] = Field(
        default=("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"), description="Methods they may use."
    )
    headers: Annotated[tuple[Token, ...], Field(strict=False)] = Field(
        default=("Authorization", "Content-Type", "X-Requested-With", "X-CSRF-Token"),
        description="Request headers they may send.",
    )
    max_age: Seconds = Field(default=86400, description="Seconds a browser may remember a preflight's answer.")
