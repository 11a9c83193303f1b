"""Restore: into a new database, and in place; a bad dump leaves the live database as it was."""

from collections.abc import Callable
from dataclasses import replace

from neurmatic.backups import logical, swap
from neurmatic.backups.contents import read_contents
from neurmatic.backups.database import Address, named, value
from neurmatic.backups.kept import put_aside
from neurmatic.backups.manifest import Contents, Manifest, Table
from neurmatic.backups.proof import verify
from neurmatic.backups.restore import Request, carry_out, choose
from neurmatic.backups.restored import Loss
from neurmatic.backups.run import alone
from neurmatic.backups.setting import Setting
from neurmatic.readiness.backups import copy_setting, database, fails, live_setting, newest
from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.subject import Rehearsal, Subject

QUICK = False
TARGET = "rehearsed_restore"
ROWS = 1000


def check(subject: Subject, evidence: Evidence) -> None:
    copy = subject.rehearsal()
    setting = copy_setting(copy)
    address = database(setting)
    with address.connected() as connection:
        connection.execute("CREATE TABLE rehearsed_rows AS SELECT n FROM generate_series(1, %s) n", (ROWS,))
    manifest, _ = logical.dump(setting, setting.postgres.database, setting.stores)
    then = _contents(address)
    with address.connected() as connection:
        connection.execute("DELETE FROM rehearsed_rows WHERE n > 10")
    now = _contents(address)
    _bad_dumps(setting, manifest, now, evidence)
    _into(setting, manifest.id, then, evidence)
    _in_place(copy, setting, manifest.id, then, evidence)
    _from_the_bucket(live_setting(subject), evidence)


def _from_the_bucket(live: Setting, evidence: Evidence) -> None:
    """The running stack's own newest dump, to a scratch cluster beside it."""
    if live.backup.s3 is None:
        raise Unverifiable(
            "from a bucket: this stack has no [backup.s3]", "name one there; tests/backups restores from real ones"
        )
    kept = newest(live, "logical", "s3")
    evidence.expect(
        kept is not None, f"the newest dump in the bucket: {kept.id if kept else 'none'}", "neurmatic backup run"
    )
    assert kept is not None  # noqa: S101  as was just seen
    with alone(live, "backup verify", 600):
        proof = verify(live, kept)
    evidence.note(f"{kept.id} from the bucket: {proof.rows} rows compared, restored in {proof.restore_s:.1f} s")


def _bad_dumps(setting: Setting, manifest: Manifest, now: Contents, evidence: Evidence) -> None:
    with setting.local.open(manifest.dump_key) as file:
        whole = file.read()
    table = {"public.that_was_there": Table(7, "1")}
    more = replace(manifest.contents, tables=manifest.contents.tables | table)
    spoilt = {
        "cut short": (manifest, whole[:-1000]),
        "that restores to something else than was dumped": (replace(manifest, contents=more), whole),
    }
    before = _databases(setting)
    for number, (what, (about, data)) in enumerate(spoilt.items()):
        bad = replace(about, id=f"{manifest.id}-bad{number}")
        with setting.host.writing(setting.local.root / bad.dump_key, mode=0o600, owner=setting.user) as file:
            file.write(data)
        setting.local.put_text(bad.key, bad.text())
        fails(
            evidence,
            f"in place, a dump {what}",
            lambda bad=bad: carry_out(setting, choose(setting, Request(bad.id)), lambda _: True),  # type: ignore[misc]
        )
        evidence.expect(_contents(database(setting)) == now, "the live database is as it was, row by row")
        evidence.expect(_databases(setting) == before, "and nothing is left beside it")


def _into(setting: Setting, name: str, then: Contents, evidence: Evidence) -> None:
    server = logical.live(setting, TARGET)
    try:
        carry_out(setting, choose(setting, Request(name, into=TARGET)), lambda _: True)
        _statistics(server, evidence)
        evidence.expect(_contents(server) == then, f"into a new database: {then.rows} rows, as they were")
    finally:
        swap.drop(server, TARGET)


def _statistics(server: Address, evidence: Evidence) -> None:
    with server.connected() as connection:
        planned = value(connection, "SELECT reltuples FROM pg_class WHERE relname = 'rehearsed_rows'")
    evidence.expect(planned == ROWS, f"statistics are of what is there: {planned:g} rows expected by the planner")


def _in_place(copy: Rehearsal, setting: Setting, name: str, then: Contents, evidence: Evidence) -> None:
    told: list[Loss] = []

    def agree(loss: Callable[[], Loss]) -> bool:
        told.append(loss())
        return True

    carry_out(setting, choose(setting, Request(name)), agree)
    lost = "; ".join(told[0].tables)
    evidence.expect("rehearsed_rows: 10 rows now" in lost, f"said before it: {lost}")
    # First: looking at all rows would leave time for autovacuum to gather statistics.
    _statistics(database(setting), evidence)
    evidence.expect(_contents(database(setting)) == then, f"in place: {then.rows} rows, as they were")
    aside = [one.name for one in put_aside(setting)]
    evidence.expect(bool(aside), f"the state before is kept: {', '.join(aside)}")
    copy.await_health()
    evidence.note("every instance is healthy on it")
    for one in aside:
        swap.drop(logical.live(setting, "postgres"), one)
    with database(setting).connected() as connection:
        connection.execute(named("DROP TABLE {}", "rehearsed_rows"))


def _contents(address: Address) -> Contents:
    with address.connected() as connection:
        return read_contents(connection)


def _databases(setting: Setting) -> list[str]:
    with logical.live(setting, "postgres").connected() as connection:
        return [name for (name,) in connection.execute("SELECT datname FROM pg_database ORDER BY 1").fetchall()]
