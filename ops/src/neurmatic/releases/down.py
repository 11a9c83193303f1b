"""`down`: stop everything in the reverse of the order it was started in; with purge, delete what it left."""

from dataclasses import dataclass
from pathlib import Path

from neurmatic.errors import ConfigurationError
from neurmatic.hosts.base import Host
from neurmatic.releases import running
from neurmatic.releases.events import EventLog, actor
from neurmatic.releases.project import Reporter, check_format
from neurmatic.runtimes.choice import runtime_of
from neurmatic.runtimes.containers.engine import Engine
from neurmatic.stack.layout import Layout


@dataclass(frozen=True)
class Doomed:
    """A folder that purge deletes."""

    path: Path
    bytes: int


def down(host: Host, layout: Layout, reporter: Reporter) -> list[str]:
    """Stop every instance and the supervisor; data, releases and secrets stay. Returns the names of what was stopped."""
    check_format(host, layout)
    if not host.exists(layout.format_file):
        return []
    runtime, events = runtime_of(host, layout), EventLog(host, layout)
    with host.locked(layout.lock, f"neurmatic down by {actor()}"), events.recorded("down"):
        stopped = []
        for name, grace in _last_started_first(host, layout, runtime.present()):
            if runtime.inspect([name])[name].state != "stopped":
                stopped.append(name)
            runtime.stop(name, grace=grace)
            if name in stopped:
                reporter.say(f"{name}: stopped")
        runtime.shut_down()
    return stopped


def _last_started_first(host: Host, layout: Layout, present: list[str]) -> list[tuple[str, float]]:
    try:
        members = running.read(host, layout).members
    except ConfigurationError:
        members = ()
    known = [(member.name, member.stop_timeout) for member in reversed(members) if member.name in present]
    return known + [(name, 30.0) for name in present if name not in {name for name, _ in known}]


def doomed(host: Host, layout: Layout, *, backups: bool = False) -> list[Doomed]:
    """Everything that purge would delete, with its size."""
    kept = () if backups else kept_by_purge(host, layout)
    names = [name for name in host.names(layout.state) if name not in kept]
    return [Doomed(layout.state / name, host.folder_bytes(layout.state / name)) for name in names]


def kept_by_purge(host: Host, layout: Layout) -> tuple[str, ...]:
    """The local store and the secrets, without which no backup opens: where there are backups, both stay."""
    return (layout.backups.name, layout.secrets.name) if host.names(layout.backups) else ()


def purge(host: Host, layout: Layout, *, backups: bool = False) -> None:
    """Delete the state folder: databases, releases, secrets, logs and the CA. The stack must be down.

    Args:
        host: where.
        layout: whose.
        backups: whether the local backups and the secrets go, too.

    Raises:
        ConfigurationError: the folder is none of ours.
    """
    if not host.exists(layout.format_file):
        raise ConfigurationError(f"{layout.state} is no state folder of neurmatic", "nothing was deleted")
    runtime = runtime_of(host, layout)
    if isinstance(runtime, Engine):
        runtime.forget_images()
    for one in doomed(host, layout, backups=backups):
        if one.path != layout.format_file:
            host.remove(one.path)
    if not host.names(layout.state) or host.names(layout.state) == [layout.format_file.name]:
        host.remove(layout.state)
