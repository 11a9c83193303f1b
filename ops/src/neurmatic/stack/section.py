"""What every section of the stack file has in common: frozen, strict, and documented by its own fields."""

from ipaddress import ip_network
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

HIGHEST_PORT = 65535
NGINX_UNITS = {"k": 1024, "m": 1024**2}
SIZE_UNITS = {"kB": 1024, "MB": 1024**2, "GB": 1024**3}


class Section(BaseModel):
    """A table of the stack file. Its fields' types, defaults and descriptions are the reference page's."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True, defer_build=True)

    def replace(self, **changes: object) -> Self:
        """A copy with some fields changed; not validated again."""
        return self.model_copy(update=changes)


def size_bytes(size: str) -> int:
    """Bytes in a size such as ``512MB``; powers of 1024, as PostgreSQL and Redis read them."""
    return int(size[:-2]) * SIZE_UNITS[size[-2:]]


def nginx_bytes(size: str) -> int:
    """Bytes in a size as nginx writes it, such as ``10m``."""
    return int(size[:-1]) * NGINX_UNITS[size[-1]]


def _ordered(ports: str) -> str:
    first, last = port_range(ports)
    if not 1 <= first <= last <= HIGHEST_PORT:
        raise ValueError("ports run from a lower to a higher number, 1 to 65535, such as 8100-8115")
    return ports


def port_range(ports: str) -> tuple[int, int]:
    """First and last port of a pool such as ``8100-8115``."""
    first, _, last = ports.partition("-")
    return int(first), int(last or first)


def _network(value: str) -> str:
    if "%" in value:
        raise ValueError(f"{value!r} names an interface; an address alone is meant")
    ip_network(value)
    return value


Port = Annotated[int, Field(ge=1, le=HIGHEST_PORT)]
PortPool = Annotated[str, Field(pattern=r"^\d{1,5}(-\d{1,5})?$"), AfterValidator(_ordered)]
Size = Annotated[str, Field(pattern=r"^[1-9]\d*(kB|MB|GB)$")]
Network = Annotated[str, AfterValidator(_network)]
Seconds = Annotated[float, Field(ge=0, le=86400)]
Words = Annotated[tuple[str, ...], Field(strict=False)]
Command = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
Commands = Annotated[tuple[Command, ...], Field(strict=False)]
UrlPath = Annotated[str, Field(pattern=r"^/[^\s;{}\"'\\]*$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
VariableName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
HostName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
