"""A copy of the stack to break: the same release and configuration, with ports, data and secrets of its own.

Checks that stop, hang or overload something never do it to the stack that serves. The copy lies in the state
folder's `rehearsal/` and is gone when the last check has ended; one that a killed run left is cleared away first.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from neurmatic.errors import NeurmaticError
from neurmatic.hosts.base import Host
from neurmatic.releases.deployed import read_deployed
from neurmatic.releases.down import down, purge
from neurmatic.releases.project import Quiet
from neurmatic.releases.up import Up
from neurmatic.runtimes.choice import runtime_of
from neurmatic.runtimes.containers.engine import Engine
from neurmatic.stack.layout import STATE_FORMAT, Layout
from neurmatic.stack.model import Stack
from neurmatic.stack.section import port_range

NOTHING = ("true",)
"""What a copy's timers call instead of the tool: their time may come, and nothing is done."""


@contextmanager
def rehearse(host: Host, layout: Layout, stack: Stack, user: str | None) -> Iterator[Up]:
    """Start a copy of the stack; it is stopped and deleted at the end.

    Raises:
        NeurmaticError: the copy did not come up.
    """
    copy = replace(layout, state=layout.state / "rehearsal")
    with host.locked(layout.state / "rehearsal.lock", "neurmatic verify"), cleared(host, copy, of=layout):
        host.link(layout.releases, copy.releases)  # releases are immutable, so both may run from them
        serving = read_deployed(host, layout).release  # what is verified is what serves, whatever the project holds now
        up = Up(host, copy, with_other_ports(host, copy, stack), Quiet(), user, NOTHING, serving)
        up.up()
        yield up


@contextmanager
def cleared(host: Host, copy: Layout, *, of: Layout) -> Iterator[None]:
    """An empty state folder for a copy; whatever was started from it is stopped, and all of it deleted, at the end."""
    _clear(host, copy)
    host.make_folder(copy.state)
    host.write(copy.format_file, STATE_FORMAT + "\n")
    if of.contained:
        host.write(copy.runtime, f"{(host.read(of.runtime) or '').strip()}-{copy.state.name}\n")
        host.write(copy.images, host.read(of.images) or "{}")  # the very servers that run
    try:
        yield
    finally:
        _clear(host, copy)


def with_other_ports(host: Host, copy: Layout, stack: Stack) -> Stack:
    """The same stack on ports that are free now, answering on loopback alone, with a certificate of its own CA.

    Containers are in another network as well, in which each has an address of its own.
    """
    numbered = {name: one.numbered(tuple(range(1, one.instances + 1))) for name, one in stack.services.items()}
    alone = stack.replace(
        tls=stack.tls.replace(certificates="local"),
        edge=stack.edge.replace(listen="127.0.0.1"),
        services=numbered,
        backup=stack.backup.replace(folder="", s3=None) if stack.backup else None,  # never into the real stores
    )
    return _in_another_network(host, copy, alone) if copy.contained else _on_free_ports(host, alone)


def _on_free_ports(host: Host, stack: Stack) -> Stack:
    wanted = sum(last - first + 1 for _, first, last in stack.ports())
    base = host.free_ports(wanted)
    taken = iter(range(base, base + wanted))
    services = {}
    for name, service in stack.services.items():
        ports = None
        if service.ports:
            first, last = port_range(service.ports)
            mine = [next(taken) for _ in range(first, last + 1)]
            ports = f"{mine[0]}-{mine[-1]}"
        services[name] = service.replace(ports=ports)
    return stack.replace(
        edge=stack.edge.replace(https_port=next(taken), http_port=next(taken), control_port=next(taken)),
        postgres=stack.postgres.replace(port=next(taken)) if stack.postgres else None,
        redis=stack.redis.replace(port=next(taken)) if stack.redis else None,
        services=services,
    )


def _in_another_network(host: Host, copy: Layout, stack: Stack) -> Stack:
    assert stack.containers is not None  # noqa: S101  as it runs as containers
    base = host.free_ports(2)
    return stack.replace(
        edge=stack.edge.replace(https_port=base, http_port=base + 1),
        # It lives for minutes: what its instances may use doesn't count into what the host is to have for the stack.
        containers=stack.containers.replace(
            host_cpus=1024, host_memory="4096GB", subnet=Engine(host, copy).free_subnet(stack.containers.subnet)
        ),
    )


def settle(up: Up) -> None:
    """Bring the copy back to health after a check: whatever it left stopped is started again."""
    for name in up.instances:
        up.runtime.signal(name, "CONT")
    up.runtime.stop(
        "guard", grace=5
    )  # started anew it doesn't hold against an instance what the check before did to it
    up.up()


def _clear(host: Host, copy: Layout) -> None:
    if host.exists(copy.format_file):
        for name in runtime_of(host, copy).present():
            _wake(host, copy, name)
        down(host, copy, Quiet())
        purge(host, copy, backups=True)
    elif host.exists(copy.state):
        host.remove(copy.state)
    if host.exists(copy.state):
        raise NeurmaticError(f"{copy.state} could not be cleared away", "remove it by hand")


def _wake(host: Host, copy: Layout, name: str) -> None:
    """A process that a killed run left suspended can't be asked to end."""
    runtime_of(host, copy).signal(name, "CONT")
