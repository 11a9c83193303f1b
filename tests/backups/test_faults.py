"""What goes wrong while a dump is made or proven, against a real S3-compatible server that refuses wrong signatures.

Each thing is broken once, by the commands that a user types. After each: the command has failed and an alert says so,
earlier backups are byte for byte as they were, nothing partial is listed or lies under a final name, nothing still
runs, and the next run works without anybody's cleaning up.
"""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from backed_up import BackedUp, answers, asked, flip, kill_alone, kill_group, wait
from small_stack import setting

from neurmatic.backups.catalog import listed
from neurmatic.backups.logical import live
from neurmatic.backups.stores.folder import FolderStore
from neurmatic.cli.context import HOST

LOGICAL = ("backup", "run", "--kind", "logical")
ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def disk():
    """A small disk for the local store, where this test may mount one; else None."""
    if not ROOT:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="small-disk-", dir="/var/tmp"))
    folder.chmod(0o755)
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m,mode=0755,uid=nobody", "tmpfs", folder], check=False)
    yield folder if made.returncode == 0 else None
    subprocess.run(["umount", "--lazy", folder], check=False)
    folder.rmdir()


@pytest.fixture(scope="module")
def kept_stack(rclone, disk):
    """Two dumps in both stores, the last one proven."""
    stack = BackedUp(rclone, folder=disk)
    stack.run(*LOGICAL)
    stack.run(*LOGICAL)
    stack.run("backup", "verify", "latest", "--kind", "logical")
    yield stack
    stack.remove()


@pytest.fixture
def stack(kept_stack):
    yield kept_stack
    assert not kept_stack.left_behind()


@pytest.fixture(scope="module", autouse=True)
def earlier_backups_are_usable(kept_stack):
    """At the very end, the first dump of all restores from both stores."""
    first = kept_stack.newest()
    yield
    for store in ("local", "s3"):
        kept_stack.run("backup", "verify", first, "--store", store)


def files(stack):
    """Everything below logical/ of the local store with its checksum, but what a store keeps under a hidden name."""
    return {path: made for path, made in stack.dumps().items() if not Path(path).name.startswith(".")}


def whole(stack):
    """Ids that the local store lists; the bytes of each are those that its manifest tells of."""
    manifests = [one.manifest for one in listed([FolderStore(HOST, stack.store)]) if one.manifest.kind == "logical"]
    there = files(stack)
    for one in manifests:
        assert there[str(stack.store / one.dump_key)] == one.sha256
    return {one.id for one in manifests}


@contextlib.contextmanager
def harmless(stack, server, alert="backup.logical", final_only=True):
    """The block's failure is told, and harms nothing that was there before."""
    before, bucket, ids, alerts = files(stack), stack.objects(server), whole(stack), len(stack.alerts())
    yield
    assert {path: made for path, made in files(stack).items() if path in before} == before
    after = stack.objects(server)
    assert {key: after.get(key) for key in bucket} == bucket
    if final_only:  # of a process that was killed, a dump may lie there that no manifest makes one
        assert files(stack).keys() == before.keys()
        assert after.keys() == bucket.keys()
        assert whole(stack) == ids
    assert whole(stack) >= ids
    wait(lambda: not stack.at_work(), 10)
    if alert:
        assert alert in stack.alerts()[alerts:]


def works_again(stack, *words):
    """The next run, with nothing cleaned up, makes one more; its alert is over."""
    ids = {(one["store"], one["id"]) for one in stack.listed()}
    stack.run(*LOGICAL, *words)
    assert len(stack.listed()) > len(ids)
    cleared = [one for one in stack.events() if one["action"] == "alert" and one["subject"] == "backup.logical"]
    assert not cleared or cleared[-1]["result"] == "cleared"


# ---- the database


def test_a_wrong_password(stack, rclone):
    with harmless(stack, rclone), stack.secret("POSTGRES_SUPERUSER_PASSWORD", "another"):
        said = stack.run("backup", "run", code=1)
        assert "password authentication failed" in said
    assert "backup.physical" in stack.alerts()
    works_again(stack)


def test_a_missing_database(stack, rclone):
    asked(stack, "ALTER DATABASE app RENAME TO gone", database="postgres")
    try:
        with harmless(stack, rclone):
            assert 'database "app" does not exist' in stack.run(*LOGICAL, code=1)
    finally:
        asked(stack, "ALTER DATABASE gone RENAME TO app", database="postgres")
    works_again(stack)


def test_postgresql_killed_in_mid_dump(stack, rclone):
    server = int((stack.state / "data" / "postgres" / "postmaster.pid").read_text().split()[0])
    with harmless(stack, rclone):
        run = stack.start(*LOGICAL, "--store", "local")
        dumping = wait(lambda: [one for one in stack.at_work() if "pg_dump" in one], every=0.001)
        dump = int(dumping[0].split()[0])
        os.kill(dump, signal.SIGSTOP)
        try:
            for child in Path(f"/proc/{server}/task/{server}/children").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(child), signal.SIGKILL)
            os.kill(server, signal.SIGKILL)
        finally:
            os.kill(dump, signal.SIGCONT)
        said, _ = run.communicate(timeout=60)
        assert run.returncode == 1, said
    wait(lambda: answers(stack), 60)
    works_again(stack)


