"""What checks look at: a running stack from outside, and a copy of it that they may break."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from neurmatic.hosts.base import Host
from neurmatic.probes.http import Answer, request
from neurmatic.probes.tls import Place
from neurmatic.readiness.finding import Refuted, Unverifiable
from neurmatic.releases.events import EventLog
from neurmatic.releases.members import edge_address, edge_place
from neurmatic.releases.rehearsal import rehearse, settle
from neurmatic.releases.up import Up
from neurmatic.releases.values import read_secrets
from neurmatic.render.inside import places_in
from neurmatic.render.places import Places
from neurmatic.runtimes.base import Runtime
from neurmatic.runtimes.choice import runtime_of
from neurmatic.runtimes.containers.engine import Engine
from neurmatic.stack.instance import Instance
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack
from neurmatic.stack.service import Service

PATIENCE = 30.0
_CLIENTS = itertools.count(10)
LOG_SECONDS = 20.0
NATIVE = "the same configuration is verified where it runs natively: `neurmatic up --runtime native`"
LOG_BYTES = 1_000_000


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
    def runtime(self) -> Runtime:
        return runtime_of(self.host, self.layout)

    @property
    def places(self) -> Places:
        """Where the instances listen."""
        return places_in(self.layout, self.stack)

    @property
    def address(self) -> str:
        return edge_address(self.stack)

    def get(self, path: str, *, timeout: float = 5, **kwargs: Any) -> Answer:
        """One request through the edge, with the certificate verified."""
        return request(self.stack.url + path, timeout=timeout, ca=self.layout.trust, address=self.address, **kwargs)

    def place(self, source: str | None = None) -> Place:
        """The edge, as a client connects to it."""
        return edge_place(self.stack, self.layout, source)

    def new_client(self) -> str:
        """An address from which nobody has asked yet in this run; on loopback every 127.x.y.z is one.

        Raises:
            Unverifiable: the edge doesn't answer on loopback, so that all requests come from one address.
        """
        if self.layout.contained:
            raise Unverifiable(
                "requests from this machine reach the edge's container from one address only",
                NATIVE,
            )
        if not self.address.startswith("127."):
            raise Unverifiable("the edge answers on one address only", 'set [edge] listen to "127.0.0.1"')
        number = next(_CLIENTS)
        return f"127.18.{number // 200}.{number % 200 + 10}"

    def purge(self, path: str) -> None:
        """Have the edge fetch this path anew, as an application does after a change.

        Raises:
            Refuted: the edge doesn't take it.
        """
        url = f"http://{self.places.of('edge')}:{self.stack.edge.control_port}/purge"
        answer = request(url, method="POST", body=f"{path}\n".encode())
        if answer.status != 200:  # noqa: PLR2004  HTTP's own number
            raise Refuted(f"a purge: {answer}")

    def redis(self, *words: str, as_stranger: bool = False) -> str:
        """What Redis answers, a line each; a stranger has no password, and is told so.

        Raises:
            CommandError: it refuses, or doesn't answer; not to a stranger.
        """
        port = self.stack.redis.port if self.stack.redis else 0
        known = {} if as_stranger else read_secrets(self.host, self.layout)
        env = {"REDISCLI_AUTH": known["REDIS_PASSWORD"].reveal()} if known else {}
        argv = ["redis-cli", "-e", "-h", self.places.of("redis"), "-p", str(port), *words]
        said = self.host.run(argv, env=env, check=not as_stranger)
        return (said.out + (said.err if as_stranger else "")).strip()

    def logged(self, answer: Answer) -> dict[str, Any]:
        """What the edge wrote down of this answer: who asked, who answered, what refused.

        Raises:
            Refuted: the answer has no request id, or the log no such line.
        """
        wanted = answer.headers.get("x-request-id", "none")
        until = time.monotonic() + LOG_SECONDS
        while time.monotonic() < until:
            for line in reversed(self.runtime.log("edge", LOG_BYTES)):
                if f'"id":"{wanted}"' in line:
                    found: dict[str, Any] = json.loads(line)
                    return found
            time.sleep(0.05)
        raise Refuted(f"the edge's log has no line for request {wanted}")

    def ask(self, instance: Instance, path: str, *, timeout: float = 5, **kwargs: Any) -> Answer:
        """One request to an instance, past the edge and its limits."""
        return request(f"http://{self.places.of(instance.name)}:{instance.port}{path}", timeout=timeout, **kwargs)

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

    def need_processes(self, why: str) -> None:
        """Raises Unverifiable where the stack runs as containers: what such a check does to it can't be done there."""
        if self.live.layout.contained:
            raise Unverifiable(f"the stack runs as containers: {why}", NATIVE)

    def need_containers(self) -> Engine:
        """The engine that the stack's containers run in.

        Raises:
            Unverifiable: the stack runs as processes.
        """
        if not isinstance(engine := self.live.runtime, Engine):
            raise Unverifiable(
                "the stack runs as processes", "`neurmatic up --runtime containers` runs it as containers"
            )
        return engine

    def rehearsal(self) -> "Rehearsal":
        """A healthy copy of the stack that may be broken."""
        if self._copy is None:
            self.say("starting a rehearsal copy of the stack, to break it")
            up = self._open.enter_context(rehearse(self.live.host, self.live.layout, self.live.stack, self.user))
            self._copy = Rehearsal(up.host, up.layout, up.stack, up)
        else:
            settle(self._copy.up)
        self._copy.await_requests()
        return self._copy

    def close(self) -> None:
        """Stop and delete the copy, if there is one."""
        self._open.close()
        self._copy = None


@dataclass(frozen=True)
class Rehearsal(View):
    """A copy of the stack, with the means to break it and to see it heal."""

    up: Up

    @contextmanager
    def changed(self, **edge: object) -> Iterator["Rehearsal"]:
        """The copy with other fields of [edge], applied as an operator would; at the end as it was."""
        stack = self.stack.replace(edge=self.stack.edge.replace(**edge))
        up = Up(self.host, self.layout, stack, self.up.reporter, self.up.user, self.up.tool)
        up.up()
        try:
            yield Rehearsal(self.host, self.layout, stack, up)
        finally:
            self.up.up()

    def unlimited(self) -> AbstractContextManager["Rehearsal"]:
        """The copy without its limits on a client, for checks that are about something else."""
        return self.changed(limits=self.stack.edge.limits.replace(rate=10_000, burst=10_000, connections=1_000))

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

    def await_requests(self) -> None:
        """Wait until every instance gets requests again, as far as the guard's lists say.

        Raises:
            Refuted: one is still kept out after twice PATIENCE seconds.
        """
        until = time.monotonic() + 2 * PATIENCE  # one that fell often must be good for longer
        while kept_out := [
            name for name in self.stack.routed() if " down;" in (self.host.read(self.layout.upstream(name)) or "")
        ]:
            if time.monotonic() > until:
                raise Refuted(
                    f"instances of {', '.join(kept_out)} get no requests, {2 * PATIENCE:g} s after they were well"
                )
            time.sleep(0.1)


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
