"""The stack as it is among containers: every instance at an address of its own, the site a service like any other."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neurmatic.render.places import LOOPBACK, LOOPBACK_ADDRESS, Places
from neurmatic.stack.containers import BLOCK, Containers, Reload
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack
from neurmatic.stack.service import Health, Service

LAYOUT = Layout(Path("/neurmatic"), Path("/app"))
"""Where the containers have what natively lies in the state folder, and the application."""
POSTGRES_DATA = Path("/var/lib/postgresql/data")
REDIS_DATA = Path("/data")
EVERYBODY = "0.0.0.0"  # noqa: S104  within a container; who reaches it is decided by the networks
SITE = "site"
SITE_INSTANCE = "site-1"
NONE: Mapping[str, Reload] = {}
_BUILT_IN = {"edge": 10, "postgres": 11, "redis": 12, "migrate": 13, "seed": 14}


@dataclass(frozen=True)
class Inside:
    """A stack among containers.

    Attributes:
        stack: its edge hears everybody, and its site is a service that the edge leads to.
        publish: the address of the host on which the edge's ports are published.
        reload: how services run from sources that are being edited; empty but in development.
    """

    stack: Stack
    containers: Containers
    places: Places
    publish: str
    reload: dict[str, Reload]


def inside(stack: Stack, containers: Containers) -> Inside:
    """What becomes of the stack when its instances are containers."""
    reload = containers.reload if stack.environment == "development" else {}
    moved = apart(stack, containers, reload.get(SITE))
    heard = moved.replace(edge=stack.edge.replace(listen=EVERYBODY))
    return Inside(heard, containers, places_of(moved, containers, reload), stack.edge.listen, reload)


def apart(stack: Stack, containers: Containers, reload: Reload | None = None) -> Stack:
    """The stack with each instance at an address of its own, and its site as a service; one that is so already stays so."""
    services = dict(stack.services)
    if stack.site or SITE in services:
        services[SITE] = _site(containers, reload)
    return stack.replace(services={name: one.apart() for name, one in services.items()}, site=None)


def _site(containers: Containers, reload: Reload | None) -> Service:
    port, ready = (reload.port, "/") if reload and reload.port else (containers.site_port, containers.site_health)
    return Service(command=("nginx",), ports=str(port), routes=("/",), health=Health(ready=ready))


def places_of(
    stack: Stack, containers: Containers, reload: Mapping[str, Reload] = NONE, redis: Path | None = REDIS_DATA
) -> Places:
    """The same addresses each time: nginx looks names up only when it starts.

    Args:
        stack: as `apart` makes it.
        containers: names the network.
        reload: services that run from sources.
        redis: the folder of Redis's data; None: in the state folder.
    """
    network = ipaddress.IPv4Network(containers.subnet)
    found = {name: str(network[number]) for name, number in _BUILT_IN.items()}
    for block, service in enumerate(stack.services, 1):
        found |= {f"{service}-{number + 1}": str(network[BLOCK * block + number]) for number in range(BLOCK)}
    if SITE in reload:  # a development server asks the stack by its public name: it shares the edge's network
        found[SITE_INSTANCE] = LOOPBACK_ADDRESS
    return Places(EVERYBODY, found, (f"{LOOPBACK_ADDRESS}/32", containers.subnet), redis)


def places_in(layout: Layout, stack: Stack) -> Places:
    """Where the instances of a stack find each other, with what its state folder has for a runtime."""
    return places_of(stack, stack.containers, redis=None) if layout.contained and stack.containers else LOOPBACK
