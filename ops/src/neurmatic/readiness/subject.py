"""What checks look at: a running stack from outside, and a copy of it that they may break."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neurmatic.hosts.base import Host
from neurmatic.probes.http import Answer, request
from neurmatic.readiness.finding import Refuted, Unverifiable
from neurmatic.readiness.rehearsal import rehearse, settle
from neurmatic.releases.events import EventLog
from neurmatic.releases.up import Up
from neurmatic.stack.instance import Instance
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack
from neurmatic.stack.service import Service

PATIENCE = 30.0


@dataclass(frozen=True)
class View:
    """One running stack, as its clients see it."""

    host: Host
    layout: Layout
    stack: Stack

    @property
    def events(self) -> EventLog:
        return EventLog(self.host, self.layout)

    @property
    def address(self) -> str:
        listen = self.stack.edge.listen
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen, listen)  # noqa: S104  where to ask

    def get(self, path: str, *, timeout: float = 5, **kwargs: Any) -> Answer:
        """One request through the edge, with the certificate verified."""
        ca: Path = self.layout.tls / "ca.pem"
        return request(self.stack.url + path, timeout=timeout, ca=ca, address=self.address, **kwargs)

    def ask(self, instance: Instance, path: str, *, timeout: float = 5) -> Answer:
        """One request to an instance, past the edge."""
        return request(f"http://127.0.0.1:{instance.port}{path}", timeout=timeout)

    def service(self) -> tuple[str, Service]:
        """The service that claims about health are about: the first one that the edge routes to."""
        return next((name, one) for name, one in self.stack.services.items() if one.routes)

    def instances(self, service: str) -> list[Instance]:
        return [one for one in self.stack.instances() if one.service == service]

    def health_path(self, kind: str) -> str:
        """The path for ``live``, ``ready`` or ``overall`` of the main service.

        Raises:
            Unverifiable: the stack file names none.
        """
        name, service = self.service()
        path: str | None = getattr(service.health, kind)
        if path is None:
            raise Unverifiable(
                f"[services.{name}] names no health.{kind}", f"set health.{kind} to the path that answers it"
            )
        return path


@dataclass
class Subject:
    """The stack under examination. `rehearsal()` is started when the first check asks for it."""

    live: View
    user: str | None
    say: Callable[[str], None] = lambda _line: None
    _open: ExitStack = field(default_factory=ExitStack)
    _copy: "Rehearsal | None" = None

    def rehearsal(self) -> "Rehearsal":
        """A healthy copy of the stack that may be broken."""
        if self._copy is None:
            self.say("starting a rehearsal copy of the stack, to break it")
            up = self._open.enter_context(rehearse(self.live.host, self.live.layout, self.live.stack, self.user))
            self._copy = Rehearsal(up.host, up.layout, up.stack, up)
        else:
            settle(self._copy.up)
        return self._copy

    def close(self) -> None:
        """Stop and delete the copy, if there is one."""
        self._open.close()
        self._copy = None


@dataclass(frozen=True)
class Rehearsal(View):
    """A copy of the stack, with the means to break it and to see it heal."""

    up: Up

    def stop(self, name: str) -> None:
        self.up.runtime.stop(name, grace=10)

    def start(self, name: str) -> None:
        self.up.runtime.start(name)

    def signal(self, name: str, signal: str) -> None:
        """Send a signal to the instance's process and all its children."""
        self.up.runtime.signal(name, signal)

    def await_health(self, *names: str) -> None:
        """Wait until the instances are healthy again; by default all of them."""
        for name in names or self.up.instances:
            self.up.gate.await_health(self.up.instances[name])


def eventually(
    ask: Callable[[], Answer], holds: Callable[[Answer], bool], words: str, patience: float = PATIENCE
) -> Answer:
    """Ask again and again until the answer fits.

    Raises:
        Refuted: it never did within `patience` seconds; the message gives the last answer.
    """
    until = time.monotonic() + patience
    while not holds(answer := ask()):
        if time.monotonic() > until:
            raise Refuted(
                f"{words} was not seen within {patience:g} s; the last answer: {answer} {answer.body[:300]!r}"
            )
        time.sleep(0.1)
    return answer
