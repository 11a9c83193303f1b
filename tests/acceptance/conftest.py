"""Small stacks in folders of their own, driven by the commands that a user types."""

import contextlib
import json
import os
import pwd
import random
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import pytest

from neurmatic.probes import load as constant
from neurmatic.probes.load import Background

NEURMATIC = Path(sys.executable).with_name("neurmatic")
APP = Path(__file__).with_name("demo_app.py")
STACK = """
[stack]
name = "demo"
user = "nobody"
[edge]
https_port = {https}
http_port = {http}
control_port = {control}
limits.connections = 1000
[services.app]
command = ["python3", "demo_app.py"]
instances = 2
ports = "{first}-{last}"
routes = ["/"]
needs = ["postgres", "redis"]
start_timeout = 15
drain = 0.5
stop_timeout = 10
health.ready = "/ready"
[postgres]
port = {postgres}
[redis]
port = {redis}
"""


def free_block():
    """The first of ten consecutive free ports, below those that connections take."""
    for base in random.sample(range(22000, 31000, 10), k=900):  # others may be looking for theirs at the same time
        taken = False
        for port in range(base, base + 10):
            with socket.socket() as one:
                taken |= one.connect_ex(("127.0.0.1", port)) == 0
        if not taken and base not in free_block.given:
            free_block.given.add(base)
            return base
    raise AssertionError("no free ports")


free_block.given = set()


class StackDir:
    """A project folder with a stack file, and the tool run in it."""

    def __init__(self, user=None):
        self.folder = Path(tempfile.mkdtemp(prefix="acceptance-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        shutil.copy(APP, self.folder)
        base = free_block()
        names = ("https", "http", "first", "second", "third", "last", "postgres", "redis", "control")
        self.ports = {name: base + n for n, name in enumerate(names)}
        self.file = self.folder / "neurmatic.toml"
        self.file.write_text(STACK.format(**self.ports))
        self.state = self.folder / ".neurmatic"
        self.url = f"https://localhost:{self.ports['https']}"
        self.user = user
        self.tool = NEURMATIC
        if user:
            shutil.chown(self.folder, user)

    def command(self, *words):
        drop = ["setpriv", f"--reuid={self.user}", "--regid=nogroup", "--clear-groups"] if self.user else []
        return [*drop, str(self.tool), *words]

    def run(self, *words, code=0, stdin="", env=None):
        done = subprocess.run(
            self.command(*words),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
            input=stdin,
            env=env,
        )
        assert done.returncode == code, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    @property
    def roots(self):
        """The authorities that its clients trust."""
        return self.state / "tls" / "ca.pem"

    def status(self):
        done = subprocess.run(
            self.command("status", "--json"), cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode in (0, 1), done.stderr
        assert done.stdout, done.stderr
        return {row["instance"]: row for row in json.loads(done.stdout)["services"]}

    def pids(self):
        return {name: row["pid"] for name, row in self.status().items()}

    def edit(self, old, new):
        text = self.file.read_text()
        assert old in text
        self.file.write_text(text.replace(old, new))

    def get(self, path="/", timeout=10):
        tls = ssl.create_default_context(cafile=self.roots)
        with urllib.request.urlopen(self.url + path, context=tls, timeout=timeout) as answer:
            return json.load(answer)

    def supervisors(self, what):
        """Process ids of this stack's runsvdir, or of its runsv."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode().split("\0")[:-1]
                ours = str(self.state / "services") in " ".join(words) or (entry / "cwd").resolve().is_relative_to(
                    self.state
                )
                if words and Path(words[0]).name == what and ours:
                    found.append(int(entry.name))
        return found

    def processes(self, word):
        """Process ids whose command line has this word, of those working in this project."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode().split("\0")[:-1]
                if (
                    words
                    and words[0] != "chpst"
                    and word in words
                    and (entry / "cwd").resolve().is_relative_to(self.folder)
                ):
                    found.append(int(entry.name))
        return found

    def remove(self):
        if (self.state / "FORMAT").exists() and (self.state / "FORMAT").read_text() == "1\n":
            subprocess.run(
                self.command("down", "--purge", "--yes"), cwd=self.folder, capture_output=True, check=False, timeout=120
            )
        shutil.rmtree(self.folder, ignore_errors=True)


class Load(Background):
    """Constant load on one address of a stack; every request that was due is in the ledger."""

    def __init__(self, stack, path="/", rate=50, **options):
        super().__init__(
            constant.Load(stack.url + path, rate, seconds=300, ca=stack.roots, address="127.0.0.1", **options)
        )

    @property
    def failed(self):
        return self.ledger.failed

    @property
    def answered(self):
        """As expected."""
        return len(self.ledger.entries) - len(self.failed)


@pytest.fixture(scope="session")
def stack_dir():
    """The class, for tests that make more of it."""
    return StackDir


@pytest.fixture
def make_stack():
    made = []

    def make(**kwargs):
        made.append(StackDir(**kwargs))
        return made[-1]

    yield make
    for one in made:
        one.remove()


@pytest.fixture
def new(make_stack):
    """A project that was never started."""
    return make_stack()


@pytest.fixture(scope="module")
def shared():
    """A running stack for a whole module; a test that breaks it heals it."""
    one = StackDir()
    yield one
    one.remove()


@pytest.fixture
def stack(shared):
    shared.run("up")
    return shared


@pytest.fixture
def ordinary_user():
    """An account without rights; the tests' own when they don't run as root."""
    if os.geteuid() != 0:
        return None
    pwd.getpwnam("nobody")
    return "nobody"


@pytest.fixture
def load():
    return Load
