"""Any second: rows written before a chosen moment are there again, those written after it are not."""

import time
from datetime import UTC, datetime

from neurmatic.backups import logical, swap
from neurmatic.backups.database import Address, named
from neurmatic.backups.restore import Request, carry_out, choose
from neurmatic.backups.run import run
from neurmatic.backups.setting import Setting
from neurmatic.readiness.backups import copy_setting, database, fails
from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Subject

QUICK = False
MARKS = 3
"""Rows written after each of two base backups."""
APART_SECONDS = 1.2
TARGET = "rehearsed_moment"


def check(subject: Subject, evidence: Evidence) -> None:
    setting = copy_setting(subject.rehearsal())
    address = database(setting)
    run(setting, ["physical"], setting.stores, 0)
    with address.connected() as connection:
        connection.execute("CREATE TABLE rehearsed_marks (n int)")
    try:
        moments = _mark(address, 0)
        run(setting, ["physical"], setting.stores, 0)
        moments += _mark(address, MARKS)
        for n, which in ((1, "oldest"), (MARKS, "newest")):
            found = _at(setting, moments[n])
            wanted = list(range(n + 1))
            evidence.expect(
                found == wanted,
                f"after the {which} base backup, at {moments[n]:%H:%M:%S.%f}, between rows {n} and {n + 1}: rows {found}",
            )
        early = Request(at=datetime(2000, 1, 1, tzinfo=UTC), into=TARGET)
        fails(
            evidence, "a moment before every backup", lambda: carry_out(setting, choose(setting, early), lambda _: True)
        )
    finally:
        with address.connected() as connection:
            connection.execute(named("DROP TABLE {}", "rehearsed_marks"))


def _mark(address: Address, first: int) -> list[datetime]:
    """Write rows from this number on, and note a moment between each and the next."""
    moments = []
    with address.connected() as connection:
        for n in range(first, first + MARKS):
            connection.execute("INSERT INTO rehearsed_marks VALUES (%s)", (n,))
            time.sleep(APART_SECONDS / 2)
            moments.append(datetime.now(UTC))
            time.sleep(APART_SECONDS / 2)
    return moments


def _at(setting: Setting, moment: datetime) -> list[int]:
    request = Request(at=moment, into=TARGET)
    server = logical.live(setting, TARGET)
    try:
        carry_out(setting, choose(setting, request), lambda _: True)
        with server.connected() as connection:
            return [n for (n,) in connection.execute("SELECT n FROM rehearsed_marks ORDER BY n").fetchall()]
    finally:
        swap.drop(server, TARGET)
