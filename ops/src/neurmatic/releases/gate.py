"""The health gate: nothing counts as started before it answers, and nothing starts before what it needs."""

import time
from dataclasses import dataclass, replace

from neurmatic.errors import NeurmaticError
from neurmatic.probes.health import Health, Prober
from neurmatic.releases.events import EventLog
from neurmatic.releases.members import start_timeout, target
from neurmatic.releases.project import Reporter
from neurmatic.render.places import Places
from neurmatic.runtimes.base import Runtime
from neurmatic.stack.instance import Instance
from neurmatic.stack.model import Stack

HOPELESS_RESTARTS = 4  # with back-off that takes some 7 s; what ends that often won't come up by waiting
LAST_BYTES = 4000
ALIVE_SECONDS = 2  # all there is to see of a process that answers nothing


@dataclass(frozen=True)
class Gate:
    """Waits for instances of one stack and one release."""

    stack: Stack
    places: Places
    release: str
    runtime: Runtime
    prober: Prober
    events: EventLog
    reporter: Reporter

    def await_needs(self, one: Instance) -> None:
        """Wait until what the instance needs is healthy, whoever started that and when.

        Raises:
            NeurmaticError: something it needs isn't; the instance was not started.
        """
        for other in self.stack.instances():
            if other.service not in self.stack.needs(one.service):
                continue
            health = self.probe(other)
            if health.state == "unhealthy":
                self.reporter.say(f"{one.name} waits for {other.name}: {health.detail}")
                self.events.write("wait", "begun", instance=one.name, needs=other.name, reason=health.detail)
                self.await_health(other, f"{one.name} was not started: it needs {other.name}, which")

    def await_health(self, one: Instance, sentence: str = "") -> None:
        """Wait until the instance is healthy and of this release.

        Raises:
            NeurmaticError: it isn't within its time limit, or ends again and again; the message ends with its log.
        """
        limit = start_timeout(self.stack, one)
        until = time.monotonic() + limit
        pause = 0.02
        while not self._is_up(health := self.probe(one), one):
            restarts = self.runtime.restarts(one.name)
            if time.monotonic() > until or restarts >= HOPELESS_RESTARTS:
                hopeless = restarts >= HOPELESS_RESTARTS
                tried = f"ended {restarts} times" if hopeless else f"did not become healthy within {limit:g} s"
                self.events.write("start", "failed", instance=one.name, reason=f"{tried}: {health.detail}")
                raise NeurmaticError(
                    f"{sentence or one.name} {tried}: {health.detail}{self.last_words(one)}",
                    f"look at `neurmatic logs {one.name}`, correct the cause and run `neurmatic up` again; "
                    "what ran before goes on running",
                )
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5)

    def probe(self, one: Instance) -> Health:
        """How the instance is now."""
        health = self.prober.probe(target(self.stack, one, self.places))
        is_other = health.version not in ("", self.release)
        return (
            replace(health, detail=f"{health.detail}, and it says that it is {health.version}") if is_other else health
        )

    def _is_up(self, health: Health, one: Instance) -> bool:
        if health.state == "unknown":
            state = self.runtime.inspect([one.name]).get(one.name)
            return bool(state and state.state == "running" and state.seconds >= ALIVE_SECONDS and not state.restarts)
        return health.ok and health.version in ("", self.release)

    def last_words(self, one: Instance) -> str:
        """The end of the instance's log, as the end of a sentence about it; empty when it wrote nothing."""
        lines = self.runtime.log(one.name, LAST_BYTES)[-8:]
        return "\n  its log ends with:\n    " + "\n    ".join(lines) if lines else ""
