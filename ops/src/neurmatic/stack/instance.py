"""One process that the stack consists of."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["edge", "guard", "service", "postgres", "redis", "timer"]
BUILT_IN: tuple[Kind, ...] = ("edge", "postgres", "redis")


@dataclass(frozen=True)
class Instance:
    """One process of the stack, such as api-2; a built-in service has one, named like it, and the edge its guard, too."""

    name: str
    service: str
    kind: Kind
    number: int
    port: int | None
