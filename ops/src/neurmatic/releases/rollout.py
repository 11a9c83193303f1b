"""A release goes live: started beside the one that serves, switched to all at once, watched, and the one before drained.

Up to the switch nothing that serves is touched. From the switch until the watch is over the release before still runs, so that going
back is one more switch. `deployed.json` is written right before nginx loads the new lists: whatever is cut off, that file says which
instances are the stack's, and the next command removes the others.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from neurmatic.errors import ConfigurationError, NeurmaticError
from neurmatic.hosts.interrupts import held_back
from neurmatic.releases import members, running, schema
from neurmatic.releases import release as releases
from neurmatic.releases.deployed import beside, placed, read_deployed, save_deployed, standing
from neurmatic.releases.facts import MARK, check_connections, check_ports, write_mark
from neurmatic.releases.measure import Measured, Measurement, Moment, Phases, targets
from neurmatic.releases.plan import SERVING, Facts
from neurmatic.releases.up import Up
from neurmatic.stack.instance import Instance
from neurmatic.stack.model import Stack

WATCH_PAUSE = 0.5
NEXT = "the release before serves again; `neurmatic events` says what was seen; correct the release and deploy it"


@dataclass(frozen=True)
class Choice:
    """What the operator chose.

    Attributes:
        release: the one to bring live; empty: the one that the project's files make.
        git: the reference whose files it consists of; empty: the project's files as they are.
        commit: the one that `git` stands for.
        back: whether this is the way back to a release that served before: nothing is migrated, and `up` stays with it.
        probes: URLs to send load to; none: the stack's own health and front page.
        first: what is done before anything changes, such as a backup.
    """

    release: str = ""
    git: str = ""
    commit: str = ""
    back: bool = False
    probes: tuple[str, ...] = ()
    first: Callable[[], object] | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a rollout that succeeded; `seconds` by phase, `commit` where a git reference was asked for."""

    release: str
    before: str
    measured: Measured
    seconds: dict[str, float]
    commit: str = ""


