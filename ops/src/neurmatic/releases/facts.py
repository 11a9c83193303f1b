"""Facts: what is there now, read from the host; and what should be, rendered for it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from neurmatic.errors import ConfigurationError
from neurmatic.guard.peers import Settings, upstream_lists
from neurmatic.hosts.base import Host
from neurmatic.releases import release as releases
from neurmatic.releases.plan import SERVING, Facts, Mark, mark
from neurmatic.render.file import Files
from neurmatic.runtimes.base import Runtime
from neurmatic.runtimes.native.cluster import cluster_exists
from neurmatic.stack.instance import Instance
from neurmatic.stack.layout import SYSTEM_PATH, Layout
from neurmatic.stack.model import Stack

MARK = "mark.json"


@dataclass(frozen=True)
class Desired:
    """What should be there: every instance's files, and the digest that a start with them leaves."""

    files: Mapping[str, Files]
    marks: Mapping[str, Mark]


def desired(host: Host, layout: Layout, files: Mapping[str, Files], settings: Settings) -> Desired:
    """What is rendered, with its marks. The edge's includes its certificate and its instances, so that others are loaded."""
    marks = {name: mark(of) for name, of in files.items()}
    instances = "".join(upstream_lists(settings, {}).values())
    marks["edge"] = mark(files["edge"], host.read(layout.certificate) or "", instances)
    return Desired(files, marks)


def gather(host: Host, layout: Layout, runtime: Runtime, release: str, wanted: Desired) -> Facts:
    """Read what is there now."""
    present = runtime.present()
    states = {name: one.state for name, one in runtime.inspect(present).items()}
    return Facts(
        release_complete=releases.is_complete(host, layout, release),
        cluster=cluster_exists(host, layout),
        migrated=tuple((host.read(layout.migrated) or "").split()),
        supervised=runtime.is_supervising(),
        states=states,
        marks={name: found for name in present if (found := read_mark(host, layout, name))},
        files={path: host.read(layout.state / path) for of in wanted.files.values() for path in of},
    )


def read_mark(host: Host, layout: Layout, name: str) -> Mark | None:
    """What the instance was started with; None when it never came up well."""
    text = host.read(layout.service(name) / MARK)
    return Mark(**json.loads(text)) if text else None


def write_mark(host: Host, layout: Layout, name: str, now: Mark) -> None:
    """Note that the instance is up, with these files."""
    host.write(layout.service(name) / MARK, json.dumps(asdict(now)) + "\n")


def check_ports(host: Host, layout: Layout, stack: Stack, facts: Facts, ours: Mapping[str, Instance]) -> None:
    """Every port of an instance to be started must be free; of containers, those alone that are published.

    Raises:
        ConfigurationError: naming every taken port, the field it stands in and who has it.
    """
    wanted: list[tuple[str, int]] = []
    for one in ours.values():
        if facts.states.get(one.name) in (*SERVING, "stopping") or not one.port:
            continue
        if layout.contained and one.kind != "edge":
            continue
        wanted.append((f"{one.name}'s port", one.port))
        if one.kind == "edge":
            wanted.append(("edge.http_port", stack.edge.http_port))
            wanted += [] if layout.contained else [("edge.control_port", stack.edge.control_port)]
    taken = [f"{port} ({who}) is taken by {owner}" for who, port in wanted if (owner := host.port_owner(port))]
    if taken:
        raise ConfigurationError(
            "ports: " + "; ".join(taken),
            "stop what has them, or choose other ports in the stack file; nothing was started",
        )


def check_connections(stack: Stack, who: str) -> None:
    """The pools of all instances must fit into what PostgreSQL has free; `who` says whose they are.

    Raises:
        ConfigurationError: they don't.
    """
    postgres = stack.postgres
    if postgres and (wanted := stack.pooled_connections()) > postgres.free_connections:
        raise ConfigurationError(
            f"postgres.max_connections: {who} may hold {wanted} connections, {postgres.free_connections} are free",
            "raise max_connections, or lower pool_size or the number of instances, and run `neurmatic up`",
        )


def check_commands(host: Host, stack: Stack, layout: Layout) -> None:
    """Programs named without a folder must be on the services' PATH.

    Raises:
        ConfigurationError: naming each that isn't.
    """
    missing = [
        f"services.{name}.command: {service.command[0]!r} is not on {SYSTEM_PATH}"
        for name, service in stack.services.items()
        if "/" not in service.command[0] and "PATH" not in service.env and not host.which(service.command[0])
    ]
    if not stack.release.files:
        missing += [
            f"services.{name}.command: {layout.project / service.command[0]} does not exist"
            for name, service in stack.services.items()
            if "/" in service.command[0] and not host.exists(layout.project / service.command[0])
        ]
    if missing:
        raise ConfigurationError(
            "; ".join(missing), "install it, write its full path, or set PATH in [services.NAME.env]"
        )
