"""Which machine, and which folder there: what `-H` was given, and the commands' kinds."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from neurmatic.errors import ConfigurationError

SENDING = frozenset({"up", "deploy", "plan", "render", "config"})
"""Commands that are about the stack file as it is here: it is sent first, with the files that it names."""

PASSING = frozenset({"status", "health", "edge", "logs", "events", "releases", "plan", "render", "config", "reference"})
"""Commands that only look: they end with the connection. Every other one goes on to its end without it."""

CHANGING = frozenset({"up", "deploy", "rollback", "scale", "maintenance", "restart"})
"""Commands that several hosts carry out all of them or none."""

ALONE = frozenset({"attach", "down", "restore"})
"""Commands for one host at a time: what they show is one host's, or can't be taken back."""

HERE = frozenset({"init", "bootstrap", "remote"})
"""Commands that don't run on another machine."""

PROJECTS = Path("/srv")


@dataclass(frozen=True)
class Target:
    """A destination as ssh takes it, and the project's folder there, if the operator named one."""

    destination: str
    folder: Path | None = None

    def __str__(self) -> str:
        return f"{self.destination}:{self.folder}" if self.folder else self.destination

    def project(self, name: str | None) -> Path:
        """The project's folder there: as named, else by the stack's name.

        Raises:
            ConfigurationError: neither is known.
        """
        if self.folder:
            return self.folder
        if name is None:
            raise ConfigurationError(
                "which project? There is no neurmatic.toml here or above",
                f"run it in the project's folder, or name the one there: -H {self.destination}:/srv/NAME",
            )
        return PROJECTS / name


def target_of(text: str) -> Target:
    """``user@host``, a name of ~/.ssh/config, ``ssh://user@host:22``, each but the last with ``:/folder`` behind it."""
    destination, found, folder = text.partition(":/")
    if not found or text.startswith("ssh://"):
        return Target(text)
    return Target(destination, Path("/") / folder)


def check_names(names: tuple[str, ...]) -> None:
    """Refuse names that can't be put in place as a whole on another machine.

    Raises:
        ConfigurationError: names that lead out of the project, or are all of it.
    """
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ConfigurationError(
                f"release.files: {name!r} can't be sent",
                "name files and folders inside the project, none of them all of it",
            )
