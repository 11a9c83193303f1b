"""Base backups and any second brought back: real servers, real repositories, each thing broken once."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from small_stack import StackDir, asked, setting

from neurmatic.backups import archive, physical, recovery
from neurmatic.backups.catalog import chosen, listed
from neurmatic.backups.integrity import damaged_pages
from neurmatic.backups.pgbackrest import PgBackRest, prepare
from neurmatic.backups.scratch import new_cluster, scratch_folder, started
from neurmatic.errors import ConfigurationError, NeurmaticError

# Nothing is archived but what a test sends: so that each knows what is in the archive.
BACKUP = "\n[backup]\narchive_seconds = 3600\n"


def make():
    stack = StackDir()
    stack.file.write_text(stack.file.read_text() + BACKUP)
    stack.run("up")
    asked(stack, "CREATE TABLE notes (id int PRIMARY KEY, text text NOT NULL CHECK (text <> ''))")
    asked(stack, "CREATE TABLE replies (id serial PRIMARY KEY, note int NOT NULL REFERENCES notes)")
    asked(stack, "INSERT INTO notes SELECT n, md5(n::text) || repeat('x', 500) FROM generate_series(1, 20000) n")
    asked(stack, "INSERT INTO replies (note) SELECT id FROM notes")
    return stack


@pytest.fixture(scope="module")
def kept_stack():
    stack = make()
    stack.run("backup", "run", "--kind", "physical")
    stack.run("backup", "run", "--kind", "physical")
    yield stack
    stack.remove()


@pytest.fixture
def stack(kept_stack):
    """With a full and an incremental backup, and nothing broken when the test is done."""
    yield kept_stack
    assert not scratch(kept_stack), "a test left a scratch cluster"
    kept_stack.run("backup", "verify", "--kind", "physical")


@pytest.fixture
def own():
    """A stack of a test's own, to be broken for good."""
    one = make()
    yield one
    one.remove()


def backups(stack):
    return json.loads(stack.run("backup", "list", "--json", "--kind", "physical"))


def repository(stack):
    return stack.state / "backups" / "physical"


def segments(stack):
    return sorted(repository(stack).glob("archive/main/15-1/*/*.zst"))


def scratch(stack):
    folder = stack.state / "data" / "scratch"
    return list(folder.iterdir()) if folder.exists() else []


def note(stack, number):
    asked(stack, "INSERT INTO notes VALUES (%s, 'mine')", number)


@contextlib.contextmanager
def recovered(stack, **how):
    """The notes of a recovered cluster, beside what is said of it."""
    st = setting(stack)
    with scratch_folder(st, "recover") as data:
        said = recovery.recover(st, data, **({"at": None} | how))
        with started(st, data, {}) as one, one.address.to("app").connected() as connection:
            yield said, {row[0] for row in connection.execute("SELECT id FROM notes").fetchall()}


def pid(stack):
    return int((stack.state / "data" / "postgres" / "postmaster.pid").read_text().split()[0])


