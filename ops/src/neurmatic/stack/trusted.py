"""[edge.trusted]: who may say on whose behalf it asks; everybody else is the client itself."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from neurmatic.stack.section import Network, Section
from neurmatic.stack.suggestion import suggestion


class Cdn(BaseModel):
    """A CDN's published addresses, as they were on the day `as_of`."""

    as_of: str
    source: str
    header: str
    networks: tuple[str, ...]


@cache
def cdns() -> dict[str, Cdn]:
    """The lists that come with the tool, by name: cdns.toml beside this module."""
    text = (files(__package__) / "cdns.toml").read_text(encoding="utf-8")
    return {name: Cdn(**one) for name, one in tomllib.loads(text).items()}


def _known(name: str) -> str:
    if name not in cdns():
        raise ValueError(f"there is no list of that name{suggestion(name, list(cdns()))}")
    return name


class Trusted(Section):
    """Proxies and CDNs in front of the edge. Only they may name the client, and only in this header."""

    cdn: Annotated[str, AfterValidator(_known)] | None = Field(
        default=None, description="A CDN whose published addresses are trusted: `cloudflare`."
    )
    networks: Annotated[tuple[Network, ...], Field(strict=False)] = Field(
        default=(), description="Networks of one's own proxies, such as 10.0.0.0/8."
    )
    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")] | None = Field(
        default=None, description="The header in which they name the client; default: the CDN's, else X-Forwarded-For."
    )

    @property
    def all_networks(self) -> tuple[str, ...]:
        """Every network whose word counts."""
        return (*(cdns()[self.cdn].networks if self.cdn else ()), *self.networks)

    @property
    def client_header(self) -> str:
        """The header that names the client."""
        return self.header or (cdns()[self.cdn].header if self.cdn else "X-Forwarded-For")
