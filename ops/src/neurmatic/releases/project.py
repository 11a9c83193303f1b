"""A project and its state folder: found, checked, and prepared."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from neurmatic.errors import ConfigurationError
from neurmatic.hosts.base import Host
from neurmatic.stack.layout import STATE_FORMAT, Layout

SERVER_STATE = Path("/var/lib/neurmatic")


class Reporter(Protocol):
    """Hears of progress."""

    def say(self, line: str) -> None: ...


@dataclass(frozen=True)
class Quiet:
    """A reporter that keeps what it was told, for callers that show progress themselves or not at all."""

    lines: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        """One line of progress."""
        self.lines.append(line)


def state_folder(project: Path, chosen: Path | None) -> Path:
    """Where the state of this project lies: as chosen, else .neurmatic beside the stack file (which may be a link)."""
    return (chosen or project / ".neurmatic").resolve()


def layout_of(host: Host, state: Path, project: Path) -> Layout:
    """The layout of a state folder, which says itself whether its stack runs as containers."""
    layout = Layout(state, project)
    return replace(layout, contained=host.exists(layout.runtime))


def place_state(host: Host, project: Path, chosen: Path | None, user: str | None) -> Path:
    """Make the state folder in a place that the services' account can enter.

    A project in root's own home is closed to everyone else; then the state lies under /var/lib/neurmatic
    and .neurmatic is a link to it.
    """
    state = state_folder(project, chosen)
    if user and not chosen and not host.exists(state) and not host.can_enter(project, user):
        digest = hashlib.sha256(str(project).encode()).hexdigest()[:8]
        target = SERVER_STATE / f"{project.name}-{digest}"
        host.make_folder(target)
        link = project / ".neurmatic"
        host.remove(link)  # a link to a folder that is gone
        host.link(target, link)
        return target
    host.make_folder(state)
    return state


def check_format(host: Host, layout: Layout) -> None:
    """Refuse a state folder that another version of the tool laid out, or that belongs to another project.

    Raises:
        ConfigurationError: with what to do; nothing was touched.
    """
    found = (host.read(layout.format_file) or "").strip()
    if found and found != STATE_FORMAT:
        raise ConfigurationError(
            f"{layout.state} has format {found}; this version of neurmatic knows format {STATE_FORMAT}",
            "use the version that made it, or choose another folder with --state; nothing was touched",
        )
    if not found:
        strangers = [
            name
            for name in host.names(layout.state)
            if not name.startswith(".") and name not in ("lock", "FORMAT", "secrets.env", "runtime")
        ]
        if strangers:
            raise ConfigurationError(
                f"{layout.state} is no state folder of neurmatic: it holds {', '.join(strangers[:5])}",
                "choose an empty or new folder with --state; nothing was touched",
            )


def prepare_state(host: Host, layout: Layout, user: str | None) -> None:
    """Make what every stack has in its state folder; first of all what says whose folder it is."""
    host.make_folder(layout.state)
    if not host.exists(layout.format_file):
        host.write(layout.format_file, STATE_FORMAT + "\n")
    needed = (
        layout.releases,
        layout.config,
        layout.services,
        layout.supervised,
        layout.logs,
        layout.tls,
        layout.reports,
    )
    for folder in needed:
        host.make_folder(folder)
    host.make_folder(layout.data, owner=user)
    host.make_folder(layout.run, owner=user)