# ---- the stores


@pytest.mark.skipif(not ROOT, reason="only root can mount a small disk")
def test_a_full_disk(stack, rclone, disk):
    if not disk:
        pytest.skip("this machine allows no mounts")
    ballast = disk / "ballast"
    with harmless(stack, rclone):
        ballast.touch()
        subprocess.run(["fallocate", "-l", str(shutil.disk_usage(disk).free - (200 << 10)), ballast], check=True)
        assert "No space left" in stack.run(*LOGICAL, "--store", "local", code=1)
    ballast.unlink()
    works_again(stack)


def test_a_key_that_the_bucket_refuses(stack, rclone):
    with harmless(stack, rclone), stack.secret("BACKUP_S3_SECRET", "another"):
        said = stack.run(*LOGICAL, "--store", "s3", code=1)
        assert "403" in said or "Denied" in said or "SignatureDoesNotMatch" in said, said
    works_again(stack)


@pytest.mark.parametrize("fault", [{"answer": 500}, {"answer": 403, "error": "AccessDenied"}, {"cut": "request"}])
def test_a_bucket_that_fails_in_mid_upload(stack, rclone, proxy, fault):
    between = proxy(rclone, tls=True)
    text = stack.file.read_text()
    stack.file.write_text(re.sub(r'endpoint = ".*"', f'endpoint = "{between.endpoint}"', text))
    try:
        with harmless(stack, rclone), between.fault("PUT", "partNumber", **fault):
            stack.run(*LOGICAL, "--store", "s3", code=1)
        assert not rclone.keys(f"{stack.folder.name}/incoming/")
        works_again(stack)
    finally:
        stack.file.write_text(text)


def test_a_bucket_that_fails_keeps_no_dump_from_the_other_store(stack, rclone):
    ids = whole(stack)
    with stack.secret("BACKUP_S3_SECRET", "another"):
        stack.run(*LOGICAL, code=1)
    assert len(whole(stack)) == len(ids) + 1
    assert whole(stack) - {Path(key).name.partition(".")[0] for key in stack.objects(rclone)}
    works_again(stack)


# ---- what lies there is no longer what was made


def dump_of(stack, name):
    return stack.store / "logical" / f"{name}.dump.zst.age"


