"""The stack as a developer starts it, in a copy of the project's sources: `docker compose up` with the file for development.

The copy lies in the state folder's `rehearsal-development/`, has ports, a network and a name of its own, and is gone at the end,
images included; one that a killed run left is cleared away first.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurmatic.errors import ConfigurationError
from neurmatic.hosts.base import Host
from neurmatic.hosts.interrupts import held_back
from neurmatic.releases.images import BUILD_SECONDS
from neurmatic.releases.rehearsal import with_other_ports
from neurmatic.releases.values import read_secrets
from neurmatic.render.containers import render_containers
from neurmatic.runtimes.containers.engine import Engine
from neurmatic.stack.layout import COMPOSE, Layout
from neurmatic.stack.model import Stack

ENVIRONMENT = "development"


@dataclass(frozen=True)
class Development:
    """The copy; `layout.project` is where its sources are, to be edited."""

    host: Host
    layout: Layout
    stack: Stack

    @property
    def engine(self) -> Engine:
        return Engine(self.host, self.layout)

    @property
    def folder(self) -> Path:
        """Where `docker compose` is called."""
        return self.layout.project / "deploy" / ENVIRONMENT

    def services(self) -> list[str]:
        """What the compose file has, by name: docker compose lists them in no order."""
        return sorted(self.engine.compose(self.folder, "config", "--services").out.split())

    def containers(self) -> dict[str, dict[str, Any]]:
        """What the engine says of each, by its name in the compose file."""
        said = self.engine.containers().values()
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in said}


@contextmanager
def developed(host: Host, layout: Layout, stack: Stack) -> Iterator[Development]:
    """Start the copy; when this returns, the engine has found every container healthy.

    Raises:
        CommandError: an image can't be built, or a container did not become healthy.
    """
    state = layout.state / "rehearsal-development"
    copy = Layout(state, state / "project", contained=True)
    with host.locked(state.with_suffix(".lock"), "neurmatic verify"):
        _clear(host, copy)
        try:
            one = _prepared(host, layout, copy, stack)
            one.engine.compose(one.folder, "up", "--build", "--detach", "--wait", timeout=BUILD_SECONDS)
            yield one
        finally:
            with held_back():
                _clear(host, copy)


def _prepared(host: Host, layout: Layout, copy: Layout, stack: Stack) -> Development:
    digest = hashlib.sha256(str(layout.state).encode()).hexdigest()[:8]  # another stack here may have the same name
    name = f"{stack.name}-{digest}"
    host.make_folder(copy.state)
    host.write(copy.runtime, f"{name}-{ENVIRONMENT}\n")  # first: by it, whatever is started can be found again
    one = Development(host, copy, _apart(host, copy, stack.replace(identity=stack.identity.replace(name=name))))
    _copy_sources(host, layout, copy)
    assert one.stack.containers is not None  # noqa: S101  whoever calls has looked
    for path, file in render_containers(one.stack, one.stack.containers).items():
        host.make_folder((one.folder / path).parent)
        host.write(one.folder / path, file.text, mode=file.mode)
    known = read_secrets(host, layout)
    for secret in stack.secrets.require:
        if secret in known:
            host.make_folder(one.folder / "secrets", mode=0o700)
            host.write(one.folder / "secrets" / secret, known[secret].reveal(), mode=0o600)
    host.run([str(one.folder / "make-secrets")])
    host.make_folder(copy.tls)
    host.write(copy.trust, host.read(one.folder / "secrets" / "edge.crt") or "")
    return one


def _apart(host: Host, copy: Layout, stack: Stack) -> Stack:
    """The stack beside everything that runs on this host."""
    other = with_other_ports(host, copy, stack)
    assert other.containers is not None  # noqa: S101  as above
    published = [name for name, one in other.containers.reload.items() if one.port]
    https, http, *more = range(first := host.free_ports(2 + len(published)), first + 2 + len(published))
    moved = {name: other.containers.reload[name].replace(port=port) for name, port in zip(published, more, strict=True)}
    return other.replace(
        edge=other.edge.replace(https_port=https, http_port=http),
        containers=other.containers.replace(reload=other.containers.reload | moved),
    )


def _copy_sources(host: Host, layout: Layout, copy: Layout) -> None:
    """What a colleague would get of the project: files that the repository has, and new ones that it doesn't ignore."""
    names = _in_repository(host, layout.project) or _in_folder(host, layout)
    for folder in sorted({(copy.project / name).parent for name in names}):
        host.make_folder(folder)  # the containers' account reads it
    for name in names:
        host.copy(layout.project / name, copy.project / name)


def _in_repository(host: Host, project: Path) -> list[str]:
    git = ["git", "-c", "safe.directory=*", "-C", str(project)]  # it may be another account's
    wanted = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = host.run([*git, *wanted], check=False) if host.which("git") else None
    names = listed.out.split("\0") if listed and listed.ok else []
    return [name for name in names if name and host.exists(project / name)]


def _in_folder(host: Host, layout: Layout) -> list[str]:
    """Without a repository: everything but hidden folders, which are tools' own, and the state."""
    hidden = [name for name in host.names(layout.project) if name.startswith(".")]
    files = [name for name in hidden if not host.is_folder(layout.project / name)]
    rest = [name for name in host.names(layout.project) if name not in hidden]
    return files + [name for name in rest if not layout.state.is_relative_to(layout.project / name)]


def _clear(host: Host, copy: Layout) -> None:
    """Stop and remove whatever was started from the copy, with its data and its images, and the copy."""
    one = Engine(host, copy)
    if one.project:
        folder = copy.project / "deploy" / ENVIRONMENT
        if host.exists(folder / COMPOSE):
            one.compose(folder, "down", "--volumes", "--remove-orphans", "--timeout", "5")
        name = one.project.removesuffix(f"-{ENVIRONMENT}")
        shown = ["--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={name}-*"]
        if images := one.docker("image", "ls", *shown).out.split():
            one.docker("image", "rm", *images)
    host.remove(copy.state)
    if host.exists(copy.state):
        raise ConfigurationError(f"{copy.state} could not be cleared away", "remove it by hand")
