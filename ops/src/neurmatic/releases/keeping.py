"""Which releases are kept: what a rollback may need, by count and by age."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from neurmatic.hosts.base import Host
from neurmatic.releases import release as releases
from neurmatic.releases.deployed import Deployed
from neurmatic.stack.deploy import Deploy
from neurmatic.stack.layout import Layout


@dataclass(frozen=True)
class Made:
    """A release's folder.

    Attributes:
        at: when it was made; None for one that was never made to its end.
        standing: serving, previous, served or made (it never served), or unfinished.
        bytes: what its folder holds.
        revision: what the database's schema was after its migrations; empty when the stack file doesn't ask.
        commit: the one that its files are of; empty when it was not made of a git reference.
    """

    name: str
    at: datetime | None
    standing: str
    bytes: int
    revision: str
    commit: str = ""


def made(host: Host, layout: Layout, deployed: Deployed) -> list[Made]:
    """The releases that are here, oldest first."""
    found = [_made(host, layout, deployed, name) for name in host.names(layout.releases)]
    return sorted(found, key=lambda one: (one.at or datetime.min.replace(tzinfo=UTC), one.name))


def _made(host: Host, layout: Layout, deployed: Deployed, name: str) -> Made:
    at = host.modified(layout.release(name) / releases.COMPLETE)
    words = {deployed.release: "serving", deployed.previous: "previous"}
    standing = "unfinished" if at is None else words.get(name, "served" if name in deployed.history else "made")
    return Made(
        name,
        None if at is None else datetime.fromtimestamp(at, UTC),
        standing,
        host.folder_bytes(layout.release(name)),
        deployed.revisions.get(name, ""),
        releases.commit_of(host, layout, name),
    )


def to_remove(found: list[Made], deployed: Deployed, settings: Deploy, now: datetime) -> list[Made]:
    """Those that no rollback needs: not among the last that served, and older than the days for which all are kept."""
    kept = {deployed.release, *deployed.history[-settings.keep :]}
    old = now - timedelta(days=settings.keep_days)
    return [one for one in found if one.name not in kept and (one.at is None or one.at < old)]
