"""Base backups restored and the WAL replayed: to prove a backup, and to bring back any second."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from neurmatic.backups.archive import Archive, Gap, Segment, gaps, parse_lsn, read_archive
from neurmatic.backups.catalog import Kept
from neurmatic.backups.contents import differences, read_contents
from neurmatic.backups.database import Address, cluster_bytes
from neurmatic.backups.integrity import damaged_pages, unmet_constraints
from neurmatic.backups.manifest import Contents, Proof
from neurmatic.backups.pgbackrest import PgBackRest, make_folders
from neurmatic.backups.physical import base_backups, flush
from neurmatic.backups.scratch import THROWN_AWAY, scratch_folder, started
from neurmatic.backups.setting import Setting
from neurmatic.backups.stores.base import Store, StoreError
from neurmatic.errors import CommandError, ConfigurationError, NeurmaticError

_COMPLETED = re.compile(r"last completed transaction was at log time (\S+ \S+)")
_NEEDED = re.compile(r"(max_\w+) setting: +(\d+)")
_NAMES = {
    "max_connections": "max_connections",
    "max_worker_processes": "max_worker_processes",
    "max_wal_senders": "max_wal_senders",
    "max_prepared_xacts": "max_prepared_transactions",
    "max_locks_per_xact": "max_locks_per_transaction",
}
"""Sizes as pg_control names them, and the settings that they are of."""
_TARGETS = ("timeline", "time", "name", "action")
_RECOVERY = ("restore_command", *(f"recovery_target_{word}" for word in _TARGETS))
ARCHIVES_LATER = {"archive_mode": "on", "archive_command": "''"}
"""Archiving without a command: so the new timeline's first segments wait for the archiver of its next server."""
_SLACK = timedelta(seconds=2)
"""Stores tell the time of a file in whole seconds."""


@dataclass(frozen=True)
class Reached:
    """Where a recovery ended.

    Attributes:
        timeline, lsn: the last position that was replayed, and its timeline.
        why: PostgreSQL's own words, such as ``before 2026-03-01 10:00:00+00``.
        last_commit: when the last transaction that is there was committed; None when none was replayed.
    """

    timeline: int
    lsn: str
    why: str
    last_commit: datetime | None


@dataclass(frozen=True)
class Recovered:
    """A cluster brought back. Seconds count from the first byte read until it answered."""

    kept: Kept
    seconds: float
    reached: Reached


def recover(  # noqa: PLR0913  as `recovered`
    setting: Setting,
    data: Path,
    *,
    at: datetime | None,
    store: Store | None = None,
    kept: Kept | None = None,
    exact: bool = False,
    drain: bool = True,
) -> Recovered:
    """Restore the cluster into a new folder, as `recovered` does, and leave it shut down in order."""
    with recovered(setting, data, at=at, store=store, kept=kept, exact=exact, drain=drain) as (said, _):
        return said


@contextmanager
def recovered(  # noqa: PLR0913  what, where to, from where
    setting: Setting,
    data: Path,
    *,
    at: datetime | None,
    store: Store | None = None,
    kept: Kept | None = None,
    exact: bool = False,
    drain: bool = True,
) -> Iterator[tuple[Recovered, Address]]:
    """Restore the cluster into a new folder, to the archive's end or to a time, and see that it got there.

    It is promoted, and answers while the block runs; then it is shut down in order. It archives nothing itself: what its
    new timeline begins with waits in it for the archiver of whoever starts it in its place. Beside the folder lie its
    configuration and its log.

    Args:
        setting: whose backups.
        data: a folder that isn't there yet, in a folder of its own.
        at: the time to go back to, with its zone; None: all that is in the archive.
        store: only from this one; else from the first that can do it.
        kept: only from this backup.
        exact: no further than that backup's own end, the named point right after it.
        drain: whether a server that still answers sends what it has to the archive first.

    Raises:
        ConfigurationError: that time can't be reached from any backup; said before anything is restored.
        NeurmaticError: a segment is missing on the way, or recovery ended anywhere else; data is of no use then.
    """
    if at is not None and at > datetime.now(UTC):
        raise ConfigurationError(f"{_shown(at)} has not come yet", "without --at, everything up to now is brought back")
    make_folders(setting)
    stores = (store,) if store else (setting.store(kept.store),) if kept else setting.stores
    chosen, archive, timeline = _chosen(setting, stores, at, kept, drain=drain and not exact)
    begun = time.monotonic()
    setting.reporter.say(f"restoring {chosen.id} from {chosen.store}")
    goal = [f"--target-timeline={timeline}"]
    if at is not None:
        goal += ["--type=time", f"--target={at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f+00}", "--target-action=promote"]
    if exact:
        goal = ["--target-timeline=current", *_to_its_end(chosen)]
    restore(setting, chosen, data, *goal)
    setting.reporter.say("replaying the archive")
    with _replayed(setting, data, ARCHIVES_LATER) as address:
        seconds = time.monotonic() - begun
        with address.connected() as connection:
            for name in _RECOVERY:
                connection.execute(f"ALTER SYSTEM RESET {name}".encode())
        reached = reached_by(setting, data)
        if exact:
            if wrong := _not_at_its_end(chosen, reached):
                raise NeurmaticError(wrong)
        else:
            _must_have_reached(reached, archive, timeline, at)
        yield Recovered(chosen, round(seconds, 3), reached), address


