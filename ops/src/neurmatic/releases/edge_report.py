"""What the edge is doing now, gathered from what it and the guard leave behind, for `neurmatic edge`."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from math import floor
from typing import Any

from neurmatic.errors import NeurmaticError
from neurmatic.guard.peers import Settings
from neurmatic.hosts.base import Host
from neurmatic.probes.health import Target
from neurmatic.probes.http import request
from neurmatic.releases import switch
from neurmatic.releases.certificate import parse
from neurmatic.releases.running import RunningSet, read
from neurmatic.releases.traffic import Traffic, figures
from neurmatic.releases.upstreams import Drain, Upstream, Verdict, upstreams
from neurmatic.render.guard import SETTINGS
from neurmatic.render.maintenance import Closed
from neurmatic.render.nginx import CONFIG, generation
from neurmatic.runtimes.base import Runtime
from neurmatic.stack.layout import Layout

LOG_BYTES = 2_000_000
"""As much of the log is read: some thousand requests, in a blink, however large it is."""
OK = 200
ALARM_DAYS = 14
"""Whoever renews the certificate should have done so by then."""
SERVING = ("running", "orphaned")
_CONNECTIONS = re.compile(r"Active connections: (\d+) .*Reading: (\d+) Writing: (\d+) Waiting: (\d+)", re.DOTALL)


@dataclass(frozen=True)
class Guard:
    """Whether the guard watches; without it the lists stay as they are."""

    alive: bool
    detail: str
    verdict_age_seconds: float | None


@dataclass(frozen=True)
class Connections:
    """Open connections to the edge, less the one that asked."""

    open: int
    reading: int
    writing: int
    waiting: int


@dataclass(frozen=True)
class Generation:
    """Which configuration nginx has loaded, and which lies there; the first is empty when it doesn't say."""

    loaded: str
    on_disk: str


@dataclass(frozen=True)
class TrustedList:
    """The CDN's published addresses that are trusted, as they were `age_days` ago."""

    cdn: str
    as_of: str
    age_days: int


@dataclass(frozen=True)
class Certificate:
    """The one that is installed; `neurmatic certificates` says more of it. `ends` is UTC, ISO 8601."""

    names: tuple[str, ...]
    issuer: str
    ends: str
    days_left: int


def certificate(text: str, now: datetime) -> Certificate | None:
    """Read the installed certificate's file; None when there is none in it."""
    try:
        one = parse(text)
    except ValueError:
        return None
    return Certificate(one.names, one.issuer, one.not_after.isoformat(), floor(one.days_left(now)))


@dataclass(frozen=True)
class EdgeReport:
    """Everything.

    Attributes:
        traffic: None when nothing is logged.
        connections: None when nginx doesn't say.
        trusted: None when no CDN is.
        maintenance: None while the edge is open to everybody.
        switch_loaded: nginx has loaded what the switch of the maintenance says.
    """

    stack: str
    url: str
    upstreams: tuple[Upstream, ...]
    guard: Guard
    traffic: Traffic | None
    connections: Connections | None
    generation: Generation
    certificate: Certificate | None
    trusted: TrustedList | None
    maintenance: Closed | None = None
    switch_loaded: bool = True

    def problems(self) -> Iterator[str]:
        """What an operator must see."""
        for one in self.upstreams:
            if one.state == "out":
                yield f"{one.instance} gets no requests: {one.reason or 'nobody noted why'}"
            elif one.reason:
                yield f"{one.instance} gets requests though it is not ready: {one.reason}"
        if not self.guard.alive:
            yield f"the guard is not well: {self.guard.detail}; `neurmatic logs guard` may say why"
        loaded, on_disk = self.generation.loaded, self.generation.on_disk
        if not loaded:
            yield "nginx does not answer at its control port; `neurmatic logs edge` may say why"
        elif loaded != on_disk:
            yield f"nginx goes on with configuration {loaded}, {on_disk} lies there; `neurmatic restart edge` starts it anew"
        elif not self.switch_loaded:
            yield "nginx has not loaded what the switch of the maintenance says; `neurmatic maintenance on` or `off` does it"
        if self.certificate is None:
            yield "there is no certificate; `neurmatic up` makes one"
        elif self.certificate.days_left < ALARM_DAYS:
            yield f"the certificate ends in {self.certificate.days_left} days; `neurmatic up` renews it"

    def as_json(self) -> dict[str, Any]:
        """The answer of `neurmatic edge --json`."""
        return {**asdict(self), "problems": list(self.problems())}


