"""A small stack whose project makes a new release of every behaviour, and what is asked of it after a deploy."""

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from small_stack import Load, StackDir
from waiting import eventually

APP = Path(__file__).with_name("release_app.py")
STACK = """
[stack]
name = "rolling"
user = "nobody"
[release]
files = ["release_app.py", "behaviour.json"]
build = [["python3", "release_app.py", "build"]]
migrate = ["python3", "release_app.py", "migrate"]
timeout = 20
[deploy]
rate = 20
watch = 1
[edge]
https_port = {https}
http_port = {http}
control_port = {control}
limits.connections = 1000
[services.app]
command = ["python3", "release_app.py", "serve"]
instances = 2
ports = "{first}-{last}"
routes = ["/"]
needs = ["postgres", "redis"]
start_timeout = 10
drain = 0.5
stop_timeout = 10
health.ready = "/ready"
[postgres]
port = {postgres}
[redis]
port = {redis}
"""


class Rolling(StackDir):
    """It, with the tool run in it."""

    def __init__(self, state=None, **options):
        super().__init__(**options)
        (self.folder / "demo_app.py").unlink()
        shutil.copy(APP, self.folder)
        self.ports["spare"] = self.ports["control"] + 1
        self.file.write_text(STACK.format(**self.ports))
        self._greetings = itertools.count(1)
        self._made = {}
        self.behave()

    def behave(self, **ways):
        """Let the project's files be another release, which behaves so; its greeting."""
        greeting = f"release {next(self._greetings)}"
        self._made[greeting] = json.dumps({"greeting": greeting, **ways})
        self.behave_as(greeting)
        return greeting

    def behave_as(self, greeting):
        """Let the project's files be an earlier release again."""
        (self.folder / "behaviour.json").write_text(self._made[greeting])

    def json(self, *words, code=0):
        """What a command prints with --json."""
        done = subprocess.run(
            self.command(*words, "--json"), cwd=self.folder, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == code, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    @property
    def deployed(self):
        return json.loads((self.state / "deployed.json").read_text())

    @property
    def events(self):
        """Oldest first; none before the stack's first."""
        file = self.state / "events.jsonl"
        whole = file.read_text().rpartition("\n")[0] if file.exists() else ""
        return [json.loads(line) for line in whole.splitlines()]

    def ended(self, action):
        """The last event of this action's end."""
        return next(one for one in reversed(self.events) if one["action"] == action and one["result"] != "begun")

    @property
    def services(self):
        """Folders of the application's instances, those half made or half removed among them."""
        return sorted(name for name in os.listdir(self.state / "services") if "app-" in name)

    def placed(self, count=2, *, other=False):
        """Names of its instances; with `other`, those that the next release will have."""
        first = self.deployed["first"].get("app", 1)
        return [f"app-{(first + 2 * other - 1) % 4 + n}" for n in range(1, count + 1)]

    def check_whole(self, greeting, count=2):
        """It is whole, with this release; nothing of another is left, and every instance answers."""
        assert self.get()["greeting"] == greeting
        self.run("health")
        rows = self.status()
        assert {name: row["health"] for name, row in rows.items() if row["health"] != "healthy"} == {}
        assert sorted(name for name in rows if name.startswith("app-")) == self.services == self.placed(count)
        assert len(self.processes("serve")) == count
        seen = set()
        eventually(lambda: seen.add(self.get()["instance"]) or seen == set(self.placed(count)))
        planned = self.run("plan")
        assert "nothing to change" in planned, planned
        assert os.listdir(self.state / "run" / "drained") == []

    def load(self, path="/", rate=30):
        """Constant load; every request that was due is accounted for."""
        return Load(self, path, rate)

    @contextlib.contextmanager
    def unharmed(self, path="/", rate=30):
        """Constant load from the begin of the block to its end, of which no request may fail."""
        with self.load(path, rate) as load:
            yield load
        assert [str(one) for one in load.failed] == []
        assert load.answered > 10

    def begin(self, *words):
        """A command in a process group of its own, as a terminal starts it."""
        return Command(self, words)


class Command:
    """A command on its way."""

    def __init__(self, stack, words):
        self.stack = stack
        self.output = stack.folder / "output"
        with self.output.open("w") as file:
            self.process = subprocess.Popen(
                stack.command(*words), cwd=stack.folder, stdout=file, stderr=file, start_new_session=True
            )

    @property
    def said(self):
        return self.output.read_text()

    def reach(self, holds, seconds=60):
        """Wait until something holds, closely; whether it did before the command's end."""
        until = time.monotonic() + seconds
        while not holds():
            if self.process.poll() is not None:
                return False
            assert time.monotonic() < until, f"not within {seconds} s; it said:\n{self.said}"
            time.sleep(0.001)
        return self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def interrupt(self):
        """Ctrl-C: a terminal sends it to all of its process group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self):
        return self.process.wait(timeout=90)
