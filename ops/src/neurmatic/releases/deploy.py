"""`deploy` and `rollback`: a rollout with its lock and its event; and what is cleared away when it is over."""

from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime

from neurmatic.errors import BusyError, ConfigurationError
from neurmatic.hosts.base import Host
from neurmatic.releases.checkout import checked_out
from neurmatic.releases.deployed import Deployed, check_deployed, check_same, read_deployed, save_deployed
from neurmatic.releases.events import actor
from neurmatic.releases.keeping import Made, made, to_remove
from neurmatic.releases.project import prepare_state
from neurmatic.releases.release import COMPLETE
from neurmatic.releases.rollout import Choice, Outcome, Rollout
from neurmatic.releases.swapping import settle_swap
from neurmatic.releases.up import Up
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack


def roll(up: Up, described: Stack, choice: Choice, action: str) -> Outcome:
    """Bring a release live, as one event.

    Args:
        up: the stack.
        described: the stack as its file has it.
        choice: what to bring live.
        action: deploy or rollback.

    Raises:
        NeurmaticError: it isn't live, and the release before serves as it did.
        BusyError: what is deployed isn't any more what it was when `up` was made.
    """
    check_deployed(up.host, up.layout)
    with ExitStack() as late, up.host.locked(up.layout.lock, f"neurmatic {action} by {actor()}"):
        check_same(up.host, up.layout, up.deployed)
        prepare_state(up.host, up.layout, up.user)
        up.runtime.clear()
        if done := settle_swap(up.host, up.layout):
            up.reporter.say(done)
        with checked_out(up, choice.git) as (source, commit):
            rollout = Rollout(source, described, replace(choice, commit=commit))
            names = {"release": rollout.new.release, "before": rollout.before.release}
            with up.events.recorded(action, **names, **({"commit": commit} if commit else {})) as event:
                try:
                    outcome = rollout.run(late)
                finally:
                    event["phases"] = rollout.phases.seconds
                    event["measured"] = rollout.measured.as_json()
                    if rollout.left:
                        event["left"] = rollout.left
    return outcome


def known(host: Host, layout: Layout, deployed: Deployed, wanted: str) -> str:
    """The release that is here and whose name is, or begins with, what the operator typed.

    Raises:
        ConfigurationError: none is, or several are.
    """
    names = [one.name for one in made(host, layout, deployed) if one.at]
    found = [name for name in names if name == wanted] or [name for name in names if name.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    said = f"several releases begin with {wanted!r}: {', '.join(found)}" if found else f"there is no release {wanted!r}"
    raise ConfigurationError(said, f"releases here: {', '.join(names) or 'none'}")


def clear_after(up: Up) -> None:
    """What a deploy does last; where another command is at work by now, the next deploy does it."""
    with suppress(BusyError), up.host.locked(up.layout.lock, f"neurmatic deploy by {actor()}"):
        clear(up)


def clear(up: Up, *, dry_run: bool = False) -> list[Made]:
    """Remove the releases that no rollback needs, and say which; what serves, and what it would go back to, stays.

    The stack's lock is held by who calls it: a release that is being made must not pass for one that was cut off.
    """
    host, layout, reporter = up.host, up.layout, up.reporter
    deployed = read_deployed(host, layout)
    doomed = to_remove(made(host, layout, deployed), deployed, up.stack.deploy, datetime.now(UTC))
    for one in doomed:
        verb = "would be removed" if dry_run else "removed"
        reporter.say(f"release {one.name}: {verb}, {one.standing}, {one.bytes / 1e6:.0f} MB")
        if not dry_run:
            host.remove(layout.release(one.name) / COMPLETE)  # first: what is half removed must not pass for a release
            up.way.forget(one.name)
    if doomed and not dry_run:
        save_deployed(host, layout, deployed.without({one.name for one in doomed}))
    return doomed


def summary(outcome: Outcome, action: str) -> Iterable[str]:
    """What is said at the end."""
    phases = ", ".join(f"{name} {seconds:.1f}" for name, seconds in outcome.seconds.items())
    yield f"{action}: {outcome.release} serves in the place of {outcome.before}"
    yield outcome.measured.as_text()
    yield f"{sum(outcome.seconds.values()):.1f} s: {phases}"