def look(host: Host, layout: Layout, runtime: Runtime) -> EdgeReport:
    """Ask nginx, and read what lies there.

    Raises:
        ConfigurationError: nothing was ever started here.
        NeurmaticError: the edge does not run.
    """
    running = read(host, layout)
    state = runtime.inspect(["edge"])
    if "edge" not in state or state["edge"].state not in SERVING:
        word = state["edge"].state if "edge" in state else "absent"
        raise NeurmaticError(
            f"the edge does not run: it is {word}", "`neurmatic up` starts it; `neurmatic status` shows the others"
        )
    now = datetime.now(UTC)
    verdicts, age = _verdicts(host, layout, now)
    health = running.prober(host, layout, "").probe(Target("guard", "guard"))
    control = running.control
    return EdgeReport(
        stack=running.stack,
        url=running.url,
        upstreams=_upstreams(host, layout, verdicts, now),
        guard=Guard(health.ok, health.detail, age),
        traffic=figures(runtime.log("edge", LOG_BYTES), now),
        connections=_connections(_said(f"{control}/status")),
        generation=Generation(
            _said(f"{control}/generation"),
            generation(host.read(layout.state / CONFIG) or ""),
        ),
        certificate=certificate(host.read(layout.certificate) or "", now),
        trusted=_trusted(running, now.date()),
        maintenance=switch.closed(host, layout),
        switch_loaded=switch.loaded(host, layout, control),
    )


def _upstreams(host: Host, layout: Layout, verdicts: dict[str, Verdict], now: datetime) -> tuple[Upstream, ...]:
    written = host.read(layout.state / SETTINGS)
    if written is None:
        return ()
    settings = Settings.from_json(written)
    drains = {
        name: Drain((host.read(layout.drained / name) or "").strip(), round(now.timestamp() - since, 1))
        for name in host.names(layout.drained)
        if (since := host.modified(layout.drained / name)) is not None
    }
    services = {peer.service for peer in settings.peers}
    lists = {name: host.read(layout.upstream(name)) or "" for name in services}
    return upstreams(settings, lists, verdicts, drains)


def _verdicts(host: Host, layout: Layout, now: datetime) -> tuple[dict[str, Verdict], float | None]:
    """The guard's verdicts by instance, and how old they are, in seconds."""
    try:
        said = json.loads(host.read(layout.guard) or "")
        age = round(now.timestamp() - said["at"], 1)
        found = {
            name: Verdict(str(one["reason"]), round(age + one["seconds"], 1), int(one["falls"]))
            for name, one in said["peers"].items()
        }
    except (ValueError, KeyError):
        return {}, None
    return found, age


def _said(url: str) -> str:
    answer = request(url, timeout=2)
    return answer.body.decode(errors="replace") if answer.status == OK else ""


def _connections(said: str) -> Connections | None:
    """From nginx's stub_status. The question itself is one that is open and being answered."""
    found = _CONNECTIONS.search(said)
    if not found:
        return None
    active, reading, writing, waiting = map(int, found.groups())
    return Connections(active - 1, reading, writing - 1, waiting)


def _trusted(running: RunningSet, today: date) -> TrustedList | None:
    if not running.cdn:
        return None
    return TrustedList(running.cdn, running.cdn_as_of, (today - date.fromisoformat(running.cdn_as_of)).days)
