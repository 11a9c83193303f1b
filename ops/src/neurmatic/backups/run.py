"""`backup run`: one run at a time makes what is due, and whatever goes wrong is an alert."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from neurmatic.backups import logical, sources, swap
from neurmatic.backups.alarm import alarmed
from neurmatic.backups.database import DatabaseError
from neurmatic.backups.manifest import Kind, Manifest
from neurmatic.backups.scratch import clear_scratch
from neurmatic.backups.setting import Setting
from neurmatic.backups.stores.base import Store
from neurmatic.errors import NeurmaticError
from neurmatic.releases.events import actor
from neurmatic.releases.lock import locked_path
from neurmatic.releases.swapping import settle_swap


@contextmanager
def alone(setting: Setting, what: str, wait: float) -> Iterator[None]:
    """Hold the lock of this stack's backups: runs, proofs, restores and drills come one after the other."""
    holder = f"neurmatic {what} by {actor()}"
    with locked_path(setting.host, setting.layout.backup_lock, holder, setting.reporter, wait):
        _settle(setting)
        yield


def _settle(setting: Setting) -> None:
    """What a command that was killed left: folders half exchanged, scratch clusters, databases half restored."""
    if done := settle_swap(setting.host, setting.layout):
        setting.reporter.say(done)
    clear_scratch(setting)
    with suppress(DatabaseError):  # without a server there is nothing to see, and what is begun now says so itself
        for name in swap.drop_unfinished(logical.live(setting, "postgres")):
            setting.reporter.say(f"a restore was cut off: its unfinished database {name} was dropped")


def run(
    setting: Setting, kinds: Sequence[Kind], stores: tuple[Store, ...], wait: float, *, full: bool = False
) -> list[Manifest]:
    """Make backups of these kinds. One kind's failure doesn't keep the other from being made.

    Args:
        setting: whose.
        kinds: logical, physical or both.
        stores: where to.
        wait: seconds to wait for another run's end.
        full: whether a base backup is full though an incremental one is due.

    Raises:
        NeurmaticError: some failed, or did not reach every store; each is an event and an alert. Earlier backups are
            as they were.
    """
    made: list[Manifest] = []
    failed: list[NeurmaticError] = []
    with alone(setting, "backup run", wait):
        for kind in kinds:
            try:
                with alarmed(setting, f"backup.{kind}"), setting.events.recorded("backup", kind=kind):
                    made += _one(setting, kind, stores, full=full)
            except NeurmaticError as error:
                failed.append(NeurmaticError(f"{kind}: {error}", error.hint))
        for store in stores:
            try:
                with alarmed(setting, "backup.sources"):
                    sources.keep(setting, store)
            except NeurmaticError as error:
                failed.append(NeurmaticError(f"the release's files: {error}", error.hint))
    if failed:
        hint = failed[0].hint or "correct the cause and run it again; earlier backups are untouched"
        raise NeurmaticError("; ".join(str(error) for error in failed), hint)
    return made


def _one(setting: Setting, kind: Kind, stores: tuple[Store, ...], *, full: bool) -> list[Manifest]:
    if kind == "physical":
        from neurmatic.backups import physical  # noqa: PLC0415  for one of two kinds

        return physical.back_up(setting, stores, "full" if full else None)
    setting.reporter.say(f"dumping {setting.postgres.database}")
    manifest, failed = logical.dump(setting, setting.postgres.database, stores)
    setting.reporter.say(
        f"{manifest.id}: {manifest.contents.rows} rows of {len(manifest.contents.tables)} tables, "
        f"{manifest.size / 1e6:.1f} MB in {manifest.duration_s:.1f} s"
    )
    if failed:
        hint = next((error.hint for error in failed.values() if error.hint), "")
        raise NeurmaticError("; ".join(f"{name}: {error}" for name, error in failed.items()), hint)
    return [manifest]
