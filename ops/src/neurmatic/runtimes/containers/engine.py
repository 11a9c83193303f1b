"""The container engine as a runtime: one compose file an instance, all of them one project; the engine restarts what ends."""

import json
import os
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from ipaddress import IPv4Network, ip_network
from pathlib import Path
from typing import IO, Any, cast

from neurmatic.errors import CommandError, ConfigurationError, NeurmaticError
from neurmatic.hosts.base import Host, Result
from neurmatic.hosts.pipeline import Program
from neurmatic.runtimes.base import Running, State
from neurmatic.runtimes.native.supervisor import Supervisor
from neurmatic.stack.layout import COMPOSE, Layout

PRIVATE = IPv4Network("172.30.0.0/16")
"""Where copies of a stack have their networks."""
ENGINE_VARIABLES = ("DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT")
"""By these an operator tells the engine's client of another engine than this machine's usual one."""
START_SECONDS = 120
LINE = 200
"""Bytes of a usual line of a log."""
_STATES: dict[str, State] = {"running": "running", "restarting": "restarting", "removing": "stopping"}
_IS_TIMER = "timer-"
_INSIDE_EDGE = "guard"


class Engine:
    """The runtime of containers: see neurmatic.runtimes.base.Runtime.

    Two kinds of instances are no containers. Timers call the tool, which is on the host, so runit keeps them as it does natively.
    The guard signals nginx, so it runs beside it in the edge's container, where a loop starts it again whenever it ends.
    """

    def __init__(self, host: Host, layout: Layout) -> None:
        self.host = host
        self.layout = layout
        self.timers = Supervisor(host, layout)

    @property
    def project(self) -> str:
        """What the names of this stack's containers begin with."""
        return (self.host.read(self.layout.runtime) or "").strip()

    def container(self, name: str) -> str:
        """The name of an instance's container."""
        return f"{self.project}-{name}"

    def docker(self, *words: str, check: bool = True, timeout: float = 60) -> Result:
        """The engine's answer. Its address and credentials are the operator's own."""
        return self.host.run(["docker", *words], check=check, timeout=timeout)

    def compose(self, folder: Path, *words: str, timeout: float = START_SECONDS) -> Result:
        """Have compose do something with the file in a folder."""
        return self.docker("compose", "--file", str(folder / COMPOSE), *words, timeout=timeout)

    def check(self) -> None:
        for words, package in ((("info", "--format", "{{.ID}}"), "docker.io"), (("compose", "version"), "compose v2")):
            try:
                self.docker(*words)
            except CommandError as error:
                raise ConfigurationError(
                    f"the container engine does not answer: {error}",
                    f"start it, or install it ({package}), and see that this account may use it",
                ) from None
        if strangers := {folder for folder in self._made_from().values() if not self._is_ours(folder)}:
            raise ConfigurationError(
                f"another stack on this host is called {self.project}: its containers come from {min(strangers)}",
                "give one of them another name under [stack]; or stop that one with `neurmatic down` in its project",
            )

    def _made_from(self) -> dict[str, str]:
        """The folder of the compose file that each container of this stack's name was made from, by its name."""
        shown = '{{.Names}} {{.Label "com.docker.compose.project.working_dir"}}'
        said = self.docker("ps", "--all", "--filter", self._label, "--format", shown).out
        return dict(line.split(" ", 1) for line in said.splitlines())

    def _is_ours(self, folder: str) -> bool:
        return Path(folder).is_relative_to(self.layout.state)

    @property
    def _label(self) -> str:
        """By it the engine finds what compose made for this stack."""
        return f"label=com.docker.compose.project={self.project}"

    def present(self) -> list[str]:
        names = [name for name in self.host.names(self.layout.services) if not name.startswith(".")]
        return [*names, *self.timers.present()]

    def inspect(self, names: Iterable[str]) -> dict[str, Running]:
        wanted = list(names)
        timers = [name for name in wanted if name.startswith(_IS_TIMER)]
        there = [name for name in wanted if name not in timers and self.host.exists(self.layout.service(name))]
        found = self.timers.inspect(timers) if timers else {}
        if not there:
            return found
        said = {one["Name"].lstrip("/"): one for one in self._said({_owner(name) for name in there})}
        for name in there:
            one = said.get(self.container(_owner(name)))
            found[name] = _running(one["State"], one["RestartCount"]) if one else Running("stopped")
            if name == _INSIDE_EDGE and found[name].state == "running":
                found[name] = Running("running", self._guard_pid(), found[name].seconds)
        return found

    def _said(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """What the engine says of this stack's containers; of those that it has.

        Raises:
            CommandError: it doesn't answer; whether they run is not known.
        """
        wanted = {self.container(name) for name in names}
        there = [name for name, folder in self._made_from().items() if name in wanted and self._is_ours(folder)]
        said = self.docker("container", "inspect", *there, check=False).out if there else ""
        return list(json.loads(said or "[]"))

    def restarts(self, name: str) -> int:
        return self.inspect([name]).get(name, Running()).restarts

    def is_supervising(self) -> bool:
        return not self.timers.present() or self.timers.is_supervising()

    def ensure_running(self) -> None:
        if self.timers.present():
            self.timers.ensure_running()

    def start(self, name: str) -> None:
        if name.startswith(_IS_TIMER):
            self.timers.start(name)
        elif name == _INSIDE_EDGE:
            self._restart_guard()
        else:
            # One that waits to be restarted would wait longer each time; made anew it starts at once.
            is_well = self.inspect([name])[name].state == "running"
            anew = [] if is_well else ["--force-recreate"]
            self.compose(self.layout.service(name), "up", "--detach", "--no-deps", "--pull", "never", *anew, name)

    def _restart_guard(self) -> None:
        if pid := self._guard_pid():
            self.host.signal(pid, "TERM")

    def _guard_pid(self) -> int | None:
        """The guard's process, as the host numbers it; None while there is none."""
        said = self.docker("top", self.container("edge"), "-eo", "pid,args", check=False).out
        lines = (line.split(maxsplit=1) for line in said.splitlines()[1:])
        return next((int(pid) for pid, args in lines if "python3 " in args and " -m guard" in args), None)

    def stop(self, name: str, *, grace: float) -> None:
        if name.startswith(_IS_TIMER):
            self.timers.stop(name, grace=grace)
        elif name != _INSIDE_EDGE and self._said([name]):
            self.docker("stop", "--time", str(int(grace)), self.container(name), timeout=grace + 30)

    def reload(self, name: str) -> None:
        self.docker("kill", "--signal", "HUP", self.container(name))

    def signal(self, name: str, signal: str) -> None:
        if pid := self.inspect([name]).get(name, Running()).pid:
            self.host.signal(pid, signal, tree=name != _INSIDE_EDGE)

    def supervisor_pid(self, name: str) -> int:
        """A container has no supervisor of its own."""
        return self.timers.supervisor_pid(name) if name.startswith(_IS_TIMER) else 0

    def log(self, name: str, most: int) -> list[str]:
        if name.startswith(_IS_TIMER):
            return self.timers.log(name, most)
        lines = max(10, most // LINE)  # the engine counts lines, not bytes
        said = self.docker("logs", "--tail", str(lines), self.container(_owner(name)), check=False)
        return [*said.out.splitlines(), *said.err.splitlines()]

    def containers(self) -> dict[str, dict[str, Any]]:
        """What the engine says of each container of this stack, by its instance; of others in the project, by their own names."""
        ids = self.docker("ps", "--all", "--quiet", "--filter", self._label).out.split()
        said = json.loads(self.docker("inspect", *ids).out) if ids else []
        return {one["Name"].removeprefix(f"/{self.project}-").lstrip("/"): one for one in said}

    def image(self, name: str) -> dict[str, Any]:
        """What the engine says of an image."""
        found: dict[str, Any] = json.loads(self.docker("image", "inspect", name).out)[0]
        return found

    @contextmanager
    def files(self, image: str) -> Iterator[tarfile.TarFile]:
        """Every file of an image, in a row; nothing of the image is executed."""
        with self._created(image) as one, self._archive("export", one) as archive:
            yield archive

    def copy_out(self, image: str, folder: str, target: Path) -> None:
        """Copy what a folder of an image holds into one of the host.

        Raises:
            CommandError: the image has no such folder.
        """
        with self._created(image) as one:
            self.docker("cp", f"{one}:{folder}/.", str(target))

    @contextmanager
    def _created(self, image: str) -> Iterator[str]:
        """A container of an image, never started, to look into."""
        one = self.docker("create", image, "none").out.strip()
        try:
            yield one
        finally:
            self.docker("rm", one)

    def saved(self, images: list[str]) -> AbstractContextManager[tarfile.TarFile]:
        """Images as the engine would hand them on: every layer, every setting, and manifest.json which says whose they are."""
        return self._archive("save", *images)

    @contextmanager
    def _archive(self, *words: str) -> Iterator[tarfile.TarFile]:
        env = {name: os.environ[name] for name in (*ENGINE_VARIABLES, "HOME") if name in os.environ}
        with (
            self.host.pipeline([Program(["docker", *words], env)]) as stream,
            tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|") as archive,
        ):
            yield archive

    def free_subnet(self, like: str) -> str:
        """A private network as large as this one that none of the engine's overlaps.

        Raises:
            NeurmaticError: there is none left.
        """
        ids = self.docker("network", "ls", "--quiet").out.split()
        said = json.loads(self.docker("network", "inspect", *ids).out)
        taken = [ip_network(one["Subnet"]) for network in said for one in network["IPAM"]["Config"] or ()]
        taken.append(IPv4Network(like))
        for one in PRIVATE.subnets(new_prefix=IPv4Network(like).prefixlen):
            if not any(one.overlaps(other) for other in taken if other.version == one.version):
                return str(one)
        raise NeurmaticError(
            f"no network as large as {like} is free in {PRIVATE}", "`docker network prune` may free one"
        )

    def following(self, names: list[str], lines: int) -> list[str]:
        """The command that shows what containers write, as they write it."""
        services = dict.fromkeys(_owner(name) for name in names)
        project = ["docker", "compose", "--project-name", self.project]
        return [*project, "logs", "--no-log-prefix", "--follow", "--tail", str(lines), *services]

    def execute(self, name: str, argv: list[str]) -> Result:
        """Run a program in the instance's container, as its account."""
        return self.docker("exec", self.container(_owner(name)), *argv, check=False)

    def forget(self, name: str) -> None:
        if name.startswith(_IS_TIMER):
            self.timers.forget(name)
            return
        if name != _INSIDE_EDGE and self._said([name]):
            self.docker("rm", "--force", "--volumes", self.container(name))
        self.host.remove(self.layout.service(name))

    def clear(self) -> None:
        self.timers.clear()
        for name in self.host.names(self.layout.services):
            if name.startswith("."):
                self.host.remove(self.layout.services / name)

    def shut_down(self) -> None:
        self.timers.shut_down()
        if not self.project:
            return
        found = self._made_from()
        if ours := [name for name, folder in found.items() if self._is_ours(folder)]:
            self.docker("rm", "--force", "--volumes", *ours)
        networks = self.docker("network", "ls", "--quiet", "--filter", self._label).out.split()
        if networks and len(ours) == len(found):  # else another stack of this name is in them
            self.docker("network", "rm", *networks)

    def forget_images(self) -> None:
        """Let go of every image that was built or kept for this stack: those that nothing else uses are removed."""
        if self._made_from():  # what was ours is gone: another stack of this name is there, whose images they may be
            return
        named = ["--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={self.project}/*"]
        if tags := self.docker("image", "ls", *named).out.split():
            self.docker("image", "rm", *tags, check=False)


def _owner(name: str) -> str:
    """The instance whose container this one runs in."""
    return "edge" if name == _INSIDE_EDGE else name


def _running(state: dict[str, Any], restarts: int) -> Running:
    word = _STATES.get(state["Status"], "stopped")
    since = state["StartedAt"] if word == "running" else state["FinishedAt"]
    return Running(word, state["Pid"] or None, _seconds_since(since), restarts)


def _seconds_since(moment: str) -> int:
    """Of the engine's notation, which has more digits of a second than are read here."""
    then = datetime.fromisoformat(moment.partition(".")[0].rstrip("Z")).replace(tzinfo=UTC)
    return max(0, int((datetime.now(UTC) - then).total_seconds()))
