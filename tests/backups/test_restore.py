"""Bringing backups back by the commands that a user types: beside the live database and in its place, and cut off."""

import json
import os
import random
import shutil
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from backed_up import BackedUp, answers, asked, kill_alone, kill_group, wait

from neurmatic.probes.load import Background, Load

APP = Path(__file__).with_name("reading_app.py")
BEFORE = [(20000, 20000)]


def with_database(text):
    """The stack file with an application that reads from its database."""
    return text.replace('["python3", "demo_app.py"]', f'["{sys.executable}", "{APP}"]')


@pytest.fixture(scope="module")
def kept_stack(rclone):
    """A dump and a base backup of 20,000 notes in both stores."""
    stack = BackedUp(rclone, "archive_seconds = 3600", edit=with_database)
    stack.run("backup", "run")
    yield stack
    stack.remove()


@pytest.fixture
def stack(kept_stack):
    """The notes are as they were backed up; afterwards nothing runs or lies there that should not."""
    yield kept_stack
    wait(lambda: not kept_stack.left_behind())  # what a killed tool had started may have a file to finish
    assert not [name for name in kept_stack.databases() if "_restored_" in name]
    for one in json.loads(kept_stack.run("restore", "--kept", "--json")):
        kept_stack.run("restore", "--drop", one["name"], "--yes")
    asked(kept_stack, "DELETE FROM replies WHERE id > 20000; DELETE FROM notes WHERE id > 20000")
    assert kept_stack.rows() == BEFORE


@pytest.fixture
def dump(kept_stack):
    return kept_stack.listed("--kind", "logical", "--store", "local")[0]["id"]


def note(stack, number):
    asked(stack, "INSERT INTO notes VALUES (%s, 'since')", number)


def events(stack, action, result):
    return [one for one in stack.events() if (one["action"], one["result"]) == (action, result)]


# ---- what is said beforehand


def test_the_preview_changes_nothing(stack, dump):
    said = stack.run("restore", dump)
    assert f"logical backup {dump} from local" in said and "nothing was restored" in said
    found = stack.json("restore", "latest")
    assert found["backup"]["kind"] == "physical"
    assert stack.rows() == BEFORE and stack.databases() == ["app"]


def test_what_can_not_be_reached_is_refused(stack):
    ahead = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    for at in (ahead, "2001-01-01 00:00:00", "yesterday"):
        said = stack.run("restore", "--at", at, "--into", "look_here", code=2)
        assert "has not come yet" in said or "2001-01-01" in said or "is no time" in said, said
        assert "next:" in said
    assert "there is no backup" in stack.run("restore", "20010101T000000Z-0000", "--into", "look_here", code=2)
    assert "there is a database" in stack.run("restore", "latest", "--kind", "logical", "--into", "app", code=2)
    assert stack.databases() == ["app"]


WRONG = {
    "space": ({"database_bytes": 10**15}, "needs"),
    "version": ({"server_version": "99.1"}, "comes from PostgreSQL 99"),
    "key": ({"key_id": "age1another"}, "another key"),
}


@pytest.mark.parametrize("kind", ["logical", "physical"])
def test_what_does_not_fit_is_refused_before_anything_is_read(stack, kind):
    one = stack.listed("--kind", kind, "--store", "local")[-1]
    path = next(stack.store.glob(f"*/{one['id']}.json"))
    text = path.read_text()
    try:
        for what, (other, word) in WRONG.items():
            path.write_text(json.dumps(json.loads(text) | other))
            for where in (("--in-place", "--yes"), ("--into", "look_here"))[: 1 + (what == "space")]:
                assert word in stack.run("restore", one["id"], "--store", "local", *where, code=1)
    finally:
        path.write_text(text)
    assert stack.rows() == BEFORE and stack.databases() == ["app"]
    assert "restore" in stack.alerts()


# ---- beside the live database


@pytest.mark.parametrize("kind", ["logical", "physical"])
@pytest.mark.parametrize("store", ["local", "s3"])
def test_into_a_new_database(stack, kind, store):
    note(stack, 30001)
    done = stack.json("restore", "latest", "--kind", kind, "--store", store, "--into", "look_here")
    assert (done["database"], done["store"]) == ("look_here", store)
    followed = kind == "physical"  # a base backup's WAL reaches to now
    assert stack.rows(database="look_here") == [(20000 + followed, 20000)]
    assert stack.rows() == [(20001, 20000)]
    assert asked(stack, "SELECT reltuples FROM pg_class WHERE relname = 'notes'", database="look_here")[0][0] >= 20000
    asked(stack, "DROP DATABASE look_here", database="postgres")


# ---- in place of the live database


def test_the_wrong_word_changes_nothing_and_the_right_one_does_it(stack, dump):
    note(stack, 30001)
    code, shown = stack.typed("restore", dump, "--in-place", answer="yes")
    assert code == 1 and "nothing was swapped" in shown
    assert "public.notes: 20001 rows now, 20000 then" in shown and "is lost" in shown
    assert stack.rows() == [(20001, 20000)] and stack.databases() == ["app"]
    code, shown = stack.typed("restore", dump, "--in-place", answer="app")
    assert code == 0, shown
    assert stack.rows() == BEFORE
    kept = stack.json("restore", "--kept")[0]["name"]
    assert kept in shown
    assert stack.rows(database=kept) == [(20001, 20000)]
    code, shown = stack.typed("restore", "--drop", kept, answer="app")
    assert code == 1 and kept in stack.databases()
    code, shown = stack.typed("restore", "--drop", kept, answer=kept)
    assert code == 0 and kept not in stack.databases()
    assert "has put aside" in stack.run("restore", "--drop", "app", "--yes", code=2)