class Rollout:
    """One release on its way to being the one that serves. The stack's lock is held by who calls it.

    Args:
        up: the stack; where its instances are is read here, under the lock.
        described: the stack as its file has it.
        choice: what to bring live.

    Raises:
        ConfigurationError: there is no room for two releases, or the release can't be made.
    """

    def __init__(self, up: Up, described: Stack, choice: Choice) -> None:
        self.host, self.layout, self.reporter, self.runtime = up.host, up.layout, up.reporter, up.runtime
        self.choice, self.phases, self.settings = choice, Phases(), up.stack.deploy
        self.before = read_deployed(self.host, self.layout)
        served = running.read(self.host, self.layout)
        up = replace(up, stack=standing(described, self.before, served.numbers()))
        moved = beside(described, self.before)
        self.old = replace(up, chosen=self.before.release)
        self.new = replace(up, stack=placed(described, moved), chosen=choice.release)
        numbers = {name: up.stack.services[name].numbers + one.numbers for name, one in self.new.stack.services.items()}
        self.leaving = _services(self.old)
        self.coming = _services(self.new)
        ports = {one.name: one.target.port for one in served.members}
        if elsewhere := [one.name for one in self.leaving if ports.get(one.name, one.port) != one.port]:
            raise ConfigurationError(
                f"the stack file has other ports for {', '.join(elsewhere)}", "`neurmatic up` moves them; then deploy"
            )
        self.old.check()
        self.new.check()
        self.both = replace(self.new, stack=described.placed(numbers), chosen=self.new.release)
        self.both.check()
        release = self.new.release
        held = bool(choice.release or choice.git)
        self.after = moved.back_at(release) if choice.back else moved.serving(release, held=held)
        self.measured = Measured(0, 0, 0.0, None, "")
        self.left, self.is_switched = "", False

    def run(self, late: ExitStack) -> Outcome:
        """Bring the release live.

        Args:
            late: to be closed when all is noted. From the moment on from which there is no way back, it keeps Ctrl-C and SIGTERM
                away: the command comes to its end.

        Raises:
            NeurmaticError: it isn't live, and the release before serves as it did.
        """
        loads = targets(self.old.stack, self.layout, self.choice.probes, self.settings.rate)
        with Measurement(loads) as load:
            try:
                self._go(load, late)
            finally:
                with held_back():
                    self.measured = load.stop()
        seconds = self.phases.seconds
        return Outcome(self.new.release, self.before.release, self.measured, seconds, self.choice.commit)

    def _go(self, load: Measurement, late: ExitStack) -> None:
        undo = ExitStack()
        try:
            self._prepare()
            self._start(undo)
            switched = self._switch(undo, load)
            self._watch(load, switched)
        except BaseException:
            with held_back():
                undo.close()
            raise
        late.enter_context(held_back(heeded=False))  # from here on there is no way back but another rollout
        self._retire()

    def _prepare(self) -> None:
        """What leaves everything that serves as it is."""
        with self.phases.timed("prepare"):
            self.both.prepare()
            self.new.prepare()
            self._clear_strays()
            self._check_room()
        if self.new.stack.release.files and not releases.is_complete(self.host, self.layout, self.new.release):
            with self.phases.timed("build"):
                self.new.build()
        if self.choice.commit:
            releases.note_commit(self.host, self.layout, self.new.release, self.choice.commit)
        release = self.new.stack.release
        has_run = self.new.release in schema.order(self.host, self.layout)
        must_migrate = bool(release.migrate or release.seed) and not self.choice.back and not has_run
        seen = schema.read(self.new) if must_migrate else None
        if self.choice.first:
            with self.phases.timed("backup"):
                self.choice.first()
        if must_migrate:
            with self.phases.timed("migrate"):
                changed = schema.migrate(self.new, seen)
                done = (self.new.release, changed.revision, changed.contracts, changed.files)
                self.before, self.after = self.before.migrated(*done), self.after.migrated(*done)
                save_deployed(
                    self.host, self.layout, self.before
                )  # whatever becomes of the release, its schema is there

    def _clear_strays(self) -> None:
        """Remove what a command that was killed has left: instances of services that aren't the deployed ones.

        Requests may go to them still, when it was killed before nginx had loaded what `deployed.json` says; and the guard knows them.
        """
        known = {one.name for one in self.leaving}
        present = self.runtime.present()
        strays = [name for name in present if name not in known and name.rpartition("-")[0] in self.old.stack.services]
        if strays:
            self.reporter.say(f"an earlier command was cut off: removing {', '.join(strays)}")
            self.old.prepare()
            self.both.edge.exchange(strays, [one.name for one in self.leaving], "left by a command that was cut off")
            self._remove(strays)
            self.old.restart_guard()
            self.old.edge.prepare(())

    def _check_room(self) -> None:
        """Raises ConfigurationError where something that serves is missing, or something new has no room."""
        states = self.runtime.inspect([one.name for one in self.leaving])
        if down := [
            one.name for one in self.leaving if one.name not in states or states[one.name].state not in SERVING
        ]:
            raise ConfigurationError(f"not running: {', '.join(down)}", "`neurmatic up` starts what is missing")
        self.new.way.check_limits()  # while both run they may use more together: for seconds, and no limit is lifted
        check_ports(self.host, self.layout, self.new.stack, Facts(), {one.name: one for one in self.coming})
        check_connections(self.both.stack, "both releases together")

    def _start(self, undo: ExitStack) -> None:
        names = [one.name for one in self.coming]
        with self.phases.timed("start"):
            undo.callback(self._put_guard_back, self._kept("guard"))
            undo.callback(self._take_away, names)
            for name in names:  # first: their supervisor looks for new ones every few seconds only
                self.new.write(name)
            self.both.edge.prepare(names)
            self.both.restart_guard()
            for service in self.new.stack.start_order():
                if together := [one for one in self.coming if one.service == service]:
                    for _ in self.new.launch(together):
                        pass

    def _take_away(self, names: list[str]) -> None:
        if self.is_switched:  # and the way back failed: requests may still go to them
            self.reporter.say(f"! {', '.join(names)} are left: the next `neurmatic up` or deploy removes them")
        else:
            self._remove(names)

    def _put_guard_back(self, files: dict[Path, str]) -> None:
        self._write_back(files)
        self.runtime.stop("guard", grace=members.BUILT_IN_SECONDS)
        self.runtime.start("guard")
        self.old.edge.prepare(())

    def _switch(self, undo: ExitStack, load: Measurement) -> Moment:
        """Have the new release serve; the moment from which on what fails is its own doing."""
        begun = load.moment()
        leaving, coming = [one.name for one in self.leaving], [one.name for one in self.coming]
        with self.phases.timed("switch"):
            undo.callback(self._switch_back, self._kept("edge", self.layout.running), leaving, coming)
            save_deployed(self.host, self.layout, self.after)
            running.save(self.host, self.layout, self.new.running)
            self.new.write("edge")
            self.is_switched = True
            self.both.edge.exchange(leaving, coming, f"{self.new.release} serves in its place")
        self.reporter.say(f"release {self.new.release} serves, {self.phases.elapsed:.1f} s after the begin")
        if not begun.failed:
            return begun
        for words in begun.sentences():
            self.reporter.say(f"! {words}")
        return load.moment()  # until here requests went to the release before, which had failed others already

    def _switch_back(self, files: dict[Path, str], leaving: list[str], coming: list[str]) -> None:
        self.reporter.say(f"switching back to {self.before.release}")
        save_deployed(self.host, self.layout, self.before)
        self._write_back(files)
        self.both.edge.exchange(coming, leaving, "its release was taken back")
        self.is_switched = False

    def _kept(self, name: str, *more: Path) -> dict[Path, str]:
        """An instance's files, and these, as they are: to be put back as they were."""
        paths = [*(self.layout.state / path for path in self.new.desired.files[name]), self.layout.service(name) / MARK]
        return {path: text for path in (*paths, *more) if (text := self.host.read(path)) is not None}

    def _write_back(self, files: dict[Path, str]) -> None:
        for path, text in files.items():
            if self.host.read(path) != text:
                self.host.write(path, text)

    def _watch(self, load: Measurement, switched: Moment) -> None:
        """See that the new release stays well while the one before could still take over.

        Raises:
            NeurmaticError: it doesn't.
        """
        with self.phases.timed("watch"):
            until = time.monotonic() + self.settings.watch
            is_last = False
            while not is_last:
                if is_last := time.monotonic() > until:
                    load.settle()
                for one in self.coming:
                    self._see_well(one)
                if len(failed := load.failed_since(switched)) > self.settings.max_failed:
                    words = f"{len(failed)} request{'s' * (len(failed) != 1)} failed"
                    first = "; ".join(failed[:3])
                    raise NeurmaticError(f"{words} after the switch to {self.new.release}: {first}", NEXT)
                time.sleep(0 if is_last else WATCH_PAUSE)

    def _see_well(self, one: Instance) -> None:
        health = self.new.gate.probe(one)
        if health.state == "unhealthy":  # as the guard does, look twice: one answer may be late on a busy machine
            time.sleep(WATCH_PAUSE)
            health = self.new.gate.probe(one)
        if restarts := self.runtime.restarts(one.name):
            times = f"{restarts} time{'s' * (restarts > 1)}"
            raise NeurmaticError(
                f"{one.name} of {self.new.release} was ready and ended {times} since{self.new.gate.last_words(one)}",
                NEXT,
            )
        if health.state == "unhealthy":
            raise NeurmaticError(
                f"{one.name} of {self.new.release} was ready and is not well any more: {health.detail}", NEXT
            )

    def _retire(self) -> None:
        """End the release before, and leave nothing that knows of it. Whatever fails here, the new release serves.

        The edge forgets it first: a websocket that the drain closes comes back at once, and a reload after that would close it once more.
        """
        try:
            with self.phases.timed("drain"):
                write_mark(self.host, self.layout, "edge", self.new.desired.marks["edge"])
                self.new.restart_guard()
                self.new.edge.prepare(())
                self._remove([one.name for one in self.leaving])
        except NeurmaticError as error:
            self.left = f"{self.before.release} was not cleared away: {error}"
            self.reporter.say(f"! {self.left}\n  the next `neurmatic up` or deploy does it")

    def _remove(self, names: list[str]) -> None:
        """Stop instances side by side, each with the time that its requests need, and forget them."""
        services = self.both.stack.services

        def remove(name: str) -> None:
            if self.host.exists(self.layout.service(name)):
                self.runtime.stop(name, grace=services[name.rpartition("-")[0]].stop_timeout)
                self.runtime.forget(name)

        if names:
            with ThreadPoolExecutor(len(names)) as pool:
                list(pool.map(remove, names))


def _services(up: Up) -> list[Instance]:
    return [one for one in up.stack.instances() if one.kind == "service"]
