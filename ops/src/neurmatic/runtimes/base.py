"""What every runtime offers to those who deploy, whatever stands below."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

State = Literal["running", "restarting", "stopping", "orphaned", "stopped", "absent"]


@dataclass(frozen=True)
class Running:
    """An instance as its supervisor sees it; whether it is well is for probes to say.

    Attributes:
        state: ``orphaned`` serves without a supervisor (which was killed) and is waited for; ``absent`` was never made.
        seconds: how long in this state.
        restarts: how often it was restarted since the tool last started it.
    """

    state: State = "absent"
    pid: int | None = None
    seconds: int = 0
    restarts: int = 0


class Runtime(Protocol):
    """Starts, stops and inspects instances by name."""

    def inspect(self, names: Iterable[str]) -> dict[str, Running]: ...

    def present(self) -> list[str]:
        """Names of the instances that it knows of, running or not."""
        ...

    def check(self) -> None:
        """Raises ConfigurationError where what it stands on isn't there."""
        ...

    def restarts(self, name: str) -> int:
        """How often the instance ended by itself since it was last started."""
        ...

    def is_supervising(self) -> bool:
        """Whether what restarts instances runs itself."""
        ...

    def ensure_running(self) -> None:
        """See that what restarts instances runs."""
        ...

    def start(self, name: str) -> None:
        """Start it, or see that it runs; says nothing of health."""
        ...

    def stop(self, name: str, *, grace: float) -> None:
        """Ask it to end; after `grace` seconds end it."""
        ...

    def reload(self, name: str) -> None:
        """Have it read its configuration again without closing a connection."""
        ...

    def signal(self, name: str, signal: str) -> None:
        """Send a signal to the instance's process and its children: for drills and checks."""
        ...

    def supervisor_pid(self, name: str) -> int:
        """The process that restarts this instance and no other; 0 when there is none."""
        ...

    def log(self, name: str, most: int) -> list[str]:
        """The last lines that the instance wrote, of `most` bytes at most."""
        ...

    def forget(self, name: str) -> None:
        """Remove a stopped instance, and its folder."""
        ...

    def clear(self) -> None:
        """Remove what was half made or half forgotten when a command was killed."""
        ...

    def shut_down(self) -> None:
        """End what restarts instances; every instance must be stopped before."""
        ...
