"""What a rollout will do, said before it does it: a pure function from what is there to steps in their order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from neurmatic.errors import ConfigurationError
from neurmatic.releases import release as releases
from neurmatic.releases import running, schema
from neurmatic.releases.deployed import beside, placed, read_deployed, standing
from neurmatic.releases.plan import SERVING, Step
from neurmatic.releases.up import Up
from neurmatic.stack.model import Stack

OTHERS = ("postgres", "redis", "timer")
"""Kinds of instances that a rollout leaves alone; what `up` would do to them comes after it."""


@dataclass(frozen=True)
class Ahead:
    """What a rollout finds.

    Attributes:
        before: the release that serves.
        made: whether the new one's folder is there already.
        migrated: whether its migrations have run on this database.
        backup: whether a backup is made first.
        coming: instances to be started.
        leaving: instances that serve now.
        stack: with its instances where they will be.
    """

    release: str
    before: str
    made: bool
    migrated: bool
    backup: bool
    coming: Sequence[str]
    leaving: Sequence[str]
    stack: Stack


def rollout_steps(ahead: Ahead) -> Iterator[Step]:
    """The steps in their order."""
    stack = ahead.stack
    if not ahead.made and stack.release.files:
        yield Step("build", ahead.release, "this release was not made yet")
    if ahead.backup:
        yield Step("backup", "postgres", "what a deploy can break is saved, and proven, before it begins")
    if not ahead.migrated:
        if stack.release.migrate:
            yield Step("migrate", ahead.release, f"the release changes from {ahead.before}")
        if stack.release.seed:
            yield Step("seed", ahead.release, f"the release changes from {ahead.before}")
    for name in ahead.coming:
        yield Step("start", name, f"{ahead.release}, beside what serves")
    yield Step("switch", "edge", f"from {ahead.before} to {ahead.release}, all at once")
    if stack.deploy.watch:
        yield Step("watch", ahead.release, f"for {stack.deploy.watch:g} s; what goes wrong switches back")
    for name in ahead.leaving:
        yield Step("stop", name, f"{ahead.before} serves no more; its requests end first")


def ahead(up: Up, described: Stack, *, backup: bool) -> Ahead | None:
    """What a rollout of the project's files finds; None where `up` doesn't need one, or can't make room for it.

    It needs one when another release serves. Without room for two, `up` restarts one instance after the other.
    """
    before = read_deployed(up.host, up.layout)
    if not before.release or before.release == up.release:
        return None
    there = standing(described, before, running.read(up.host, up.layout).numbers())
    leaving = [one.name for one in there.instances() if one.kind == "service"]
    states = up.runtime.inspect(leaving)
    if any(name not in states or states[name].state not in SERVING for name in leaving):
        return None
    try:
        moved = placed(described, beside(described, before))
    except ConfigurationError:
        return None
    return Ahead(
        release=up.release,
        before=before.release,
        made=releases.is_complete(up.host, up.layout, up.release),
        migrated=up.release in schema.order(up.host, up.layout),
        backup=backup,
        coming=[one.name for one in moved.instances() if one.kind == "service"],
        leaving=leaving,
        stack=moved,
    )
