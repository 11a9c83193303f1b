"""The running set: what was applied last, as `status` and the probes need it, without reading the stack file."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from neurmatic.errors import ConfigurationError
from neurmatic.hosts.base import Host
from neurmatic.probes.health import Prober, Target
from neurmatic.render.places import LOOPBACK_ADDRESS
from neurmatic.stack.layout import Layout


@dataclass(frozen=True)
class Member:
    """One instance of the running set, with the version of its program or release."""

    service: str
    target: Target
    version: str
    start_timeout: float
    stop_timeout: float

    @property
    def name(self) -> str:
        return self.target.name


@dataclass(frozen=True)
class RunningSet:
    """What `up` made the state folder run.

    Attributes:
        cdn: name of the CDN whose addresses the edge trusts, and the day of that list; empty without one.
    """

    stack: str
    environment: str
    url: str
    release: str
    edge_address: str
    postgres_bin: str
    members: tuple[Member, ...]
    control_port: int = 0
    cdn: str = ""
    cdn_as_of: str = ""
    control_address: str = LOOPBACK_ADDRESS

    @property
    def control(self) -> str:
        """Where the edge is asked about itself."""
        return f"http://{self.control_address}:{self.control_port}"

    def numbers(self) -> dict[str, tuple[int, ...]]:
        """Numbers of the instances, by service; built-in services have none."""
        found: dict[str, tuple[int, ...]] = {}
        for one in self.members:
            if one.target.kind == "service":
                found[one.service] = (*found.get(one.service, ()), int(one.name.rpartition("-")[2]))
        return found

    def prober(self, host: Host, layout: Layout, redis_password: str, timeout: float = 3) -> Prober:
        """A prober for these instances."""
        binaries = Path(self.postgres_bin) if self.postgres_bin else None
        edge = (self.edge_address, layout.trust)
        return Prober(
            host,
            postgres_bin=binaries,
            redis_password=redis_password,
            edge=edge,
            guard=layout.guard,
            switch=layout.switch,
            is_contained=layout.contained,
            timeout=timeout,
        )


def save(host: Host, layout: Layout, running: RunningSet) -> None:
    """Keep the running set for the commands to come."""
    host.write(layout.running, json.dumps(asdict(running), indent=1) + "\n")


def read(host: Host, layout: Layout) -> RunningSet:
    """The running set.

    Raises:
        ConfigurationError: nothing was ever started from this state folder.
    """
    text = host.read(layout.running)
    if text is None:
        raise ConfigurationError(f"no stack was started here ({layout.state})", "start it with `neurmatic up`")
    data = json.loads(text)
    members = tuple(Member(**{**one, "target": Target(**one["target"])}) for one in data.pop("members"))
    return RunningSet(**data, members=members)