def _chosen(
    setting: Setting, stores: tuple[Store, ...], at: datetime | None, kept: Kept | None, *, drain: bool
) -> tuple[Kept, Archive, int]:
    """The backup to begin with, its store's archive, and the timeline to follow.

    Raises:
        ConfigurationError: no store has what that time needs; it says why for each.
    """
    reasons: list[str] = []
    for store in stores:
        unsent = _drain(setting, store.name) if drain else ""
        try:
            return _chosen_in(setting, store, at, kept)
        except NeurmaticError as error:
            reasons.append(str(error) if store.name in str(error) else f"{store.name}: {error}")
            reasons += [unsent] if unsent else []
    when = f"{_shown(at)} can't be reached" if at else "there is nothing to recover from"
    raise ConfigurationError(f"{when}: {'; '.join(reasons)}", "`neurmatic backup list` shows what there is")


def _chosen_in(setting: Setting, store: Store, at: datetime | None, kept: Kept | None) -> tuple[Kept, Archive, int]:
    folders = {one.label: one.archive for one in PgBackRest(setting, store.name).backups()}
    known = [one for one in ([kept] if kept else base_backups(store)) if one.id in folders]
    if not known:
        raise StoreError(f"{store.name} has no base backup" + (f" {kept.id}" if kept else ""))
    early = [one for one in known if at is None or one.made <= at]
    if not early:
        raise StoreError(f"the oldest base backup in {store.name} was made at {_shown(known[0].made)}")
    # The newest cluster's: an older one's archive goes on no further.
    archive = read_archive(setting, store.name, folders[early[-1].id])
    timeline = archive.timeline(at)
    fitting = [
        one
        for one in early
        if folders[one.id] == folders[early[-1].id] and archive.leads(archive.segment(one.manifest.wal_stop), timeline)
    ]
    if not fitting:
        raise StoreError(f"no base backup in {store.name} leads to timeline {timeline}")
    chosen = fitting[-1]
    end = archive.end(timeline)
    if at is not None and (end is None or at > end + _SLACK):
        raise StoreError(f"the archive in {store.name} ends at {_shown(end) if end else 'nothing'}")
    missing = [gap for gap in gaps(archive, chosen.manifest.wal_start, timeline) if _matters(gap, at)]
    if missing:
        raise StoreError(f"{store.name}: {missing[0]}")
    return chosen, archive, timeline


def _matters(gap: Gap, at: datetime | None) -> bool:
    # Where it is close, recovery itself finds that it ends too early.
    return at is None or gap.before is None or gap.before + _SLACK < at


def _drain(setting: Setting, store: str) -> str:
    """Have the server that runs send what it has; in words why it didn't."""
    try:
        flush(setting, store, seconds=60)
    except NeurmaticError as error:
        unsent = f"what is not yet in the archive of {store} is not used: {error}"
        setting.reporter.say(unsent)
        return unsent
    return ""


def restore(setting: Setting, kept: Kept, data: Path, *goal: str) -> None:
    """Restore a base backup into this folder; the server that is started there replays the WAL to the goal.

    Args:
        setting: whose backups.
        kept: which one.
        data: a folder that isn't there yet.
        goal: pgBackRest's options about where recovery ends.
    """
    engine = PgBackRest(setting, kept.store)
    setting.host.make_folder(data, mode=0o700, owner=setting.user)
    # Not asynchronously: the queue and its lock are those of the live server's archiver.
    fetch = " ".join([*engine.words("archive-get", f"--pg1-path={data}", "--no-archive-async"), "%f", '"%p"'])
    # A restore empties the queue of the archiver, which here is the live server's: so it gets one of its own.
    spool = f"--spool-path={data.with_name('spool')}"
    engine.follow(
        "restore",
        *(spool, f"--set={kept.id}", f"--pg1-path={data}", f"--recovery-option=restore_command={fetch}"),
        *goal,
    )


def _server_settings(setting: Setting, data: Path) -> dict[str, str]:
    """What recovery needs to be as large as it was on the server that wrote the WAL."""
    said = setting.host.run(
        [str(setting.postgres_bin / "pg_controldata"), "-D", str(data)], env={"LANG": "C"}, user=setting.user
    )
    needed = {_NAMES[name]: number for name, number in _NEEDED.findall(said.out) if name in _NAMES}
    # Nobody is let in before it is there: who gets an answer knows that recovery has ended.
    return {"hot_standby": "off", **needed}