def test_nobody_there_to_answer_is_a_no(stack, dump):
    assert "nobody is there to answer" in stack.run("restore", dump, "--in-place", code=2)
    assert stack.databases() == ["app"]


@pytest.mark.parametrize("kind", ["logical", "physical"])
def test_readers_are_served_again_and_told_the_new_state(stack, dump, kind):
    note(stack, 30001)
    if kind == "physical":
        at = str(datetime.now(UTC))
        time.sleep(0.2)
        note(stack, 30002)
        words = ("--at", at)
    else:
        words = (dump, "--store", "local")
    with Background(Load(stack.url + "/", 20, seconds=120, ca=stack.roots, address="127.0.0.1")) as load:
        done = stack.json("restore", *words, "--in-place", "--yes")
        time.sleep(2)
    failed, entries = load.ledger.failed, load.ledger.entries
    print(f"{kind}: {len(failed)} of {len(entries)} reads failed at 20/s; {done['seconds']}")
    last = failed[-1].due if failed else 0
    served = [one for one in entries if one.due > last]
    assert len(served) >= 10, "they were not served again"
    assert all(one.status in (0, 502, 503, 504) for one in failed)
    assert failed == [one for one in entries if failed and failed[0].due <= one.due <= last], "more than one outage"
    assert done["unwell"] == [] and done["seconds"]["settle"] >= 0
    assert stack.rows() == [(20001, 20000) if kind == "physical" else (20000, 20000)]
    (event,) = events(stack, "restore", "done")[-1:]
    assert event["target"] == "app"


def test_who_is_not_well_after_a_restore_is_named(stack, dump):
    unready = stack.folder / "unready"
    unready.touch()
    try:
        done = stack.json("restore", dump, "--in-place", "--yes", "--no-safety-copy")
    finally:
        unready.unlink()
    assert [one.partition(" in ")[0] for one in done["unwell"]] == ["app-1: 503", "app-2: 503", "edge: 503"]
    assert stack.rows() == BEFORE


def test_ctrl_c_leaves_nothing_half_done(stack, dump):
    interrupted = 0
    for moment in (0, 0.25, 0.4):
        run = stack.start("restore", dump, "--in-place", "--yes", "--no-safety-copy")
        while "into database" not in (line := run.stdout.readline()):
            assert line
        time.sleep(moment)
        os.killpg(run.pid, signal.SIGINT)
        run.communicate(timeout=60)
        if run.returncode:
            assert run.returncode == 130
            assert stack.databases() == ["app"]
            interrupted += 1
        assert not stack.left_behind()
        assert stack.rows() == BEFORE
    assert interrupted


# ---- killed


@pytest.mark.parametrize(
    ("kind", "after", "kill"),
    [
        ("logical", "into database", kill_group),
        ("logical", "into database", kill_alone),
        ("physical", "recovering", kill_alone),
        ("physical", "exchanging", kill_group),
        ("physical", "exchanging", kill_alone),
    ],
)
def test_killed_at_a_random_moment(stack, dump, kind, after, kill):
    """The live database is as it was, or the restored one; what was left is gone with the next, which works."""
    note(stack, 40001)
    at = datetime.now(UTC)
    time.sleep(0.2)
    then = BEFORE if kind == "logical" else [(20001, 20000)]
    what = (dump, "--no-safety-copy") if kind == "logical" else ("--at", str(at), "--store", "local")
    command = ("restore", *what, "--in-place", "--yes")
    moment = random.uniform(0, 1)
    for _ in range(6):
        note(stack, 40002)
        now = stack.rows()
        run = stack.start(*command)
        while after not in (line := run.stdout.readline()):
            assert line
        time.sleep(moment)
        kill(run)
        if run.returncode:
            break
        moment /= 2  # it had come to its end
        assert stack.rows() == then
    assert run.returncode == -signal.SIGKILL
    if not wait_for_answer(stack):
        stack.run("up")
    assert stack.rows() in (now, then), f"killed {moment:.2f} s after {line}"
    stack.run("up")
    stack.run(*command)
    assert stack.rows() == then


def wait_for_answer(stack):
    try:
        return wait(lambda: answers(stack), 3)
    except AssertionError:
        return False


def test_a_killed_restore_into_a_database_leaves_none_of_that_name(stack, dump):
    run = stack.start("restore", dump, "--into", "look_here")
    wait(lambda: [one for one in stack.at_work() if "pg_restore" in one], every=0.002)
    kill_group(run)
    assert "look_here" not in stack.databases()
    assert len(stack.databases()) == 2
    stack.run("restore", dump, "--into", "look_here")
    assert stack.databases() == ["app", "look_here"]
    asked(stack, "DROP DATABASE look_here", database="postgres")


# ---- without the local store


def test_from_the_bucket_alone(kept_stack):
    stack = kept_stack
    note(stack, 50001)
    stack.run("backup", "run", "--kind", "logical")
    shutil.rmtree(stack.store)
    found = stack.json("restore", "latest", "--kind", "logical", "--into", "dumped")
    assert found["store"] == "s3"
    assert stack.rows(database="dumped") == [(20001, 20000)]
    found = stack.json("restore", "latest", "--into", "look_here")
    assert found["store"] == "s3"
    assert stack.rows(database="look_here")[0][0] >= 20000
    shutil.rmtree(stack.state / "data" / "scratch", ignore_errors=True)
