"""Scenario 3: the server is gone. Everything comes back on a fresh one, in a root file system of its own.

The bucket is rclone's, which refuses wrong keys and signatures; it stands for a store on another machine.
"""

import os
import shutil
import ssl
import time
import urllib.request
from pathlib import Path

import pytest
from fresh import FreshServer
from s3servers import BUCKET
from small_stack import StackDir, asked, far_off

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a root file system of its own needs root")
TABLES = """
[release]
files = ["demo_app.py"]
[backup]
{at}
[backup.s3]
bucket = "{bucket}"
prefix = "{prefix}"
endpoint = "{endpoint}"
path_style = true
ca = "store.pem"
"""


@pytest.fixture
def fresh():
    server = FreshServer()
    yield server
    server.remove()


@pytest.fixture
def lost(rclone):
    """A stack that archived to the bucket, and what is left of it: the stack file, and the secrets that were saved."""
    stack = StackDir()
    shutil.copy(rclone.ca, stack.folder / "store.pem")
    tables = TABLES.format(at=far_off(), bucket=BUCKET, prefix=stack.folder.name, endpoint=rclone.endpoint)
    stack.file.write_text(stack.file.read_text() + tables)
    stack.state.mkdir()
    (stack.state / "secrets.env").write_text(f"BACKUP_S3_KEY_ID={rclone.key}\nBACKUP_S3_SECRET={rclone.secret}\n")
    stack.run("up")
    asked(stack, "CREATE TABLE orders AS SELECT n FROM generate_series(1, 1000) n")
    stack.run("backup", "run")
    asked(stack, "INSERT INTO orders SELECT n FROM generate_series(1001, 1010) n")
    _archived(stack)
    saved = stack.folder.with_name(f"{stack.folder.name}-saved")
    saved.mkdir()
    for name in ("neurmatic.toml", "store.pem", ".neurmatic/secrets.env"):
        shutil.copy(stack.folder / name, saved)
    yield stack, saved
    shutil.rmtree(saved)
    stack.remove()


def _archived(stack):
    """As a minute later: the last rows are in the archive."""
    asked(stack, "SELECT pg_switch_wal()")
    until = time.monotonic() + 60
    while asked(stack, "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%%.ready'") != [(0,)]:
        assert time.monotonic() < until
        time.sleep(0.2)


def test_one_command_brings_the_whole_stack_back_on_another_machine(lost, fresh):
    stack, saved = lost
    stack.run("down", "--purge", "--backups", "--yes")
    shutil.rmtree(stack.folder)
    inside = Path("/srv/shop")
    shutil.copytree(saved, fresh.path(inside))
    fresh.path(inside / "secrets.env").rename(fresh.path("/root/secrets.env"))
    assert "not installed" not in fresh.neurmatic("--version")
    fresh.run("useradd", "--system", "--no-create-home", "shop")

    said = fresh.neurmatic("restore", "--server", "--secrets", "/root/secrets.env", "--yes", cwd=inside)

    assert "serves again" in said
    assert fresh.path(inside / "demo_app.py").exists(), "the release's own files come from the bucket"
    ca = fresh.path(inside / ".neurmatic/tls/ca.pem")
    context = ssl.create_default_context(cafile=ca)
    with urllib.request.urlopen(stack.url, timeout=5, context=context) as answer:
        assert answer.status == 200
    query = "SELECT count(*) FROM orders"
    program = "/usr/lib/postgresql/15/bin/psql"
    secrets = dict(line.split("=", 1) for line in (saved / "secrets.env").read_text().splitlines() if "=" in line)
    words = ["env", f"PGPASSWORD={secrets['POSTGRES_SUPERUSER_PASSWORD']}", program, "-h", "127.0.0.1"]
    rows = fresh.run(*words, "-p", str(stack.ports["postgres"]), "-U", "postgres", "-d", "app", "-Atc", query)
    assert rows.strip() == "1010", "with the rows that came after the backup"
    assert "ok  api" in fresh.neurmatic("health", cwd=inside) or "ok" in fresh.neurmatic("health", cwd=inside)
    # It goes on from there: the archive takes its WAL, and the next backup stands on its own.
    assert "base backup" in fresh.neurmatic("backup", "run", "--kind", "physical", cwd=inside)
    assert "proven" in fresh.neurmatic("backup", "verify", "latest", "--store", "s3", cwd=inside)


def test_without_the_key_nothing_comes_back_and_it_says_so(lost, fresh):
    stack, saved = lost
    stack.run("down")
    inside = Path("/srv/shop")
    shutil.copytree(saved, fresh.path(inside))
    keyless = "".join(
        line for line in (saved / "secrets.env").read_text().splitlines(keepends=True) if "BACKUP_KEY" not in line
    )
    fresh.path("/root/secrets.env").write_text(keyless)
    said = fresh.neurmatic("restore", "--server", "--secrets", "/root/secrets.env", "--yes", cwd=inside, code=2)
    assert "BACKUP_KEY" in said
    assert not fresh.path(inside / ".neurmatic/data/postgres").exists()
