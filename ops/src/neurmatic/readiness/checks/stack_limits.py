"""Every container has its limits, they fit the host together, and the pools fit the database; what can't fit is refused before it starts."""

from neurmatic.errors import ConfigurationError
from neurmatic.readiness.figures import see_limits
from neurmatic.readiness.finding import Evidence, Refuted
from neurmatic.readiness.subject import Subject
from neurmatic.releases.project import Quiet
from neurmatic.releases.up import Up
from neurmatic.stack.model import Stack
from neurmatic.stack.section import size_bytes

QUICK = True
TOO_MANY = 64


def check(subject: Subject, evidence: Evidence) -> None:
    live = subject.live
    _pools(live.stack, evidence)
    engine = subject.need_containers()
    before = set(engine.containers())
    _limits(subject, evidence)
    name, service = live.service()
    large = live.stack.replace(services={**live.stack.services, name: service.replace(instances=TOO_MANY)})
    try:
        Up(live.host, live.layout, large, Quiet(), subject.user).way.check_limits()
    except ConfigurationError as error:
        evidence.note(f"{TOO_MANY} instances of {name} are refused: {error}")
    else:
        raise Refuted(f"{TOO_MANY} instances of {name} would be started")
    evidence.expect(set(engine.containers()) == before, "and nothing was started for it")


def _pools(stack: Stack, evidence: Evidence) -> None:
    if stack.postgres is None:
        return
    users = {name: one for name, one in stack.services.items() if "postgres" in one.needs}
    wanted, free = stack.pooled_connections(), stack.postgres.free_connections
    sums = " + ".join(f"{name} {len(one.numbers)} x {one.pool_size}" for name, one in users.items())
    evidence.expect(wanted <= free, f"connections: {sums} = {wanted} of {free} that are free")


def _limits(subject: Subject, evidence: Evidence) -> None:
    """Of every running container, as the engine says them, and their sums."""
    memory, cpus = see_limits(subject, evidence)
    containers = subject.live.stack.containers
    assert containers is not None  # noqa: S101  it runs as containers
    evidence.expect(
        memory <= size_bytes(containers.host_memory) and cpus <= containers.host_cpus,
        f"together {memory / 2**20:.0f} MB of {containers.host_memory}, {cpus:g} of {containers.host_cpus:g} processors",
    )
