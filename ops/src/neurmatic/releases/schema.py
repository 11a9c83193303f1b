"""The database's schema and the releases: what a release's migrations did to it, and whether an earlier one can still run on it."""

from contextlib import suppress
from dataclasses import dataclass

from neurmatic.errors import BusyError, ConfigurationError, NeurmaticError
from neurmatic.hosts.base import Host
from neurmatic.releases import migrations
from neurmatic.releases.deployed import Deployed, read_deployed, save_deployed
from neurmatic.releases.events import actor
from neurmatic.releases.up import Up
from neurmatic.runtimes.native.cluster import ask
from neurmatic.stack.layout import Layout


@dataclass(frozen=True)
class Changed:
    """What a release's migrations left.

    Attributes:
        revision: as the stack file asks for it; empty when it doesn't.
        files: what of them was new.
        contracts: a sentence for each statement that the releases before can't live with; None when nobody has read them.
    """

    revision: str
    contracts: tuple[str, ...] | None
    files: tuple[str, ...] = ()


class NoWayBackError(NeurmaticError):
    """The release can't run on today's schema."""


def read(up: Up) -> migrations.Lint | None:
    """Read what is new of the migrations; None where the stack file doesn't say which they are.

    Raises:
        ConfigurationError: one would lock a table for long, or break the release that serves.
    """
    if not (pattern := up.stack.release.migrations):
        return None
    seen = migrations.lint(up.host, up.layout.sources, pattern, migrations.ran(up.host, up.layout))
    if seen.findings:
        said = "\n  ".join(f"{one.file}:{one.line}: {one.rule}: {one.message}" for one in seen.findings)
        raise ConfigurationError(
            f"the migrations of {up.release} are refused:\n  {said}",
            "`neurmatic migrations --help` says how it is done",
        )
    return seen


def migrate(up: Up, seen: migrations.Lint | None) -> Changed:
    """Run the release's migrations, which were read as `seen`.

    Raises:
        CommandError: they failed.
    """
    up.migrate()
    if seen is None:
        return Changed(revision(up), None if up.stack.release.migrate else ())
    contracts = tuple(f"{one.file}:{one.line}: {one.reason}" for one in seen.contracts)
    return Changed(revision(up), contracts, seen.files)


def note(up: Up) -> None:
    """Keep the revision that `up` has left, where nothing is known of this release's yet; another command may have left another by now."""
    with suppress(BusyError), up.host.locked(up.layout.lock, f"neurmatic up by {actor()}"):
        deployed = read_deployed(up.host, up.layout)
        if deployed.release == up.release and up.release not in deployed.revisions:
            save_deployed(up.host, up.layout, deployed.migrated(up.release, revision(up), None, ()))


def revision(up: Up) -> str:
    """The migrations' last revision as the database says it; empty when the stack file doesn't ask."""
    postgres = up.stack.postgres
    if not postgres or not postgres.revision:
        return ""
    return ask(up.host, up.server(postgres), postgres.revision)


def first_later(host: Host, layout: Layout, release: str) -> str:
    """The release whose migrations were the first to run after this one's; empty when there is none, or it isn't known."""
    later = _later(order(host, layout), release)
    return later[0] if later else ""


def order(host: Host, layout: Layout) -> tuple[str, ...]:
    """The releases whose migrations have run on this database, in their order."""
    return tuple((host.read(layout.migrated) or "").split())


def gone_back(host: Host, layout: Layout, deployed: Deployed, before: tuple[str, ...], release: str) -> None:
    """Forget that anything ran after this release's migrations: the database is of a time before.

    Args:
        host: where.
        layout: whose.
        deployed: what is known of the releases.
        before: the order before the database went back.
        release: the one whose schema it has now.
    """
    later = _later(before, release)
    host.write(layout.migrated, "".join(f"{one}\n" for one in before if one not in later))
    migrations.forget(host, layout, [file for one in later for file in deployed.migrations.get(one, ())])


def _later(ran: tuple[str, ...], release: str) -> tuple[str, ...]:
    return ran[ran.index(release) + 1 :] if release in ran else ()


def way_back(host: Host, layout: Layout, deployed: Deployed, release: str) -> str:
    """What isn't known of an earlier release on today's schema; empty when it is known to run.

    Raises:
        NoWayBackError: a release after it took away what it needs.
    """
    ran = order(host, layout)
    if release not in ran:
        return f"no migrations of {release} are known to have run on this database"
    later = _later(ran, release)
    if gone := [one for name in later for one in deployed.contracts.get(name, ())]:
        raise NoWayBackError(
            f"{release} can't run on today's schema, which lacks what it needs:\n  " + "\n  ".join(gone),
            "with `--with-database` the database goes back, too; what it would lose is said before",
        )
    unread = [name for name in later if name not in deployed.contracts]
    return f"nobody has read the migrations of {', '.join(unread)}: see [release] migrations" if unread else ""
