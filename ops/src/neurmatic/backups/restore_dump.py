"""Restore a dump into a new database, or in place of the one that serves: checks first, swaps last.

Whatever fails before the swap leaves the live database untouched; the swap itself is one transaction, and the database
before is kept under another name until the operator drops it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from neurmatic.backups import logical, swap
from neurmatic.backups.catalog import Kept
from neurmatic.backups.contents import differences, read_contents
from neurmatic.backups.database import Address
from neurmatic.backups.fitting import check_key, check_space, check_version
from neurmatic.backups.manifest import Contents
from neurmatic.backups.restored import Confirm, Loss, Restored, rows_changed
from neurmatic.backups.setting import Setting
from neurmatic.errors import ConfigurationError, NeurmaticError


def into(setting: Setting, kept: Kept, name: str) -> Restored:
    """Restore a dump into a new database of the stack's own server, compare it, and gather its statistics.

    Raises:
        ConfigurationError: there is a database of that name.
        NeurmaticError: it failed; nothing is left of it.
    """
    server = logical.live(setting, "postgres")
    if swap.exists(server, name):
        raise ConfigurationError(f"there is a database {name!r} already", "choose another name; it was not touched")
    check_fits(setting, kept)
    done = Restored(kept.id, kept.store, name)
    unfinished = swap.beside(name, swap.UNFINISHED)
    with dropped_on_failure(server, unfinished):
        _restore_beside(setting, kept, server, unfinished, done)
        swap.rename(server, unfinished, name)
    return done


def in_place(setting: Setting, kept: Kept, confirm: Confirm, *, safety_copy: bool = True) -> Restored:
    """Restore a dump in place of the stack's database.

    Args:
        setting: whose.
        kept: the backup.
        confirm: asked with what would be lost, when the restored database stands ready beside the live one.
        safety_copy: whether the live database is dumped first. It is kept besides, under another name.

    Raises:
        NeurmaticError: it failed, or was not confirmed; the live database is as it was.
    """
    database = setting.postgres.database
    server = logical.live(setting, "postgres")
    check_fits(setting, kept)
    done = Restored(kept.id, kept.store, database)
    if safety_copy and swap.exists(server, database):
        with done.timed("safety copy"):
            manifest, _ = logical.dump(setting, database, setting.stores[:1])
        setting.reporter.say(f"safety copy: {manifest.id}, {manifest.contents.rows} rows")
    name = swap.beside(database, swap.UNFINISHED)
    with dropped_on_failure(server, name):
        found = _restore_beside(setting, kept, server, name, done)
        if not confirm(lambda: _loss(kept, server, database, found)):
            raise NeurmaticError("not confirmed: nothing was swapped", "the live database is as it was")
        with done.timed("swap"):
            if swap.exists(server, database):
                done.kept = swap.swap(server, database, name)
            else:
                swap.rename(server, name, database)
    return done


def _restore_beside(setting: Setting, kept: Kept, server: Address, name: str, done: Restored) -> Contents:
    setting.reporter.say(f"restoring {kept.id} from {kept.store} into database {name}")
    with done.timed("restore"):
        logical.create_database(setting, server, name)
        logical.load(setting, setting.store(kept.store), kept.manifest, server.to(name))
    with done.timed("compare"), server.to(name).connected() as connection:
        found = read_contents(connection)
        if wrong := list(differences(kept.manifest.contents, found)):
            raise NeurmaticError(f"{kept.id} did not restore to what was backed up: {'; '.join(wrong[:5])}")
    done.rows = found.rows
    with done.timed("analyze"), server.to(name).connected() as connection:
        connection.execute("ANALYZE")
    return found


def check_fits(setting: Setting, kept: Kept) -> None:
    """Version, key and space, before anything is read.

    Raises:
        NeurmaticError: one of them doesn't fit; nothing was touched.
    """
    check_key(setting, kept)
    check_version(setting, kept)
    check_space(setting, kept, setting.layout.data)


def _loss(kept: Kept, server: Address, database: str, found: Contents) -> Loss:
    moment = datetime.fromisoformat(kept.manifest.begun)
    minutes = (datetime.now(UTC) - moment).total_seconds() / 60
    where = f"database {database}_before_…"
    if not swap.exists(server, database):
        return Loss(moment, minutes, (), "nowhere: there is no live database")
    with server.to(database).connected() as connection:
        live = read_contents(connection)
    return Loss(moment, minutes, tuple(rows_changed(live, found)), where)


@contextmanager
def dropped_on_failure(server: Address, name: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        swap.drop(server, name)
        raise