@contextmanager
def _replayed(setting: Setting, data: Path, settings: Mapping[str, str]) -> Iterator[Address]:
    """The restored server, once its recovery has ended at its goal; it is shut down in order.

    Raises:
        NeurmaticError: recovery ended before its goal; the message says how far it came.
    """
    try:
        with started(setting, data, {**_server_settings(setting, data), **settings}, keep=True) as scratch:
            yield scratch.address
    except CommandError as error:
        log = setting.host.tail(data.with_name("log"), 20_000)
        if "ended before configured recovery target was reached" not in log:
            raise
        last = _COMPLETED.findall(log)
        came = f"the last transaction that it holds was committed at {last[-1]}" if last else "it holds no transaction"
        raise NeurmaticError(
            f"the archive ends before what was asked for: {came}", "recover to the archive's end, or to an earlier time"
        ) from error


def reached_by(setting: Setting, data: Path) -> Reached:
    """Where the recovery in this folder ended: as the promoted server wrote it down.

    Raises:
        NeurmaticError: it was not promoted.
    """
    folder = data / "pg_wal"
    histories = [name for name in setting.host.names(folder) if name.endswith(".history")]
    if not histories:
        raise NeurmaticError(f"the server restored to {data} was never promoted")
    line = (setting.host.read(folder / histories[-1]) or "").strip().splitlines()[-1]
    timeline, lsn, why = line.split("\t", 2)
    last = _COMPLETED.findall(setting.host.tail(data.with_name("log"), 200_000))
    committed = datetime.fromisoformat(last[-1]) if last else None
    return Reached(int(timeline), lsn, why.strip(), committed)


def _must_have_reached(reached: Reached, archive: Archive, timeline: int, at: datetime | None) -> None:
    """Raises NeurmaticError where recovery ended early, which PostgreSQL takes for the archive's end."""
    if at is not None:
        if not reached.why.startswith(("before", "after")):
            raise NeurmaticError(f"recovery did not stop at {_shown(at)}, but at {reached.lsn}: {reached.why}")
        return
    last = archive.last(timeline)
    end = archive.holding(reached.timeline, parse_lsn(reached.lsn))
    if last and end.number < last.number:
        missing = archive.name(Segment(last.timeline, end.number + 1))
        raise NeurmaticError(
            f"recovery ended at {reached.lsn}, before the archive's last segment {archive.name(last)}: "
            f"{missing} can't be read, or {archive.name(end)} is damaged"
        )


def _to_its_end(kept: Kept) -> tuple[str, ...]:
    return ("--type=name", f"--target={kept.manifest.restore_point}", "--target-action=promote")


def _not_at_its_end(kept: Kept, reached: Reached) -> str:
    if kept.manifest.restore_point in reached.why:
        return ""
    return f"recovery ended at {reached.lsn}, {reached.why}, not at {kept.manifest.restore_point}"


def prove(setting: Setting, kept: Kept) -> Proof:
    """Restore a base backup to a scratch cluster, up to the named point after it, and look at all of it.

    Each file's checksum, then each page's, each row of the application's database, its definitions and its constraints;
    and that the archive goes on without a gap to its end. In the local store the checksum of every other file is
    compared, too: each segment, each backup. From a bucket that would be a download of all that is in it.

    Raises:
        NeurmaticError: it does not restore, or not to that point.
    """
    manifest, begun = kept.manifest, time.monotonic()
    make_folders(setting)
    with scratch_folder(setting, "physical") as data:
        restore(setting, kept, data, *_to_its_end(kept), "--target-timeline=current", "--archive-mode=off")
        with _replayed(setting, data, THROWN_AWAY) as address:
            restored = time.monotonic()
            with address.to(manifest.database).connected() as connection:
                found = read_contents(connection)
                wrong = list(differences(Contents({}, manifest.contents.definitions), Contents({}, found.definitions)))
                wrong += unmet_constraints(connection)
                size = cluster_bytes(connection)
        reached = reached_by(setting, data)
        if early := _not_at_its_end(kept, reached):
            wrong.append(early)
        wrong += damaged_pages(setting, data)
    wrong += _archive_findings(setting, kept)
    return Proof(
        id=kept.id,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        restore_s=round(restored - begun, 3),
        total_s=round(time.monotonic() - begun, 3),
        rows=found.rows,
        database_bytes=size,
        differences=tuple(wrong),
    )


def _archive_findings(setting: Setting, kept: Kept) -> list[str]:
    engine = PgBackRest(setting, kept.store)
    folder = next((one.archive for one in engine.backups() if one.label == kept.id), "")
    archive = read_archive(setting, kept.store, folder)
    start = archive.segment(kept.manifest.wal_start)
    newest = archive.timeline()
    # A backup of a timeline that was left since then leads to that one's end.
    timeline = newest if archive.leads(start, newest) else start.timeline
    found = [str(gap) for gap in gaps(archive, kept.manifest.wal_start, timeline)]
    return found + (engine.verify() if kept.store == "local" else [])


def _shown(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
