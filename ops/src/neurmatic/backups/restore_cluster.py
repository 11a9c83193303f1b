"""Restore from a base backup and the WAL: into a new database, or the whole cluster in place of the one that serves.

In place, the recovered cluster is made beside the live one and looked at; then PostgreSQL is stopped for as long as two
renames of folders take. The folder before is kept until the operator drops it.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from neurmatic.backups import logical, recovery, swap
from neurmatic.backups.catalog import Kept
from neurmatic.backups.contents import contents_of, differences, read_contents
from neurmatic.backups.database import Address, DatabaseError
from neurmatic.backups.fitting import check_key, check_space, check_version
from neurmatic.backups.kept import BEFORE
from neurmatic.backups.manifest import Contents
from neurmatic.backups.recovery import Recovered
from neurmatic.backups.restore_dump import dropped_on_failure
from neurmatic.backups.restored import Confirm, Loss, Restored, rows_changed
from neurmatic.backups.scratch import scratch_folder
from neurmatic.backups.setting import Setting
from neurmatic.errors import ConfigurationError, NeurmaticError
from neurmatic.releases.swapping import settle_swap

POSTGRES = "postgres"
"""The instance's name."""
STOP_SECONDS = START_SECONDS = 60


@dataclass(frozen=True)
class Point:
    """Up to where the WAL is applied: to this moment, to its end, or only until the backup is consistent."""

    at: datetime | None = None
    to_end: bool = False


def into(setting: Setting, kept: Kept, point: Point, name: str) -> Restored:
    """Recover the cluster beside the live one, and copy its database into a new one of the live server.

    Raises:
        ConfigurationError: there is a database of that name.
        NeurmaticError: it failed; nothing is left of it.
    """
    server, database = logical.live(setting, "postgres"), setting.postgres.database
    if swap.exists(server, name):
        raise ConfigurationError(f"there is a database {name!r} already", "choose another name; it was not touched")
    done = Restored(kept.id, kept.store, name)
    unfinished = swap.beside(name, swap.UNFINISHED)
    with scratch_folder(setting, "recovered") as data, ExitStack() as running:
        recovered, address = running.enter_context(_recovered(setting, kept, point, data, done))
        done.reached = _moment(recovered, point).isoformat(timespec="seconds")
        with dropped_on_failure(server, unfinished):
            source = address.to(database)
            with done.timed("copy"):
                logical.create_database(setting, server, unfinished)
                logical.transfer(setting, source, server.to(unfinished))
            with done.timed("compare"):
                wanted, found = contents_of(source, server.to(unfinished))
                if wrong := list(differences(wanted, found)):
                    raise NeurmaticError(f"the copy is not what was recovered: {'; '.join(wrong[:5])}")
            with done.timed("analyze"), server.to(unfinished).connected() as connection:
                connection.execute("ANALYZE")
            swap.rename(server, unfinished, name)
            done.rows = found.rows
    return done


def in_place(setting: Setting, kept: Kept, point: Point, confirm: Confirm) -> Restored:
    """Recover the cluster and put it in place of the live one.

    Raises:
        NeurmaticError: it failed, or was not confirmed; the live cluster is as it was, and serves.
    """
    done = Restored(kept.id, kept.store, setting.postgres.database)
    with scratch_folder(setting, "recovered") as data:
        with _recovered(setting, kept, point, data, done) as (recovered, address):
            moment = _moment(recovered, point)
            done.reached = moment.isoformat(timespec="seconds")
            with done.timed("compare"):
                found = _looked_at(address.to(setting.postgres.database))
            done.rows = found.rows
            if not confirm(lambda: _loss(setting, found, moment)):
                raise NeurmaticError("not confirmed: nothing was swapped", "the live database is as it was")
        with done.timed("swap"):
            done.kept = _swap(setting, data)
    return done


@contextmanager
def _recovered(
    setting: Setting, kept: Kept, point: Point, data: Path, done: Restored
) -> Iterator[tuple[Recovered, Address]]:
    """The recovered cluster, which answers while the block runs."""
    what = (
        f"up to {point.at.isoformat(sep=' ')}" if point.at else "to the end of the WAL" if point.to_end else "as it was"
    )
    check_key(setting, kept)
    check_version(setting, kept)
    check_space(setting, kept, setting.layout.data)
    setting.reporter.say(f"recovering {kept.id} from {kept.store}, {what}")
    exact = point.at is None and not point.to_end
    with ExitStack() as running:
        with done.timed("recover"):
            one = running.enter_context(recovery.recovered(setting, data, at=point.at, kept=kept, exact=exact))
        yield one


def _looked_at(address: Address) -> Contents:
    """Every row of a database read, and its statistics gathered meanwhile."""

    def analyze() -> None:
        with address.connected() as connection:
            connection.execute("ANALYZE")

    with ThreadPoolExecutor(1) as beside:
        analyzed = beside.submit(analyze)
        with address.connected() as connection:
            found = read_contents(connection)
        analyzed.result()
    return found


def _loss(setting: Setting, found: Contents, moment: datetime) -> Loss:
    live = _live_contents(setting)
    tables = tuple(rows_changed(live, found)) if live else ()
    where = f"folder {setting.layout.postgres}{BEFORE}…"
    return Loss(moment, (datetime.now(UTC) - moment).total_seconds() / 60, tables, where)


def _moment(recovered: Recovered, point: Point) -> datetime:
    """When the recovered state was: as asked for, else of its last commit, else of the backup."""
    return point.at or recovered.reached.last_commit or recovered.kept.made


def _live_contents(setting: Setting) -> Contents | None:
    """None where the live database doesn't answer."""
    try:
        with logical.live(setting, setting.postgres.database).connected() as connection:
            return read_contents(connection)
    except DatabaseError:
        return None


def _swap(setting: Setting, recovered: Path) -> str:
    """Stop PostgreSQL, exchange the folders, start it. What fails, or is cut off, puts the folder before back."""
    host, layout = setting.host, setting.layout
    live = layout.postgres
    before = live.with_name(f"{live.name}{BEFORE}{datetime.now(UTC):%Y%m%dt%H%M%S}")
    had_one = host.exists(live)
    setting.reporter.say("stopping postgres, exchanging the folders, starting it")
    host.write(layout.swapping, before.name + "\n")
    try:
        setting.runtime.stop(POSTGRES, grace=STOP_SECONDS)
        if had_one:
            host.rename(live, before)
        host.rename(recovered, live)
        _start(setting)
    except BaseException:
        setting.runtime.stop(POSTGRES, grace=STOP_SECONDS)
        if host.exists(live) and (host.exists(before) or not had_one):
            host.rename(live, recovered)
        settle_swap(host, layout)
        if had_one:
            _start(setting)
        raise
    host.remove(layout.swapping)
    return before.name if had_one else ""


def _start(setting: Setting) -> None:
    """Start PostgreSQL and wait until it takes connections.

    Raises:
        NeurmaticError: it doesn't, within a minute.
    """
    setting.runtime.start(POSTGRES)
    until = time.monotonic() + START_SECONDS
    while not logical.live(setting, "postgres").answers():
        if time.monotonic() > until:
            raise NeurmaticError(
                f"the restored cluster did not come up within {START_SECONDS} s", "see `neurmatic logs postgres`"
            )
    # Its checkpointer began while the server was still starting, where it overlooks archive_timeout, and would sleep for
    # minutes: this wakes it, so that what is written now is archived in time.
    with logical.live(setting, "postgres").connected() as connection:
        connection.execute("SELECT pg_reload_conf()")
