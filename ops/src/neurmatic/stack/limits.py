"""[edge.limits]: how much one client may ask for, and for how long it may take over it."""

from typing import Annotated

from pydantic import Field

from neurmatic.stack.section import Name, Seconds, Section, UrlPath

UrlPaths = Annotated[tuple[UrlPath, ...], Field(strict=False)]


class Credential(Section):
    """Addresses that take a password, a code or a token: guessed at by machines, used by people a few times a day."""

    paths: Annotated[tuple[UrlPath, ...], Field(strict=False, min_length=1)] = Field(
        description="The addresses, each with all below it; however a request spells one, it counts."
    )
    per_minute: int = Field(
        ge=1, le=600, description="Requests that one client may make in any minute, all `paths` together."
    )


class Limits(Section):
    """A client is one IPv4 address, or one IPv6 network of 64 bits: whoever has one address of it has them all."""

    rate: int = Field(default=10, ge=1, le=100_000, description="Requests per second of one client, in the long run.")
    burst: int = Field(
        default=20, ge=0, le=100_000, description="Requests beyond `rate` that one client may make at once."
    )
    paths: UrlPaths | None = Field(
        default=None, description="URL prefixes that `rate` counts; default: every service's routes but `/`."
    )
    connections: int = Field(
        default=10, ge=1, le=10_000, description="Requests of one client in progress at once; websockets count apart."
    )
    header_seconds: Seconds = Field(
        default=10, description="Seconds within which a client must have sent its request's header."
    )
    body_seconds: Seconds = Field(
        default=10,
        description="Seconds a client may be silent while it sends a body, or send less than 500 bytes a second of it.",
    )
    header_size: str = Field(
        default="8k", pattern=r"^\d+k$", description="Longest header line, the address included, in nginx's notation."
    )
    credentials: dict[Name, Credential] = Field(
        default_factory=dict, description="Limits of their own for addresses that take credentials."
    )
