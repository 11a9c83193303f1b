"""Any second brought back: real servers, real repositories, each thing broken once."""

import shutil
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from based import backups, flip, note, own_stack, recovered, segments, unbroken, wait, with_backups
from small_stack import asked, setting

from neurmatic.backups import archive, physical, recovery
from neurmatic.backups.pgbackrest import PgBackRest
from neurmatic.backups.scratch import scratch_folder
from neurmatic.errors import ConfigurationError, NeurmaticError


@pytest.fixture(scope="module")
def kept_stack():
    yield from with_backups()


@pytest.fixture
def stack(kept_stack):
    yield from unbroken(kept_stack)


@pytest.fixture
def own():
    yield from own_stack()


def test_each_second_is_brought_back_as_it_was(stack):
    moments = {}
    for number in (30001, 30002, 30003):
        note(stack, number)
        time.sleep(0.05)
        moments[number] = datetime.now(UTC)
        time.sleep(0.05)
    for number in (30002, 30001, 30003):
        with recovered(stack, at=moments[number]) as (said, notes):
            assert notes >= set(range(1, 20001)) | {number}
            assert not notes.intersection(range(number + 1, 30010))
            assert said.reached.why.startswith("before")
            assert said.reached.last_commit < moments[number]
    with recovered(stack) as (said, notes):
        assert notes >= set(moments)


def test_what_is_not_in_the_archive_is_sent_there_first_if_the_server_can(stack):
    physical.flush(setting(stack), "local")
    wait(lambda: archive.lag(setting(stack)).seconds == 0)  # the server hears of it a moment after it lies there
    before = time.monotonic()
    note(stack, 31001)
    with recovered(stack, drain=False) as (_, notes):
        assert 31001 not in notes
    lag = archive.lag(setting(stack)).seconds
    assert 0 < lag <= time.monotonic() - before
    with recovered(stack) as (_, notes):
        assert 31001 in notes
    wait(lambda: archive.lag(setting(stack)).seconds == 0)


def test_a_time_out_of_reach_is_refused_beforehand(stack):
    st = setting(stack)
    nowhere = Path("/nonexistent/data")
    with pytest.raises(ConfigurationError, match="has not come yet"):
        recovery.recover(st, nowhere, at=datetime.now(UTC) + timedelta(hours=1))
    with pytest.raises(ConfigurationError, match="oldest base backup in local was made at"):
        recovery.recover(st, nowhere, at=datetime(2020, 1, 1, tzinfo=UTC))
    physical.flush(st, "local")
    time.sleep(3.5)
    with pytest.raises(ConfigurationError, match="archive in local ends at"):
        recovery.recover(st, nowhere, at=datetime.now(UTC), drain=False)
    silent = replace(st, stack=st.stack.replace(postgres=st.postgres.replace(port=9)))
    with pytest.raises(
        ConfigurationError, match=r"ends at .*; what is not yet in the archive of local is not used: .*port 9"
    ):
        recovery.recover(silent, nowhere, at=datetime.now(UTC))


def test_a_time_after_the_last_commit_is_not_taken_for_reached(stack):
    st = setting(stack)
    note(stack, 32001)
    late = datetime.now(UTC)
    asked(stack, "SELECT pg_create_restore_point('later')")  # WAL, but no commit after that time
    segment = asked(stack, "SELECT pg_walfile_name(pg_switch_wal())")[0][0]
    engine = PgBackRest(st, "local")
    physical.await_archived(st, engine, engine.archive, segment)
    with (
        scratch_folder(st, "recover") as data,
        pytest.raises(NeurmaticError, match=r"archive ends before.*committed at"),
    ):
        recovery.recover(st, data, at=late, drain=False)


def test_a_missing_segment_is_named(stack):
    st = setting(stack)
    note(stack, 33001)
    time.sleep(0.05)
    early = datetime.now(UTC)
    for number in (33002, 33003, 33004):
        time.sleep(0.05)
        note(stack, number)
        physical.flush(st, "local")
    lost = segments(stack)[-2]
    away = lost.with_name("." + lost.name)
    shutil.move(lost, stack.folder / "away")
    try:
        name = lost.name[:24]
        with pytest.raises(ConfigurationError, match=rf"lacks {name}; nothing after .* can be reached"):
            recovery.recover(st, Path("/nonexistent/data"), at=None)
        with recovered(stack, at=early) as (_, notes):  # what lies before it can be reached
            assert 33001 in notes and 33002 not in notes
        assert f"lacks {name}" in stack.run("backup", "verify", "latest", "--kind", "physical", code=1)
    finally:
        shutil.move(stack.folder / "away", lost)
        assert not away.exists()


def test_recovery_that_ends_early_is_an_error_even_if_the_archive_looks_whole(stack):
    """A segment that can't be read looks to PostgreSQL like the archive's end."""
    st = setting(stack)
    for number in (34001, 34002, 34003):
        note(stack, number)
        physical.flush(st, "local")
    hurt = segments(stack)[-2]
    whole = hurt.read_bytes()
    flip(hurt, len(whole) // 2)
    try:
        with scratch_folder(st, "recover") as data, pytest.raises(NeurmaticError, match=hurt.name[:24]):
            recovery.recover(st, data, at=None)
    finally:
        hurt.write_bytes(whole)


def test_a_recovered_cluster_goes_on_in_the_old_one_s_place(own):
    """Its new timeline is archived from its first segment on, and both timelines can be recovered."""
    own.run("backup", "run", "--kind", "physical")
    note(own, 35001)
    time.sleep(0.05)
    back = datetime.now(UTC)
    time.sleep(0.05)
    note(own, 35002)
    time.sleep(0.05)
    mistaken = datetime.now(UTC)
    time.sleep(0.05)
    note(own, 35003)
    st = setting(own)
    with scratch_folder(st, "recover") as data:
        recovery.recover(st, data, at=back)
        own.run("down")
        shutil.rmtree(own.state / "data" / "postgres")
        data.rename(own.state / "data" / "postgres")
        own.run("up")
    assert [row[0] for row in asked(own, "SELECT id FROM notes WHERE id > 35000")] == [35001]
    note(own, 35004)
    time.sleep(0.05)
    later = datetime.now(UTC)
    note(own, 35005)
    for at, there in ((mistaken, {35001, 35002}), (later, {35001, 35004}), (None, {35001, 35004, 35005})):
        with recovered(own, at=at) as (_, notes):
            assert {one for one in notes if one > 35000} == there
    own.run("backup", "run", "--kind", "physical")
    own.run("backup", "verify", "latest", "--kind", "physical")
    with recovered(own) as (said, notes):
        assert said.kept.id == backups(own)[-1]["id"]
        assert 35005 in notes