DAMAGE = {
    "first byte": lambda file: flip(file, 0),
    "age's header": lambda file: flip(file, 60),
    "middle": lambda file: flip(file, file.stat().st_size // 2),
    "last byte": lambda file: flip(file, -1),
    "truncated": lambda file: os.truncate(file, file.stat().st_size - 1),
    "half": lambda file: os.truncate(file, file.stat().st_size // 2),
    "empty": lambda file: os.truncate(file, 0),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_dump_that_was_damaged(stack, rclone, damage):
    name = stack.newest()
    file = dump_of(stack, name)
    data = file.read_bytes()
    alerts = len(stack.alerts())
    DAMAGE[damage](file)
    assert file.read_bytes() != data
    try:
        assert "is NOT good" in stack.run("backup", "verify", name, "--store", "local", code=1)
        assert "proof.logical" in stack.alerts()[alerts:]
        (one,) = [one for one in stack.listed("--store", "local") if one["id"] == name]
        assert one["standing"] == "failed"
    finally:
        with file.open("r+b") as there:
            there.write(data)
    if damage == "middle":
        stack.run("backup", "verify", name, "--store", "s3")


def test_nothing_of_a_damaged_dump_is_restored(stack):
    name = stack.newest()
    file = dump_of(stack, name)
    flip(file, -1)
    databases, before = stack.databases(), stack.rows()
    try:
        stack.run("restore", name, "--store", "local", "--into", "look_here", code=1)
        stack.run("restore", name, "--store", "local", "--in-place", "--yes", "--no-safety-copy", code=1)
    finally:
        flip(file, -1)
    assert (stack.databases(), stack.rows()) == (databases, before)
    assert "restore" in stack.alerts()
    stack.run("backup", "verify", name, "--store", "local")
    assert [one for one in stack.events() if one["action"] == "alert"][-1]["result"] == "cleared"


def test_one_table_missing(stack):
    stack.run(*LOGICAL, "--store", "local")
    name = stack.newest()
    path = stack.store / "logical" / f"{name}.json"
    text = path.read_text()
    manifest = json.loads(text)
    manifest["contents"]["tables"]["public.letters"] = {"rows": 3, "checksum": "1"}
    path.write_text(json.dumps(manifest))
    try:
        assert "public.letters" in stack.run("backup", "verify", name, code=1)
        before = stack.rows()
        assert "public.letters" in stack.run("restore", name, "--in-place", "--yes", "--no-safety-copy", code=1)
        assert stack.rows() == before
    finally:
        path.write_text(text)
    stack.run("backup", "verify", name)


def test_another_encryption_key(stack, rclone):
    """The key file replaced: what was made with the old one is neither opened nor judged by the new one."""
    name = stack.newest()
    identity = stack.state / "config" / "backup" / "key"
    text = identity.read_text()
    made = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    with harmless(stack, rclone, alert="proof.logical"):
        identity.write_text(made + "\n")
        try:
            assert "another key" in stack.run("backup", "verify", name, "--store", "local", code=1)
            assert "another key" in stack.run("restore", name, "--store", "local", "--in-place", "--yes", code=1)
            stack.run("restore", name, "--store", "local", "--into", "look_here", code=1)
        finally:
            identity.write_text(text)
    assert "look_here" not in stack.databases()
    works_again(stack)


# ---- clocks, and runs at the same time


@pytest.mark.skipif(not shutil.which("faketime"), reason="faketime is not installed")
def test_a_clock_that_was_moved(kept_stack, rclone):
    """A dump dated tomorrow is kept and told of, and is not taken for the latest once the clock is right again."""
    stack = kept_stack
    ahead = ["faketime", "+1 day", *stack.command(*LOGICAL, "--store", "local")]
    done = subprocess.run(ahead, cwd=stack.folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    tomorrow = stack.newest()
    try:
        standing = stack.json("backup", "status", code=1)
        assert "a clock was moved" in standing["problems"]["backup.clock.logical.local"]
        assert "a clock was moved" in stack.run("backup", "watch", code=1)
        assert "backup.clock.logical.local" in stack.alerts()
        assert "dated in the future" in stack.run("backup", "prune", "--dry-run")
        stack.run("backup", "prune")
        stack.run("backup", "verify", tomorrow)
        stack.run(*LOGICAL, "--store", "local")
        today = max(whole(stack) - {tomorrow})
        assert today in stack.run("restore", "latest", "--kind", "logical")
    finally:
        for path in stack.store.glob(f"logical/{tomorrow}*"):
            path.unlink()


def test_two_runs_at_once(stack):
    count = len(whole(stack))
    # The first one waits for a table that somebody holds.
    with live(setting(stack), "app").connected(autocommit=False) as holding:
        holding.execute("LOCK TABLE notes IN ACCESS EXCLUSIVE MODE")
        first = stack.start(*LOGICAL, "--store", "local")
        assert "dumping" in first.stdout.readline()
        assert "neurmatic backup run by" in stack.run(*LOGICAL, "--store", "local", code=1)
        second = stack.start(*LOGICAL, "--store", "local", "--wait", "60")
        assert "neurmatic backup run by" in (said := second.stdout.readline()) and "waiting for its end" in said
    for run in (first, second):
        said, _ = run.communicate(timeout=60)
        assert run.returncode == 0, said
    assert len(whole(stack)) == count + 2
    results = [one["result"] for one in stack.events() if one["action"] == "backup"]
    assert results[-4:] == ["begun", "done"] * 2, "one after the other"


def killed(stack, server, kill, moment):
    """Whether a run that was killed so many seconds after its beginning had not come to its end."""
    with harmless(stack, server, alert="", final_only=False):
        run = stack.start(*LOGICAL)
        assert "dumping" in run.stdout.readline()
        time.sleep(moment)
        kill(run)
        assert run.returncode in (0, -signal.SIGKILL)
        wait(lambda: not stack.at_work(), 10)
    return run.returncode != 0


@pytest.mark.parametrize("kill", [kill_group, kill_alone])
def test_killed_at_ten_random_moments(stack, rclone, kill):
    run = stack.start(*LOGICAL)
    assert "dumping" in run.stdout.readline()
    begun = time.monotonic()
    run.communicate(timeout=60)
    length = time.monotonic() - begun
    moments = []
    for _ in range(10):
        moment = random.uniform(0, length)
        # Earlier, where a run is faster than that first one was.
        sooner = (moment / 2**halved for halved in range(6))
        hit = next((one for one in sooner if killed(stack, rclone, kill, one)), None)
        assert hit is not None, f"never killed in time: {moment:.2f} of {length:.2f} s"
        moments.append(hit)
        count = len(whole(stack))
        stack.run(*LOGICAL)
        assert len(whole(stack)) == count + 1, f"killed at {hit:.2f} of {length:.2f} s"
    for one in stack.listed("--store", "s3", "--kind", "logical"):
        assert stack.objects(rclone)[f"{stack.folder.name}/logical/{one['id']}.dump.zst.age"] == one["sha256"]
    hidden = [path for path in stack.dumps() if Path(path).name.startswith(".")]
    print(f"killed at {[round(one, 2) for one in sorted(moments)]} of {length:.2f} s; unfinished files: {len(hidden)}")