def start(stack, *words):
    return subprocess.Popen(
        stack.command(*words), cwd=stack.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def processes(stack, word):
    """Ids of the processes of this stack whose command line has this word in it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes().decode().replace("\0", " ")
            if word in line and str(stack.state) in line:
                found.append(int(entry.name))
    return found


def wait(seen, seconds=30):
    until = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.005)


def flip(path, at):
    """One bit of one byte."""
    data = bytearray(path.read_bytes())
    data[at] ^= 0x40
    with path.open("r+b") as file:  # in place: owner and mode stay
        file.write(data)


# ---- making and proving


def test_a_full_one_then_what_changed(stack):
    first, second = backups(stack)[:2]
    assert (first["type"], first["needs"]) == ("full", [])
    assert (second["type"], second["needs"]) == ("incr", [first["id"]])
    assert second["size"] < first["size"] / 10
    assert second["database_bytes"] > 2 * first["size"]
    assert first["identity"].endswith("/app") and first["identity"] == second["identity"]
    assert first["wal_start"] < second["wal_start"] <= second["wal_stop"]
    assert any("notes" in line for line in second["contents"]["definitions"])


def test_the_latest_is_proven_and_nobody_notices(stack):
    before, sent = pid(stack), asked(stack, "SELECT archived_count, failed_count FROM pg_stat_archiver")
    said = json.loads(stack.run("backup", "verify", "latest", "--kind", "physical", "--json"))
    assert said["rows"] == asked(stack, "SELECT (SELECT count(*) FROM notes) + (SELECT count(*) FROM replies)")[0][0]
    assert said["differences"] == []
    assert 0 < said["restore_s"] < said["total_s"]
    assert backups(stack)[-1]["standing"] == "proven"
    assert pid(stack) == before
    assert asked(stack, "SELECT archived_count, failed_count FROM pg_stat_archiver") == sent
    assert not scratch(stack) and not processes(stack, "scratch")


def test_a_row_without_its_parent_is_no_good_backup(own):
    asked(own, "SET session_replication_role = replica; INSERT INTO replies (note) VALUES (-1)")
    own.run("backup", "run", "--kind", "physical")
    said = own.run("backup", "verify", "latest", "--kind", "physical", code=1)
    assert "replies_note_fkey" in said
    assert backups(own)[-1]["standing"] == "failed"


def test_a_damaged_page_is_found_before_it_counts_as_a_backup(own):
    own.run("backup", "run", "--kind", "physical")
    (file,) = asked(own, "SELECT pg_relation_filepath('notes')")[0]
    own.run("down")
    flip(own.state / "data" / "postgres" / file, 8192 * 3 + 4000)
    own.run("up")
    said = own.run("backup", "run", "--kind", "physical", code=1)
    assert "wrong checksum" in said
    assert len(backups(own)) == 1
    own.run("backup", "verify", "latest", "--kind", "physical")


def test_a_damaged_page_of_a_restored_cluster_is_found(stack):
    st = setting(stack)
    with scratch_folder(st, "recover") as data:
        recovery.recover(st, data, at=None)
        assert damaged_pages(st, data) == []
        (file,) = asked(stack, "SELECT pg_relation_filepath('notes')")[0]
        flip(data / file, 8192 * 5 + 2000)
        assert "checksum" in " ".join(damaged_pages(st, data))


# ---- any second


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
    note(stack, 31001)
    committed = time.monotonic()
    with recovered(stack, drain=False) as (_, notes):
        assert 31001 not in notes
    lag = archive.lag(setting(stack)).seconds
    assert 0 < lag <= time.monotonic() - committed + 1
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


# ---- damage


@pytest.mark.parametrize(
    ("what", "at"),
    [
        ("backup/main/*F/bundle/1", 0.1),
        ("backup/main/*F/bundle/1", 0.9),
        ("backup/main/*F/pg_data/**/*.zst", 0.5),
        ("backup/main/*F/backup.manifest", 0.5),
        ("backup/main/backup.info", 0.5),
        ("archive/main/archive.info", 0.5),
        ("archive/main/15-1/*/*.zst", 0.02),
        ("archive/main/15-1/*/*.zst", 0.98),
    ],
)
def test_one_flipped_bit_is_found(stack, what, at):
    file = max(repository(stack).glob(what), key=lambda path: path.stat().st_size)
    size = file.stat().st_size
    flip(file, int(size * at))
    try:
        stack.run("backup", "verify", "latest", "--kind", "physical", code=1)
    finally:
        flip(file, int(size * at))


def test_another_key_opens_nothing(stack):
    config = stack.state / "config" / "backup" / "pgbackrest.conf"
    text, before = config.read_text(), backups(stack)
    config.write_text(re.sub(r"(cipher-pass=).*", r"\1another", text))
    try:
        stack.run("backup", "verify", "latest", "--kind", "physical", code=1)
        stack.run("backup", "run", "--kind", "physical", code=1)
    finally:
        config.write_text(text)
    assert [one["id"] for one in backups(stack)] == [one["id"] for one in before]


# ---- runs that are cut off, and runs at the same time


def pgbackrest(stack):
    """Ids of the main process of a backup that has begun to copy."""
    return [
        one
        for one in processes(stack, "pgbackrest --config")
        if "backup:local" not in line(one) and " backup " in line(one)
    ]


def line(process):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().decode().replace("\0", " ") + " "
    return ""


@pytest.mark.parametrize("whom", ["pgbackrest", "the tool"])
def test_a_killed_backup_counts_for_nothing_and_harms_none(stack, whom):
    before = backups(stack)
    folders = set(repository(stack).glob("backup/main/*"))
    run = start(stack, "backup", "run", "--kind", "physical")
    wait(lambda: set(repository(stack).glob("backup/main/*")) - folders and pgbackrest(stack))
    for victim in pgbackrest(stack) if whom == "pgbackrest" else [run.pid]:
        os.kill(victim, signal.SIGKILL)
    said, _ = run.communicate(timeout=60)
    assert run.returncode != 0, said
    assert [one["id"] for one in backups(stack)] == [one["id"] for one in before]
    stack.run("backup", "verify", "latest", "--kind", "physical")
    stack.run("backup", "run", "--kind", "physical")
    assert len(backups(stack)) == len(before) + 1


def test_two_runs_at_once_come_one_after_the_other(stack):
    before = len(backups(stack))
    runs = [start(stack, "backup", "run", "--kind", "physical", "--wait", "60") for _ in range(2)]
    for run in runs:
        said, _ = run.communicate(timeout=120)
        assert run.returncode == 0, said
    assert len(backups(stack)) == before + 2


@pytest.mark.parametrize("when", ["restoring", "running"])
def test_a_killed_proof_leaves_nothing_for_long(stack, when):
    run = start(stack, "backup", "verify", "latest", "--kind", "physical")
    folder = stack.state / "data" / "scratch" / "physical"
    seen = {"restoring": folder / "data" / "base", "running": folder / "data" / "postmaster.pid"}[when]
    wait(seen.exists)
    run.kill()
    run.wait()
    assert scratch(stack)
    stack.run("backup", "verify", "latest", "--kind", "physical")
    assert not scratch(stack)
    wait(lambda: not processes(stack, "scratch"), 90)  # its helpers wait for each other, idly, for a while


# ---- what goes, and what is said of the archive


def test_what_goes_takes_its_wal_along_and_nothing_that_is_needed(own):
    for kind in ("full", "incr", "full", "incr"):
        physical.back_up(setting(own), setting(own).stores, kind)
    st = setting(own)
    ids = [one["id"] for one in backups(own)]
    with pytest.raises(NeurmaticError, match=f"{ids[1]} in local needs {ids[0]}"):
        physical.expire(st, st.local, ids[:1])
    with pytest.raises(NeurmaticError, match="all base backups"):
        physical.expire(st, st.local, ids)
    assert [one["id"] for one in backups(own)] == ids
    wal = len(segments(own))
    assert physical.expire(st, st.local, ids[:2]) == ids[:2]
    assert [one["id"] for one in backups(own)] == ids[2:]
    assert len(segments(own)) < wal
    assert segments(own)[0].name[:24] == backups(own)[0]["wal_start"]
    own.run("backup", "verify", "latest", "--kind", "physical")
    own.run("backup", "verify", ids[2])
    assert physical.expire(st, st.local, ids[3:]) == ids[3:]
    own.run("backup", "verify", ids[2])


def test_a_backup_that_was_cut_off_before_its_manifest_is_known(own):
    own.run("backup", "run", "--kind", "physical")
    st = setting(own)
    assert physical.orphans(st, st.local) == []
    kept = chosen(listed([st.local]), "latest", "physical")
    st.local.remove(kept.manifest.key)
    assert physical.orphans(st, st.local) == [kept.id]
    assert backups(own) == []


def test_an_archiver_that_fails_says_since_when_and_why(own):
    own.run("backup", "run", "--kind", "physical")
    away = own.folder / "away"
    shutil.move(own.state / "backups", away)
    note(own, 36001)
    asked(own, "SELECT pg_switch_wal()")
    wait(lambda: archive.lag(setting(own)).failing_since, 90)
    lag = archive.lag(setting(own))
    assert lag.seconds > 0 and lag.waiting >= 1
    assert "backups" in lag.error
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(own.state / "backups")
    shutil.move(away, own.state / "backups")
    wait(lambda: archive.lag(setting(own)).seconds == 0, 150)
    assert archive.lag(setting(own)).failing_since is None


def test_another_cluster_s_store_is_not_taken_over(own, kept_stack):
    shutil.copytree(repository(kept_stack), repository(own), dirs_exist_ok=True)
    for path in [own.state / "backups", *(own.state / "backups").rglob("*")]:
        shutil.chown(path, "nobody" if os.geteuid() == 0 else None)
    key = re.search(r"cipher-pass=(.*)", (kept_stack.state / "config" / "backup" / "pgbackrest.conf").read_text())
    config = own.state / "config" / "backup" / "pgbackrest.conf"
    config.write_text(re.sub(r"(cipher-pass=).*", rf"\g<1>{key.group(1)}", config.read_text()))
    failed = prepare(setting(own))
    assert "another cluster" in str(failed["local"])
    assert "another cluster" in own.run("backup", "run", "--kind", "physical", code=1)


def test_a_scratch_cluster_keeps_off_the_live_one_s_port_whatever_its_data_says(stack):
    st = setting(stack)
    with new_cluster(st) as one, one.address.connected() as connection:
        connection.execute(f"ALTER SYSTEM SET port = {stack.ports['postgres']}".encode())
        connection.execute("ALTER SYSTEM SET archive_command = 'touch /nonexistent'")
        data = one.data
        connection.execute("CHECKPOINT")
        kept = data.parent.with_name("logical-kept")
        shutil.copytree(data.parent, kept)
    try:
        (kept / "data" / "postmaster.pid").unlink()
        for path in [kept, *kept.rglob("*")]:
            shutil.chown(path, "nobody" if os.geteuid() == 0 else None)
        with started(st, kept / "data", {}) as one, one.address.connected() as connection:
            assert one.address.port != stack.ports["postgres"]
            assert connection.execute("SHOW archive_mode").fetchone() == ("off",)
    finally:
        shutil.rmtree(kept)
