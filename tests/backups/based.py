"""Stacks with base backups, and what the tests of them look at and break."""

import contextlib
import json
import subprocess
import time
from pathlib import Path

from small_stack import StackDir, asked, far_off, setting

from neurmatic.backups import recovery
from neurmatic.backups.scratch import scratch_folder, started


def make():
    """One on which nothing is archived but what a test sends, so that each knows what is in the archive."""
    stack = StackDir()
    stack.file.write_text(f"{stack.file.read_text()}\n[backup]\narchive_seconds = 3600\n{far_off()}\n")
    stack.run("up")
    # It would commit when it likes, and what it committed would wait for the archive for an hour.
    asked(stack, "ALTER SYSTEM SET autovacuum = off")
    asked(stack, "SELECT pg_reload_conf()")
    asked(stack, "CREATE TABLE notes (id int PRIMARY KEY, text text NOT NULL CHECK (text <> ''))")
    asked(stack, "CREATE TABLE replies (id serial PRIMARY KEY, note int NOT NULL REFERENCES notes)")
    asked(stack, "INSERT INTO notes SELECT n, md5(n::text) || repeat('x', 500) FROM generate_series(1, 20000) n")
    asked(stack, "INSERT INTO replies (note) SELECT id FROM notes")
    return stack


def with_backups():
    """A stack with a full and an incremental backup."""
    stack = make()
    stack.run("backup", "run", "--kind", "physical")
    stack.run("backup", "run", "--kind", "physical")
    yield stack
    stack.remove()


def unbroken(kept_stack):
    """That one, and nothing broken when a test is done with it."""
    yield kept_stack
    assert not scratch(kept_stack), "a test left a scratch cluster"
    kept_stack.run("backup", "verify", "--kind", "physical")


def own_stack():
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
