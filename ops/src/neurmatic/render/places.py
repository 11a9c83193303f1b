"""Where the parts of a stack find each other: all on loopback, or each at an address of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

LOOPBACK_ADDRESS = "127.0.0.1"


@dataclass(frozen=True)
class Places:
    """Addresses of a stack's instances.

    Attributes:
        listen: the address that services and servers listen on.
        addresses: where an instance is reached, by its name; those that aren't named are on loopback.
        clients: networks that PostgreSQL lets in, with a password.
        redis: the folder of Redis's data; None: in the state folder.
    """

    listen: str = LOOPBACK_ADDRESS
    addresses: Mapping[str, str] = field(default_factory=dict)
    clients: tuple[str, ...] = (f"{LOOPBACK_ADDRESS}/32",)
    redis: Path | None = None

    def of(self, instance: str) -> str:
        """The address at which the others reach an instance."""
        return self.addresses.get(instance, LOOPBACK_ADDRESS)


LOOPBACK = Places()
"""Everything on this machine, as the native runtime has it."""
