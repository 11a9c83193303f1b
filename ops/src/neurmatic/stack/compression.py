"""[edge.compression]: which answers are made smaller on their way."""

from typing import Annotated

from pydantic import Field

from neurmatic.stack.section import Section

MediaType = Annotated[str, Field(pattern=r"^[a-z]+/[a-z0-9.+-]+$")]


class Compression(Section):
    """gzip, and brotli where nginx has the module. HTML is always among the types. Credential addresses are left out."""

    level: int = Field(default=6, ge=1, le=9, description="gzip's level.")
    brotli_level: int = Field(
        default=3, ge=0, le=11, description="brotli's level; from 4 on an answer costs nearly twice the time."
    )
    min_bytes: int = Field(default=1024, ge=0, description="Shorter answers are sent as they are (bytes).")
    types: Annotated[tuple[MediaType, ...], Field(strict=False)] = Field(
        default=(
            "application/javascript", "application/json", "application/manifest+json", "application/problem+json",
            "application/xml", "image/svg+xml", "text/css", "text/javascript", "text/plain", "text/xml",
        ),
        description="Media types that are compressed, beside text/html.",
    )  # fmt: skip
