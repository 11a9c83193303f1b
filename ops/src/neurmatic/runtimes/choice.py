"""Which runtime a state folder has."""

from neurmatic.hosts.base import Host
from neurmatic.runtimes.base import Runtime
from neurmatic.runtimes.containers.engine import Engine
from neurmatic.runtimes.native.supervisor import Supervisor
from neurmatic.stack.layout import Layout


def runtime_of(host: Host, layout: Layout) -> Runtime:
    """What starts, stops and inspects the instances of this stack."""
    return Engine(host, layout) if layout.contained else Supervisor(host, layout)
