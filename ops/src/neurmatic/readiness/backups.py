"""What the checks of section 4 share: backups of the running stack, to be looked at, and those of its copy, to be broken."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import takewhile

from neurmatic.backups import logical
from neurmatic.backups.alarm import raised
from neurmatic.backups.catalog import Kept, listed
from neurmatic.backups.database import Address, Connection, DatabaseError, named, value
from neurmatic.backups.setting import Setting, setting_of
from neurmatic.errors import NeurmaticError
from neurmatic.readiness.finding import Evidence, Refuted, Unverifiable
from neurmatic.readiness.subject import Rehearsal, Subject
from neurmatic.releases.project import Quiet
from neurmatic.releases.up import Up
from neurmatic.stack.model import Stack

SLOW_ROWS = (300_000, 1_000_000)


def kept_by(stack: Stack) -> None:
    """Raises Unverifiable where the stack keeps no backups."""
    if stack.backup is None:
        raise Unverifiable("the stack file has no [backup]", "add [backup] and run `neurmatic up`")


def live_setting(subject: Subject) -> Setting:
    """The running stack's backups: to be read, and written to in no way.

    Raises:
        Unverifiable: it keeps none.
    """
    kept_by(subject.live.stack)
    return setting(subject)


def setting(subject: Subject) -> Setting:
    """What the running stack's database is asked with, whether or not backups of it are kept."""
    live = subject.live
    return setting_of(Up(live.host, live.layout, live.stack, Quiet(), subject.user))


def copy_setting(copy: Rehearsal) -> Setting:
    """The copy's backups, in a store of its own.

    Raises:
        Unverifiable: the stack keeps none.
    """
    kept_by(copy.stack)
    return replace(setting_of(copy.up), reporter=Quiet())


def database(setting: Setting) -> Address:
    """The application's database."""
    return logical.live(setting, setting.postgres.database)


def newest(setting: Setting, kind: str, store: str | None = None) -> Kept | None:
    """The newest backup of a kind."""
    fitting = [one for one in listed(setting.stores) if one.manifest.kind == kind and store in (None, one.store)]
    return max(fitting, key=lambda one: one.made, default=None)


def fails(evidence: Evidence, what: str, act: Callable[[], object], words: str = "") -> NeurmaticError:
    """See that this fails, as it should, with an error that an operator can read.

    Raises:
        Refuted: it doesn't fail, or says something else than `words`.
    """
    try:
        act()
    except NeurmaticError as error:
        if words not in str(error):
            raise Refuted(f"{what}: {error}") from None
        evidence.note(f"{what}: refused ({' '.join(str(error).split())[:110]})")
        return error
    raise Refuted(f"{what}: nothing failed")


def alerted(setting: Setting, evidence: Evidence, subject: str) -> None:
    """See that an alert about this stands.

    Raises:
        Refuted: none does.
    """
    standing = raised(setting)
    evidence.expect(
        subject in standing, f"an alert about {subject} {'stands' if subject in standing else 'was not raised'}"
    )


def everything(setting: Setting) -> list[str]:
    """Every file of the copy's local store but pgBackRest's own, hidden ones too."""
    words = ["find", str(setting.local.root), "-type", "f", "-not", "-path", f"{setting.local.root}/physical/*"]
    return sorted(setting.host.run(words, env={}, check=False).out.splitlines())


@contextmanager
def a_table(setting: Setting, name: str, rows: int) -> Iterator[None]:
    """A table of so many rows that can't be compressed, for as long as the block runs."""
    create = "CREATE TABLE {} AS SELECT n, md5(random()::text) AS t FROM generate_series(1, {}) n"
    with database(setting).connected() as connection:
        connection.execute(named(create.replace("1, {}", f"1, {rows}"), name))
    try:
        yield
    finally:
        with database(setting).connected() as connection:
            connection.execute(named("DROP TABLE {}", name))


def fails_in_mid_dump(
    evidence: Evidence, what: str, setting: Setting, act: Callable[[Connection], None], run: Callable[[], object]
) -> None:
    """See that `run` fails, as `fails` does, when this is done while its dump is being written to the local store.

    On a busy machine the dump may be over by then, and is whole: so it is run once more, with more rows.

    Raises:
        Refuted: it doesn't fail, or was never seen to write.
    """
    for rows in SLOW_ROWS:
        try:
            with _in_mid_dump(setting, act, rows):
                fails(evidence, what, run)
        except Refuted as error:
            refuted = error
        else:
            return
    raise refuted


@contextmanager
def _in_mid_dump(setting: Setting, act: Callable[[Connection], None], rows: int) -> Iterator[None]:
    """Do this once while a dump of the block is being written to the local store, with a connection to the database.

    Raises:
        Refuted: no dump was ever seen to be written.
    """
    done, acted = threading.Event(), threading.Event()
    before = set(everything(setting))

    def watch() -> None:
        with suppress(DatabaseError), database(setting).connected() as connection:
            begun = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'pg_dump'"
            while not done.is_set():
                if value(connection, begun) and set(everything(setting)) - before:
                    act(connection)
                    acted.set()
                    return
                time.sleep(0.001)

    with a_table(setting, "rehearsed_load", rows):
        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
    if not acted.is_set():
        raise Refuted("no dump was seen while it was written: it was too fast, or there was none")


def times_of(setting: Setting, timer: str) -> list[str]:
    """What the process that waits for this timer's time was told, in snooze's notation; empty when there is none."""
    running = setting.runtime.inspect([timer]).get(timer)
    line = setting.host.command_line(running.pid) if running and running.pid else ""
    words = line.split()
    return list(takewhile(lambda word: word != "-t", words[1:])) if words and words[0].endswith("snooze") else []
