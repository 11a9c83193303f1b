"""From the stack to the running set: where each instance is asked for its health, and how long it may take."""

from collections.abc import Mapping

from neurmatic.probes.health import Target
from neurmatic.probes.tls import Place
from neurmatic.releases.running import Member, RunningSet
from neurmatic.render.places import LOOPBACK, Places
from neurmatic.stack.instance import Instance
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack
from neurmatic.stack.trusted import cdns

BUILT_IN_SECONDS = 60.0
"""How long nginx, PostgreSQL (recovering after a crash) and Redis (loading its data) may take to start or to stop."""
_PROGRAMS = {
    "edge": "nginx",
    "guard": "python3",
    "postgres": "postgres",
    "redis": "redis-server",
    "timer": "snooze",
}
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  where to ask what listens everywhere


def edge_address(stack: Stack) -> str:
    """Where to ask the edge from its own machine."""
    return _ANY_ADDRESS.get(stack.edge.listen, stack.edge.listen)


def edge_place(stack: Stack, layout: Layout, source: str | None = None) -> Place:
    """The edge, as a client on its own machine connects to it, from the address `source`."""
    return Place(edge_address(stack), stack.edge.https_port, stack.identity.host, layout.trust, source)


def target(stack: Stack, one: Instance, places: Places = LOOPBACK) -> Target:
    """Where and how to ask this instance for its health."""
    if one.kind == "edge":
        return Target(one.name, one.kind, one.port, url=stack.url + edge_path(stack))
    if one.kind == "timer":
        pattern = next(timer.pattern() for timer in stack.timers() if timer.name == one.name)
        return Target(one.name, one.kind, times=pattern)
    path = stack.services[one.service].health.ready if one.kind == "service" and one.port else None
    return Target(one.name, one.kind, one.port, path, address=places.of(one.name))


def edge_path(stack: Stack) -> str:
    """A path that the edge answers: the site's front page, else the readiness of a service that is routed."""
    ready = ready_paths(stack)
    return "/" if stack.site or not ready else ready[0]


def ready_paths(stack: Stack) -> list[str]:
    """Readiness of each service that can be asked for it through the edge."""
    return [
        one.health.ready
        for one in stack.services.values()
        if any(one.health.ready.startswith(route) for route in one.routes)
    ]


def start_timeout(stack: Stack, one: Instance) -> float:
    """Seconds until the instance must be healthy."""
    return stack.services[one.service].start_timeout if one.kind == "service" else BUILT_IN_SECONDS


def stop_timeout(stack: Stack, one: Instance) -> float:
    """Seconds from the signal to end until SIGKILL."""
    return stack.services[one.service].stop_timeout if one.kind == "service" else BUILT_IN_SECONDS


def running_set(
    stack: Stack, release: str, postgres_bin: str, versions: Mapping[str, str], places: Places
) -> RunningSet:
    """What `up` makes run; `versions` are those of the built-in programs."""
    members = tuple(
        Member(
            one.service,
            target(stack, one, places),
            versions.get(_PROGRAMS.get(one.kind, ""), release),
            start_timeout(stack, one),
            stop_timeout(stack, one),
        )
        for one in stack.instances()
    )
    cdn = stack.edge.trusted.cdn
    return RunningSet(
        stack=stack.name,
        environment=stack.environment,
        url=stack.url,
        release=release,
        edge_address=edge_address(stack),
        postgres_bin=postgres_bin,
        members=members,
        control_port=stack.edge.control_port,
        control_address=places.of("edge"),
        cdn=cdn or "",
        cdn_as_of=cdns()[cdn].as_of if cdn else "",
    )
