"""Stacks with backups, for tests that break them: what is there, what was said, what is left behind."""

import contextlib
import hashlib
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import s3servers
from small_stack import StackDir, asked, far_off

from neurmatic.errors import NeurmaticError

SCHEMA = """
CREATE TABLE notes (id int PRIMARY KEY, text text NOT NULL CHECK (text <> ''));
CREATE TABLE replies (id serial PRIMARY KEY, note int NOT NULL REFERENCES notes);
INSERT INTO notes SELECT n, md5(n::text) || repeat(md5((n * 7)::text), 10) FROM generate_series(1, 20000) n;
INSERT INTO replies (note) SELECT id FROM notes;
GRANT SELECT ON notes TO PUBLIC;
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE odd (one mood, many mood[], place point, span int4range, data json, what regclass, words tsvector, c "char");
INSERT INTO odd VALUES ('glad', '{sad,glad}', '(1,2)', '[1,5)', '{"a": 1}', 'notes', 'a b', 'x'), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
"""


class BackedUp(StackDir):
    """A running stack with [backup], and 40,000 rows in it.

    Args:
        server: of s3servers; its bucket is the second store.
        backup: lines of [backup].
        start: whether to start it and to make the rows.
        edit: changes the stack file before the first start.
        folder: of the local store.
    """

    def __init__(self, server=None, backup="", *, start=True, edit=lambda text: text, folder=None):
        super().__init__()
        self.store = folder or self.state / "backups"
        self.file.write_text(edit(self.file.read_text()))
        text = f"\n[backup]\n{far_off()}\n{backup}\n" + (f'folder = "{folder}"\n' if folder else "")
        if server:
            # Where the services' account can read it, too: pgBackRest runs as that.
            ca = "" if not server.ca else shutil.copy(server.ca, self.folder / "ca.pem").name
            name = server.endpoint.replace("127.0.0.1", "localhost")  # pgBackRest knows no addresses in certificates
            text += (
                f'[backup.s3]\nbucket = "{s3servers.BUCKET}"\nendpoint = "{name}"\n'
                f'prefix = "{self.folder.name}"\npath_style = true\nca = "{ca}"\n'
            )
            self.state.mkdir()
            self.secrets.write_text(f"BACKUP_S3_KEY_ID={server.key}\nBACKUP_S3_SECRET={server.secret}\n")
            self.secrets.chmod(0o600)
        self.file.write_text(self.file.read_text() + text)
        if start:
            self.run("up")
            asked(self, SCHEMA)

    @property
    def secrets(self):
        return self.state / "secrets.env"

    def json(self, *words, **how):
        return json.loads(self.run(*words, "--json", **how))

    def listed(self, *words):
        return self.json("backup", "list", *words)

    def newest(self, kind="logical"):
        return self.listed("--kind", kind)[-1]["id"]

    def events(self):
        return self.json("events", "-n", "100000")

    def alerts(self):
        """Subjects of all that were raised so far, oldest first."""
        return [one["subject"] for one in self.events() if (one["action"], one["result"]) == ("alert", "raised")]

    def dumps(self):
        """Every file of the local store's dumps, by its path, as a checksum."""
        return {str(path): digest(path) for path in sorted(self.store.glob("logical/*")) if path.is_file()}

    def objects(self, server, word="logical/"):
        """Every object of the bucket's dumps, as a checksum."""
        keys = server.keys(f"{self.folder.name}/{word}")
        client = server.client()
        return {
            key: hashlib.sha256(client.get_object(Bucket=s3servers.BUCKET, Key=key)["Body"].read()).hexdigest()
            for key in keys
        }

    def end_supervisor(self, name, how=signal.SIGTERM):
        """End the supervisor of an instance, which the next one finds marked to stay down."""
        (self.state / "services" / name / "down").touch()
        (supervisor,) = [
            one for one in self.supervisors("runsv") if (Path("/proc") / str(one) / "cwd").resolve().name == name
        ]
        os.kill(supervisor, how)

    @contextlib.contextmanager
    def secret(self, name, value):
        """Another value of a secret, for a while."""
        text = self.secrets.read_text()
        assert f"{name}=" in text
        self.secrets.write_text(re.sub(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE))
        try:
            yield
        finally:
            self.secrets.write_text(text)

    def start(self, *words, env=None):
        """A command in a process group of its own."""
        return subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env=env,
        )

    def typed(self, *words, answer):
        """A command at a terminal, where somebody types this; its exit code and what the screen showed."""
        process, screen = pty.fork()
        if not process:
            os.chdir(self.folder)
            command = self.command(*words)
            os.execv(command[0], command)  # noqa: S606  no shell: these very words
        shown = b""
        with contextlib.suppress(OSError):  # the terminal is gone when the command is
            while data := os.read(screen, 4096):
                shown += data
                if answer and shown.rstrip().endswith(b"to go on:"):
                    os.write(screen, answer.encode() + b"\n")
                    answer = ""
        _, status = os.waitpid(process, 0)
        os.close(screen)
        return os.waitstatus_to_exitcode(status), shown.decode()

    def rows(self, query="SELECT (SELECT count(*) FROM notes), (SELECT count(*) FROM replies)", database="app"):
        return asked(self, query, database=database)

    def databases(self):
        found = asked(self, "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'")
        return sorted(name for (name,) in found)

    def left_behind(self):
        """Processes of backups that still run for this stack, and scratch clusters that still lie there."""
        scratch = self.state / "data" / "scratch"
        return self.at_work() + ([str(one) for one in scratch.iterdir()] if scratch.exists() else [])

    def at_work(self):
        """Command lines of dumps, restores, keys and scratch servers of this stack."""
        port = str(self.ports["postgres"])
        found = []
        for process, words in _processes():
            name = Path(words[0]).name
            line = " ".join(words)
            dumping = name in ("pg_dump", "pg_restore") and f"--port {port}" in line
            keyed = name == "age" and str(self.state) in line
            scratch = str(self.state / "data" / "scratch") in line
            if dumping or keyed or scratch:
                found.append(f"{process} {line}")
        return found


def _processes():
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if words := (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]:
                yield int(entry.name), words


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def flip(path, at):
    """One bit of one byte; owner and mode stay."""
    data = bytearray(path.read_bytes())
    data[at] ^= 0x40
    with path.open("r+b") as file:
        file.write(data)


def kill_group(process):
    """kill -9 of a command and of all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.communicate(timeout=60)[0]


def kill_alone(process):
    """kill -9 of a command; what it started is left to itself."""
    process.kill()
    process.wait()
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.communicate(timeout=10)[0]
    return ""


def answers(stack):
    """Whether its database takes connections."""
    with contextlib.suppress(NeurmaticError):
        return bool(asked(stack, "SELECT 1"))
    return False


def wait(seen, seconds=30, every=0.02):
    until = time.monotonic() + seconds
    while not (said := seen()):
        assert time.monotonic() < until, "it never came"
        time.sleep(every)
    return said
