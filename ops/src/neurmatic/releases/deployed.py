"""What is deployed: the release that serves, where its instances are, and which releases served before it."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from neurmatic.errors import BusyError, ConfigurationError
from neurmatic.hosts.base import Host
from neurmatic.releases.project import check_format
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack


@dataclass(frozen=True)
class Deployed:
    """The choice that a deploy, a rollback or `scale` made; whatever starts the stack keeps to it.

    Attributes:
        release: the one that serves; empty when none ever did.
        held: whether `up` stays with it though the project's files make another one: it was chosen by its name.
        first: number of each service's first instance; 1 for one that isn't named.
        scale: number of instances, where it was chosen apart from the stack file.
        history: releases that served, the present one last; each once.
        replaced: the one that served until this one did, whether that was a deploy or a rollback.
        revisions: what the database's schema was after a release's migrations.
        contracts: what a release's migrations took away from those before it, of releases whose migrations were read.
        migrations: the files that a release brought for them.
    """

    release: str = ""
    held: bool = False
    first: Mapping[str, int] = field(default_factory=dict)
    scale: Mapping[str, int] = field(default_factory=dict)
    history: tuple[str, ...] = ()
    revisions: Mapping[str, str] = field(default_factory=dict)
    contracts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    migrations: Mapping[str, Sequence[str]] = field(default_factory=dict)
    replaced: str = ""

    def serving(self, release: str, *, held: bool) -> "Deployed":
        """The same with this release serving, after those that did until now."""
        before = tuple(one for one in self.history if one != release)
        return replace(
            self, release=release, held=held, history=(*before, release), replaced=self.served_before(release)
        )

    def back_at(self, release: str) -> "Deployed":
        """The same with an earlier release serving: those after it never count as what a rollback goes back to."""
        before = self.history[: self.history.index(release)] if release in self.history else self.history
        return replace(
            self, release=release, held=True, history=(*before, release), replaced=self.served_before(release)
        )

    def served_before(self, release: str) -> str:
        """The release whose pages may still be open when this one serves; empty when there is none."""
        return self.replaced if release == self.release else self.release

    def migrated(
        self, release: str, revision: str, contracts: Sequence[str] | None, files: Sequence[str]
    ) -> "Deployed":
        """The same, once this release's migrations have run; without contracts nobody has read them."""
        known = {} if contracts is None else {release: contracts}
        return replace(
            self,
            revisions={**self.revisions, release: revision},
            contracts={**self.contracts, **known},
            migrations={**self.migrations, release: files},
        )

    def without(self, removed: Collection[str]) -> "Deployed":
        """The same without releases that are gone: no rollback goes back to them."""
        return replace(
            self,
            history=tuple(one for one in self.history if one not in removed),
            revisions={name: revision for name, revision in self.revisions.items() if name not in removed},
        )

    @property
    def previous(self) -> str:
        """The release that served before this one; empty when there is none."""
        return self.history[-2] if len(self.history) > 1 else ""


def read_deployed(host: Host, layout: Layout) -> Deployed:
    """What is deployed here; nothing, before the first `up`."""
    text = host.read(layout.deployed)
    if text is None:
        return Deployed()
    data = json.loads(text)
    return Deployed(**data | {"history": tuple(data["history"])})


def check_deployed(host: Host, layout: Layout) -> None:
    """Raises ConfigurationError where nothing was ever deployed, or another version of the tool laid out the state."""
    check_format(host, layout)
    if not read_deployed(host, layout).release:
        raise ConfigurationError("nothing is deployed here", "`neurmatic up` starts the stack")


def check_same(host: Host, layout: Layout, seen: Deployed | None) -> None:
    """Called with the stack's lock held, by whoever read what is deployed before; None: nobody did.

    Raises:
        BusyError: another command has changed it since.
    """
    if seen is not None and read_deployed(host, layout) != seen:
        raise BusyError("another command has just changed what is deployed", "nothing was changed; run this one again")


def save_deployed(host: Host, layout: Layout, deployed: Deployed) -> None:
    """Keep it; a reader sees the one before or this one."""
    host.write(layout.deployed, json.dumps(asdict(deployed), indent=1) + "\n")


def placed(stack: Stack, deployed: Deployed) -> Stack:
    """The stack with its instances where they are, and as many as were chosen."""
    return stack.placed(
        {
            name: _numbers(deployed.first.get(name, 1), deployed.scale.get(name, service.instances))
            for name, service in stack.services.items()
        }
    )


def standing(stack: Stack, deployed: Deployed, running: Mapping[str, tuple[int, ...]]) -> Stack:
    """The stack with its instances as they run, though its file may say another number by now.

    Args:
        stack: as its file has it.
        deployed: says which half of the numbers counts; the running set may be a step behind, where a command was cut off.
        running: numbers of the running set's instances, by service.
    """
    numbers = {}
    for name, service in placed(stack, deployed).services.items():
        first = service.numbers[0]
        there = tuple(n for n in running.get(name, ()) if first <= n < first + service.half)
        numbers[name] = (
            there or service.numbers if name in running else ()
        )  # a service that is new in the file has none
    return stack.placed(numbers)


def beside(stack: Stack, deployed: Deployed) -> Deployed:
    """The same with every service's instances in the other half of its numbers.

    Raises:
        ConfigurationError: a pool of ports has no room for both.
    """
    first = {}
    for name, service in stack.services.items():
        count = deployed.scale.get(name, service.instances)
        if count > service.half:
            raise ConfigurationError(
                f"services.{name}.ports: a deploy starts {count} new instances beside those that serve, "
                f"and {service.ports} has room for {service.half * 2} in all",
                f"give it {count * 2} ports or more, and run `neurmatic up`",
            )
        first[name] = service.half + 1 if deployed.first.get(name, 1) <= service.half else 1
    return replace(deployed, first=first)


def scaled(stack: Stack, deployed: Deployed, service: str, count: int) -> Deployed:
    """The same with this many instances of a service; as many as the stack file says needs no choice.

    Args:
        stack: as its file has it.
        deployed: what is deployed now.
        service: its name.
        count: how many.

    Raises:
        ConfigurationError: there is no such service, or no room.
    """
    if service not in stack.services:
        raise ConfigurationError(f"there is no service {service!r}", f"services here: {', '.join(stack.services)}")
    half = stack.services[service].half
    if not 1 <= count <= half:
        raise ConfigurationError(
            f"{service} can have 1 to {half} instances, not {count}",
            f"half of services.{service}.ports is for the next deploy; a wider pool has room for more",
        )
    scale = dict(deployed.scale) | {service: count}
    if stack.services[service].instances == count:
        del scale[service]
    return replace(deployed, scale=scale)


def _numbers(first: int, count: int) -> tuple[int, ...]:
    return tuple(range(first, first + count))
