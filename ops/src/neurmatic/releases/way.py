"""What is another for processes and for containers, to whoever starts a stack."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from neurmatic.hosts.base import Host
from neurmatic.releases.project import Reporter
from neurmatic.render.environment import SecretValues
from neurmatic.render.file import Files
from neurmatic.render.places import Places
from neurmatic.stack.instance import Instance
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack


@dataclass(frozen=True)
class Started:
    """A stack to be started: which, where, by whom.

    Attributes:
        user: the account that runs everything; None when the tool itself isn't root.
        tool: the command line by which the stack's timers call the tool for it.
    """

    host: Host
    layout: Layout
    stack: Stack
    reporter: Reporter
    user: str | None
    tool: tuple[str, ...]

    def first(self) -> Instance:
        """The instance whose environment a command of the release gets."""
        return next(one for one in self.stack.instances() if one.service == self.stack.release_service)


def at_work(layout: Layout, command: Sequence[str]) -> list[str]:
    """The command, with a file held open that says that it is at work; sh finds a relative program from the folder it runs in."""
    return ["sh", "-c", 'exec 9>>"$0" && exec "$@"', str(layout.at_work), *command]


class Way(Protocol):
    """How a stack runs. `check` comes before everything else."""

    programs: Mapping[str, str]
    """Full paths of programs on the host that the tool calls itself, by name."""

    @property
    def places(self) -> Places:
        """Where the instances find each other, and the tool finds them."""
        ...

    def check(self) -> None:
        """Raises ConfigurationError where something that the stack needs isn't here."""
        ...

    def check_limits(self) -> None:
        """Raises ConfigurationError where the host doesn't have what the instances may use together."""
        ...

    def refresh(self) -> None:
        """From now on servers run what the stack file names now, though that may restart them; else what they ran before."""
        ...

    def identify(self) -> str:
        """The name of the release that the project makes now."""
        ...

    def make(self, release: str) -> None:
        """Make the release: complete, or not there.

        Raises:
            CommandError: it can't be made; what was there is as it was.
        """
        ...

    def fetch(self, version: str) -> str:
        """Make a release of this version that the project's files don't; its name.

        Raises:
            ConfigurationError: there is nowhere to have it from.
            CommandError: it can't be had.
        """
        ...

    def forget(self, release: str) -> None:
        """Remove a release that is made, or half made."""
        ...

    def render(self, release: str, secrets: SecretValues, before: str) -> dict[str, Files]:
        """Files of each instance, by its name; `before` is the release that served before, empty when there is none."""
        ...

    def versions(self) -> dict[str, str]:
        """Versions of the built-in programs, by the program's name."""
        ...

    def prepare_folders(self, one: Instance) -> None:
        """Make the folders that an instance needs before it starts."""
        ...

    def run(self, command: tuple[str, ...], release: str, secrets: SecretValues) -> None:
        """Run a command of the release to its end, with the environment that its service's first instance has.

        Raises:
            CommandError: it ended with anything but 0, or took too long.
        """
        ...
