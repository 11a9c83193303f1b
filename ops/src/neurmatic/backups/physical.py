"""Base backups: made by pgBackRest, each with a named point in the WAL right after it and a manifest in its store."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from neurmatic.backups.archive import archiving_error
from neurmatic.backups.catalog import Kept, listed
from neurmatic.backups.contents import read_definitions
from neurmatic.backups.database import Connection, value
from neurmatic.backups.logical import Identity, identify, live
from neurmatic.backups.manifest import PHYSICAL, Contents, Manifest
from neurmatic.backups.pgbackrest import BaseBackup, PgBackRest, archive_of, check_owner, prepare
from neurmatic.backups.setting import Setting
from neurmatic.backups.stores.base import Store
from neurmatic.errors import NeurmaticError
from neurmatic.render.backup import STANZA

Type = Literal["full", "incr"]
ARCHIVE_SECONDS = 300
"""How long a segment may take to the archive before a backup that needs it is called failed."""
_EARLY = timedelta(hours=6)
_TRIES = 5


@dataclass(frozen=True)
class Point:
    """A named point in the WAL, and what was defined in the database at it."""

    name: str
    segment: str
    definitions: tuple[str, ...]
    identity: Identity


def back_up(setting: Setting, stores: tuple[Store, ...], type: Type | None = None) -> list[Manifest]:  # noqa: A002  pgBackRest's own word
    """Make a base backup in each of these stores: a full one when it is time for one, else an incremental one.

    One store's failure doesn't keep the others from getting theirs.

    Returns:
        The manifests, in the order of the stores.

    Raises:
        NeurmaticError: naming each store that has none now. Earlier backups are as they were.
    """
    unprepared = prepare(setting, [store.name for store in stores])
    made: list[Manifest] = []
    failed: dict[str, NeurmaticError] = {}
    for store in stores:
        try:
            if store.name in unprepared:
                raise unprepared[store.name]
            made.append(_backed_up(setting, store, type))
        except NeurmaticError as error:
            failed[store.name] = error
    if failed:
        hint = next((error.hint for error in failed.values() if error.hint), "")
        raise NeurmaticError("; ".join(f"{name}: {error}" for name, error in failed.items()), hint)
    return made


def _backed_up(setting: Setting, store: Store, type: Type | None) -> Manifest:  # noqa: A002  as above
    engine = PgBackRest(setting, store.name)
    engine.free_lock()
    begun, clock = datetime.now(UTC), time.monotonic()
    wanted = type or _due(store, {one.label for one in engine.backups()}, setting.backup.full_days, begun)
    setting.reporter.say(f"base backup, {wanted}, to {store.name}")
    label = engine.back_up(f"--type={wanted}")
    ended = datetime.now(UTC)  # from here on, any time can be recovered from it
    point = mark(setting, f"neurmatic-{label}")  # at once: while its segment is archived, the rest is asked
    backups = engine.backups()
    new = next((one for one in backups if one.label == label), None)
    if new is None:
        raise NeurmaticError(f"pgBackRest made {label}, and does not list it in {store.name}")
    if new.damaged:
        raise NeurmaticError(
            f"the server's own files have pages with a wrong checksum: {new.label} was copied with them",
            f"see {setting.layout.logs}/backup/{STANZA}-backup.log; restore an earlier backup while there is one",
        )
    key_id = setting.key_id
    await_archived(setting, engine, new.archive, point.segment)
    manifest = Manifest(
        id=new.label,
        kind="physical",
        identity=point.identity.identity,
        database=setting.postgres.database,
        begun=begun.isoformat(timespec="seconds"),
        ended=ended.isoformat(timespec="milliseconds"),
        duration_s=round(time.monotonic() - clock, 3),
        server_version=point.identity.server_version,
        release=setting.release,
        revision=point.identity.revision,
        key_id=key_id,
        size=new.size,
        database_bytes=new.database_bytes,
        contents=Contents({}, point.definitions),
        type=new.type,
        needs=chain(backups, new),
        start_lsn=new.start_lsn,
        stop_lsn=new.stop_lsn,
        wal_start=new.wal_start,
        wal_stop=new.wal_stop,
        restore_point=point.name,
    )
    store.put_text(manifest.key, manifest.text())
    setting.reporter.say(
        f"{manifest.id}: {manifest.type}, {manifest.size / 1e6:.1f} MB of {manifest.database_bytes / 1e6:.1f} MB "
        f"in {manifest.duration_s:.1f} s"
    )
    return manifest


def _due(store: Store, labels: set[str], full_days: int, now: datetime) -> Type:
    """Full when there is none, or none young enough; a few hours early rather than a day late."""
    fulls = [one for one in base_backups(store) if one.manifest.type == "full" and one.id in labels]
    youngest = max((datetime.fromisoformat(one.manifest.begun) for one in fulls), default=None)
    return "full" if youngest is None or now - youngest > timedelta(days=full_days) - _EARLY else "incr"


def base_backups(store: Store) -> list[Kept]:
    """Those of one store that have a manifest, oldest first."""
    return listed([store], [PHYSICAL])


def chain(backups: Iterable[BaseBackup], one: BaseBackup) -> tuple[str, ...]:
    """Labels of what a backup stands on, the full one first."""
    by_label = {backup.label: backup for backup in backups}
    found: list[str] = []
    while one.prior:
        found.insert(0, one.prior)
        one = by_label[one.prior]
    return tuple(found)


def mark(setting: Setting, name: str) -> Point:
    """Name a point in the WAL, between two looks at the database's definitions that found the same.

    Raises:
        NeurmaticError: something was being defined all the time.
    """
    with live(setting, setting.postgres.database).connected() as connection:
        definitions = read_definitions(connection)
        for number in range(1, _TRIES + 1):
            point = name if number == 1 else f"{name}-{number}"
            segment = value(connection, "SELECT pg_walfile_name(pg_create_restore_point(%s))", point)
            found = read_definitions(connection)
            if found == definitions:
                identity = identify(setting, connection, setting.postgres.database)
                _switch(connection)
                return Point(point, segment, found, identity)
            definitions = found
    raise NeurmaticError("tables are being changed while the backup is made", "run it again when the migration is done")


def _switch(connection: Connection) -> None:
    connection.execute("SELECT pg_switch_wal()")


def flush(setting: Setting, store: str, seconds: float = ARCHIVE_SECONDS) -> None:
    """Send all that was committed until now to the archive, and wait until it is there.

    Raises:
        NeurmaticError: the server can't be asked, or archiving doesn't work.
    """
    engine = PgBackRest(setting, store)
    archive = archive_of(check_owner(setting, engine))
    with live(setting, "postgres").connected() as connection:
        connection.execute("SELECT pg_current_xact_id()")  # a commit: recovery to a time ends at the first one after it
        segment = value(connection, "SELECT pg_walfile_name(pg_switch_wal())")
    await_archived(setting, engine, archive, segment, seconds)


def await_archived(
    setting: Setting, engine: PgBackRest, archive: str, segment: str, seconds: float = ARCHIVE_SECONDS
) -> None:
    """Wait until this segment lies in the store.

    Raises:
        NeurmaticError: it doesn't come.
    """
    until = time.monotonic() + seconds
    pause = 0.05  # a segment takes a quarter of a second to a store nearby
    while not engine.files(f"archive/{STANZA}/{archive}/{segment[:16]}", f"^{segment}-"):
        if time.monotonic() > until:
            with live(setting, "postgres").connected() as connection:
                row = connection.execute(
                    "SELECT failed_count, last_failed_wal, last_failed_time, last_archived_wal FROM pg_stat_archiver"
                ).fetchone()
            failed, wal, at, last = row or (0, None, None, None)
            what = (
                f"archive_command failed {failed} times, the last time for {wal} at {at}"
                if failed
                else "it is waited for"
            )
            raise NeurmaticError(
                f"segment {segment} did not come to the archive in {engine.store} within {seconds:g} s: {what}; "
                f"the last one archived was {last}; {archiving_error(setting)}",
                "see `neurmatic logs postgres` and logs/backup; the backup counts only with this segment",
            )
        time.sleep(pause)
        pause = min(1.0, pause * 1.5)


def expire(setting: Setting, store: Store, ids: Iterable[str]) -> list[str]:
    """Remove base backups, their manifests first, and the WAL that none of the others needs.

    Returns:
        What was removed.

    Raises:
        NeurmaticError: a backup that stays can't be restored without one of these; nothing was removed.
    """
    going = set(ids)
    engine = PgBackRest(setting, store.name)
    engine.free_lock()
    backups = engine.backups()
    there = [one for one in backups if one.label in going]
    for one in backups:
        if one.label not in going and (needed := going.intersection(chain(backups, one))):
            raise NeurmaticError(f"{one.label} in {store.name} needs {', '.join(sorted(needed))}; nothing was removed")
    if there and len(there) == len(backups):
        raise NeurmaticError(f"these are all base backups in {store.name}; nothing was removed")
    for kept in base_backups(store):
        if kept.id in going:
            store.remove(kept.manifest.key)
            store.remove(kept.manifest.proof_key)
    for one in reversed(there):  # dependents first
        engine.run("expire", f"--set={one.label}", timeout=3600)
    # The archive is kept from the oldest full backup on, however many there are.
    fulls = sum(one.type == "full" for one in backups if one.label not in going)
    if fulls:
        repo = f"--repo{engine.number}-retention"
        engine.run(
            "expire",
            *(f"{repo}-full-type=count", f"{repo}-full=9999999"),
            *(f"{repo}-archive-type=full", f"{repo}-archive={fulls}"),
            timeout=3600,
        )
    return [one.label for one in there]


def orphans(setting: Setting, store: Store) -> list[str]:
    """Base backups that lie in a store and count for nothing: the run that made them was cut off before the manifest."""
    known = {one.id for one in base_backups(store)}
    return [one.label for one in PgBackRest(setting, store.name).backups() if one.label not in known]
