"""How the stack here stands, for an operator's tool that runs one command on several hosts."""

from collections.abc import Sequence

from neurmatic.errors import BusyError, ConfigurationError
from neurmatic.hosts.base import Host
from neurmatic.releases import running
from neurmatic.releases.deployed import read_deployed
from neurmatic.releases.keeping import made
from neurmatic.releases.plan import SERVING
from neurmatic.releases.switch import closed
from neurmatic.remote.together import Answer
from neurmatic.runtimes.native.supervisor import Supervisor
from neurmatic.stack.layout import Layout


def standing(host: Host, layout: Layout, at_work: Sequence[str]) -> Answer:
    """What is deployed and runs; `at_work` are commands that other operators' tools started here and that still run."""
    try:
        served = running.read(host, layout)
    except ConfigurationError:  # nothing was ever started
        return Answer(busy=next(iter(at_work), "") or _holder(host, layout))
    deployed = read_deployed(host, layout)
    states = Supervisor(host, layout).inspect([one.name for one in served.members])
    return Answer(
        release=deployed.release,
        previous=deployed.previous,
        held=deployed.held,
        releases=tuple(one.name for one in made(host, layout, deployed) if one.at),
        instances={name: len(numbers) for name, numbers in served.numbers().items()},
        closed=closed(host, layout) is not None,
        runs=any(one.state in SERVING for one in states.values()),
        busy=next(iter(at_work), "") or _holder(host, layout),
    )


def _holder(host: Host, layout: Layout) -> str:
    """Who holds the stack's lock; empty when nobody does."""
    if not host.exists(layout.lock):
        return ""
    try:
        with host.locked(layout.lock, "neurmatic -H, looking whether anybody is at work"):
            return ""
    except BusyError as error:
        return str(error).rpartition(": ")[2]
