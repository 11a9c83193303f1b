"""[services.NAME]: one process of the application, in one or more instances."""

from typing import Annotated, Self

from pydantic import Field, PrivateAttr

from neurmatic.stack.section import Command, Name, PortPool, Seconds, Section, UrlPath, VariableName, Words, port_range

MOST_INSTANCES = 64


class Health(Section):
    """Where an instance says how it is; each path is asked at the instance's own port."""

    ready: UrlPath = Field(default="/", description="200: may get traffic. Gates the start.")
    live: UrlPath | None = Field(default=None, description="200: the process serves, whatever else is down.")
    overall: UrlPath | None = Field(default=None, description="200 healthy or degraded, 503 unhealthy, as JSON.")


class Service(Section):
    """One process of the application: any command; an HTTP service listens on $PORT at 127.0.0.1."""

    command: Command = Field(
        description="Program and arguments, no shell. `$PORT`, `$LISTEN_ADDRESS` and `$INSTANCE` are filled in."
    )
    instances: int = Field(default=1, ge=1, le=MOST_INSTANCES, description="How many run side by side.")
    ports: PortPool | None = Field(
        default=None, description="Pool from which instances get their ports, such as 8100-8115; without it: no HTTP."
    )
    routes: Annotated[tuple[UrlPath, ...], Field(strict=False)] = Field(
        default=(), description="URL prefixes that the edge sends here; empty: not reachable from outside."
    )
    needs: Words = Field(
        default=(), description="Services that must be healthy before this one starts, such as postgres."
    )
    health: Health = Field(default_factory=Health, description="Where an instance says how it is.")
    env: dict[VariableName, str] = Field(default_factory=dict, description="Variables of its own; no secrets here.")
    start_timeout: Seconds = Field(default=60, description="Seconds until an instance must be ready after its start.")
    drain: Seconds = Field(default=2, description="Seconds an instance goes on serving, not ready, after SIGTERM.")
    stop_timeout: Seconds = Field(default=30, description="Seconds from SIGTERM until SIGKILL.")
    pool_size: int = Field(default=5, ge=1, le=500, description="Database connections that one instance may hold.")

    _numbers: tuple[int, ...] | None = PrivateAttr(None)
    _apart: bool = PrivateAttr(default=False)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of its instances: from 1, or where the last deploy put them."""
        return tuple(range(1, self.instances + 1)) if self._numbers is None else self._numbers

    def numbered(self, numbers: tuple[int, ...]) -> Self:
        """The same service with its instances at these numbers."""
        placed = self.replace(instances=len(numbers))
        placed._numbers = numbers  # noqa: SLF001  its own class
        return placed

    def apart(self) -> Self:
        """The same service with each instance at an address of its own: all of them listen on the pool's first port."""
        moved = self.replace()
        moved._apart = True  # noqa: SLF001  its own class
        return moved

    @property
    def half(self) -> int:
        """Instances that one release may have, so that a second one fits beside it into the pool of ports."""
        if self._apart:
            return MOST_INSTANCES // 2
        if not self.ports:
            return MOST_INSTANCES
        first, last = port_range(self.ports)
        return (last - first + 1) // 2

    def port(self, number: int) -> int | None:
        """Port of the instance with this number, from 1; None for a service without HTTP."""
        if not self.ports:
            return None
        return port_range(self.ports)[0] + (0 if self._apart else number - 1)


ServiceName = Name
