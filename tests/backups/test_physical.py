"""Base backups: real servers, real repositories, each thing broken once."""

import contextlib
import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest
from based import (
    backups,
    flip,
    note,
    own_stack,
    pid,
    processes,
    repository,
    scratch,
    segments,
    start,
    unbroken,
    wait,
    with_backups,
)
from small_stack import asked, setting

from neurmatic.backups import archive, physical, recovery
from neurmatic.backups.catalog import chosen, listed
from neurmatic.backups.integrity import damaged_pages
from neurmatic.backups.pgbackrest import prepare
from neurmatic.backups.scratch import new_cluster, scratch_folder, started
from neurmatic.errors import NeurmaticError


@pytest.fixture(scope="module")
def kept_stack():
    yield from with_backups()


@pytest.fixture
def stack(kept_stack):
    yield from unbroken(kept_stack)


@pytest.fixture
def own():
    yield from own_stack()


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
