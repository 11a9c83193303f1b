"""The small stack of the releases' tests as containers: an image of each behaviour, and what the engine says of it."""

import json
import shutil
import subprocess

from containers.engine import ROOT
from moments import SLOW, Moments
from rolling import Rolling

HALF = 32
"""As many numbers as one release's instances may have among containers."""
DOCKERFILE = """\
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE} AS production
WORKDIR /app
COPY release_app.py behaviour.json ./
RUN ["python3", "release_app.py", "build"]
USER 65534:65534
"""
CONTAINERS = """
[containers]
subnet = "{subnet}"
[containers.images.app]
dockerfile = "Dockerfile"
services = ["app"]
args = ["PYTHON_IMAGE"]
[containers.images.edge]
dockerfile = "deploy/images/edge/Dockerfile"
services = ["edge"]
args = ["DEBIAN_IMAGE"]
"""


def tool_variables(engine):
    """By these the tool is told of an engine, and of what stands in for images from a registry."""
    names = ("DOCKER_HOST", "DOCKER_CONFIG", *(name for name in engine.env if name.endswith("_IMAGE")))
    return {name: engine.env[name] for name in names if name in engine.env} | {"REGISTRY": "localhost"}


def told_of(engine, command, **others):
    """A command line whose program is told of an engine; it runs in the place of `env`, as the same process."""
    told = tool_variables(engine) | others
    return ["env", *(f"{name}={value}" for name, value in told.items()), *command]


class Contained(Rolling):
    """It, with the tool run in it, which is told of an engine."""

    def __init__(self, engine, subnet, **options):
        self.engine, self.others, self.begun = engine, {}, []
        super().__init__(**options)
        self.edit("start_timeout = 10", "start_timeout = 20")
        self.file.write_text(self.file.read_text() + CONTAINERS.format(subnet=subnet))
        (self.folder / "Dockerfile").write_text(DOCKERFILE)
        (self.folder / ".dockerignore").write_text("*\n!release_app.py\n!behaviour.json\n!deploy/images\n")
        shutil.copytree(ROOT / "deploy" / "images", self.folder / "deploy" / "images")
        self.project = "rolling-development"

    def command(self, *words):
        return told_of(self.engine, super().command(*words), **self.others)

    def begin(self, *words):
        self.begun.append(super().begin(*words))
        return self.begun[-1]

    def end(self):
        """End what a test that failed has left on its way."""
        for one in self.begun:
            one.kill()
        self.begun = []

    def containers(self, *more):
        """Names of its containers, those that have ended among them, without the project's."""
        label = f"label=com.docker.compose.project={self.project}"
        said = self.engine.run("ps", "--all", "--filter", label, "--format", "{{.Names}}", *more).stdout.split()
        return sorted(name.removeprefix(f"{self.project}-") for name in said)

    def placed(self, count=2, *, other=False):
        first = self.deployed["first"].get("app", 1)
        return [f"app-{(first + HALF * other - 1) % (2 * HALF) + n}" for n in range(1, count + 1)]

    def processes(self, word):
        """Those of its containers that run a command with this word."""
        label = f"label=com.docker.compose.project={self.project}"
        said = self.engine.run("ps", "--no-trunc", "--filter", label, "--format", "{{.Command}}").stdout
        return [line for line in said.splitlines() if word in line.strip('"').split()]

    def check_whole(self, greeting, count=2):
        super().check_whole(greeting, count)
        assert self.containers() == sorted(["edge", "postgres", "redis", *self.placed(count)])

    def left(self):
        """What the engine has of it: containers, networks, volumes."""
        label = f"label=com.docker.compose.project={self.project}"
        return {
            "containers": self.containers(),
            "networks": self.engine.run("network", "ls", "--quiet", "--filter", label).stdout.split(),
            "volumes": self.engine.run("volume", "ls", "--quiet", "--filter", label).stdout.split(),
        }


class ContainedMoments(Moments):
    """What can be seen of a deploy's steps from outside, where the engine does them."""

    def has(self, name, state="running"):
        said = self.stack.engine.run("container", "inspect", f"{self.stack.project}-{name}", check=False)
        return said.returncode == 0 and json.loads(said.stdout)[0]["State"]["Status"] == state

    def is_building(self):
        """The image is built before the deploy is noted: its name comes from it."""
        return "buildx build" in self._runs()

    def runs_the_migration(self):
        return self.has("once")

    def has_started_one(self):
        return self.has(self.new[0])

    def drains(self):
        """The engine has been asked to stop one that served."""
        return "docker stop" in self._runs()

    def _runs(self):
        """What the command waits for."""
        children = ["ps", "--ppid", str(self.command.process.pid), "-o", "args="]
        return subprocess.run(children, capture_output=True, text=True, check=False).stdout


STEPS = ("is_building", "runs_the_migration", "has_made_an_instance", "has_started_one", "has_decided", "drains")


def begin(stack, **ways):
    """A deploy of a new release on its way, what is seen of it, and the two releases' greetings."""
    old, new = stack.get()["greeting"], stack.behave(**(SLOW | ways))
    command = stack.begin("deploy")
    return command, ContainedMoments(stack, command), old, new
