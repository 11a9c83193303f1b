"""Every command of docs/runbook.md, as it stands there, against a stack that is broken the way its page says."""

import os
import re
import shutil
import signal
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from backed_up import BackedUp, answers, asked, flip, wait
from small_stack import setting

from neurmatic.backups.archive import lag

RUNBOOK = Path(__file__).parents[2] / "docs" / "runbook.md"
LOOKS = ("neurmatic status", "neurmatic backup status", "neurmatic events")
"""Commands that only say how it stands: with 1 while something is wrong."""


def pages():
    """Commands by page: a list of blocks, each a list of lines."""
    found = {}
    for page in re.split(r"^## ", RUNBOOK.read_text(), flags=re.MULTILINE)[1:]:
        title, _, text = page.partition("\n")
        found[title] = [block.strip().splitlines() for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]
    return found


PAGES = pages()


def follow(stack, title, block=None, answer="", folder=None, **variables):
    """Type what the page says, line by line, in the project's folder; what was said."""
    path = f"{stack.tool.parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    env = {"PATH": path, "HOME": "/nonexistent", **variables}
    blocks = PAGES[title] if block is None else [PAGES[title][block]]
    assert blocks
    said = ""
    for line in (line for lines in blocks for line in lines):
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=folder or stack.folder,
            env=env,
            input=answer,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        said += done.stdout + done.stderr
        allowed = (0, 1) if line in LOOKS else (0,)
        assert done.returncode in allowed, f"{line} ended with {done.returncode}:\n{said}"
    return said


@pytest.fixture(scope="module")
def stack(rclone):
    """With a release made of files, a bucket, and a proven backup of either kind."""
    one = BackedUp(rclone, "archive_seconds = 5", edit=lambda text: text + '\n[release]\nfiles = ["demo_app.py"]\n')
    one.run("backup", "run")
    one.run("backup", "verify", "latest", "--kind", "logical")
    yield one
    one.remove()


def note(stack, number):
    asked(stack, "INSERT INTO notes VALUES (%s, 'mine')", number)


def mine(stack, database="app"):
    found = asked(stack, "SELECT id FROM notes WHERE id > 20000 ORDER BY 1", database=database)
    return [number for (number,) in found]


def archived(stack):
    wait(lambda: lag(setting(stack)).seconds == 0, 60, every=0.2)


def test_every_page_is_run_here():
    assert set(PAGES) == {
        "The database is gone",
        "Data is wrong",
        "The application is down",
        "The server is lost",
        "A backup is red",
    }
    assert all(line.startswith("neurmatic ") for blocks in PAGES.values() for lines in blocks for line in lines)


def test_a_backup_is_red(stack):
    """The newest dump is damaged, and a timer is gone."""
    name = stack.newest()
    flip(stack.store / "logical" / f"{name}.dump.zst.age", -1)
    stack.run("backup", "verify", name, "--store", "local", code=1)
    stack.end_supervisor("timer-backup")
    wait(lambda: stack.status()["timer-backup"]["state"] != "running")
    problems = stack.json("backup", "status", code=1)["problems"]
    assert {"backup.proof.logical.local", "backup.timer"} <= problems.keys()
    follow(stack, "A backup is red")
    assert stack.json("backup", "status")["problems"] == {}
    stack.run("backup", "watch")


def test_the_application_is_down(stack):
    """Both instances are gone, and of one its supervisor, too: nobody is left to start it."""
    pids = stack.pids()
    stack.end_supervisor("app-1", signal.SIGKILL)
    for name in ("app-1", "app-2"):
        os.kill(pids[name], signal.SIGKILL)
    follow(stack, "The application is down")
    assert stack.get()["instance"] in ("app-1", "app-2")
    assert {row["state"] for row in stack.status().values()} == {"running"}


def test_rows_were_deleted_by_mistake(stack):
    note(stack, 30001)
    time.sleep(1.1)
    before = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    time.sleep(1.1)
    asked(stack, "DELETE FROM replies; DELETE FROM notes")
    note(stack, 30002)
    follow(stack, "Data is wrong", 0, BEFORE=before)
    assert mine(stack, "look_here") == [30001]
    assert stack.rows(database="look_here") == [(20001, 20000)]
    assert mine(stack) == [30002]
    said = follow(stack, "Data is wrong", 1, answer="app\n", BEFORE=before)
    assert "public.notes: 1 rows now, 20001 then" in said
    assert stack.rows() == [(20001, 20000)]
    assert mine(stack) == [30001]


def test_the_database_s_folder_is_deleted(stack):
    """All that was archived is there again: to the last `archive_seconds`."""
    note(stack, 31001)
    archived(stack)
    note(stack, 31002)
    written = time.monotonic()
    wait(lambda: time.monotonic() > written + 6)  # archive_seconds, and a moment to send it
    archived(stack)
    note(stack, 31003)
    shutil.rmtree(stack.state / "data" / "postgres")
    said = follow(stack, "The database is gone")
    assert {31001, 31002} <= set(mine(stack))
    print(f"the last one, written at once before: {31003 in mine(stack)}")
    assert "restored" in said
    assert stack.get()["instance"]


def test_the_server_is_lost(stack):
    """Another folder stands for the fresh server: nothing in it but the stack file and the bucket's authority."""
    note(stack, 32001)
    archived(stack)
    there = mine(stack)
    secrets = stack.folder / "saved-secrets.env"
    shutil.copy(stack.secrets, secrets)
    stack.run("down")
    fresh = BackedUp(start=False)
    try:
        for name in os.listdir(fresh.folder):
            path = fresh.folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name in ("neurmatic.toml", "ca.pem"):
            shutil.copy(stack.folder / name, fresh.folder)
        fresh.ports, fresh.url = stack.ports, stack.url
        follow(fresh, "The server is lost", SECRETS=str(secrets))
        assert mine(fresh) == there
        assert fresh.get()["instance"]
        fresh.run("backup", "run")
    finally:
        fresh.remove()
    assert not answers(stack)
