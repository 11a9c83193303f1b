"""What runs now: the supervisor's view and the probes' view of each instance, side by side."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from neurmatic.hosts.base import Host
from neurmatic.probes.health import Health
from neurmatic.releases import switch
from neurmatic.releases.running import RunningSet, read
from neurmatic.releases.values import redis_password
from neurmatic.render.maintenance import Closed
from neurmatic.runtimes.base import Running, Runtime
from neurmatic.stack.layout import Layout


@dataclass(frozen=True)
class Row:
    """One instance; `memory_bytes` includes its children, `restarts` counts since the tool last started it.

    A timer's `next_run` is its scheduler's own word; its restarts are runs that failed.
    """

    service: str
    instance: str
    state: str
    health: str
    version: str
    address: str
    pid: int | None
    memory_bytes: int
    restarts: int
    detail: str = ""
    next_run: str = ""


@dataclass(frozen=True)
class Status:
    """The whole stack; `maintenance` is None while the edge is open to everybody."""

    stack: str
    environment: str
    url: str
    release: str
    services: tuple[Row, ...]
    maintenance: Closed | None = None

    @property
    def ok(self) -> bool:
        """Everything runs and none is unhealthy; an orphan serves, and its next supervisor waits to take over."""
        return all(row.state in ("running", "orphaned") and row.health != "unhealthy" for row in self.services)

    def as_json(self) -> dict[str, Any]:
        """The answer of `neurmatic status --json`."""
        return asdict(self)


def look(host: Host, layout: Layout, runtime: Runtime) -> Status:
    """Ask the supervisor and every instance, all at once."""
    running = read(host, layout)
    prober = running.prober(host, layout, redis_password(host, layout))
    targets = [member.target for member in running.members]
    with ThreadPoolExecutor(max_workers=1) as pool:
        asked = pool.submit(prober.probe_all, targets)
        states = runtime.inspect([member.name for member in running.members])
        health = asked.result()
    rows = tuple(_rows(host, running, states, health))
    return Status(running.stack, running.environment, running.url, running.release, rows, switch.closed(host, layout))


def await_well(host: Host, layout: Layout, runtime: Runtime, seconds: float) -> tuple[str, ...]:
    """Wait until whatever runs is well, for that many seconds at most; returns a sentence for each that isn't even then."""
    until = time.monotonic() + seconds
    while True:
        rows = look(host, layout, runtime).services
        unwell = tuple(
            f"{row.instance}: {row.detail}" for row in rows if row.state == "running" and row.health == "unhealthy"
        )
        if not unwell or time.monotonic() > until:
            return unwell
        time.sleep(0.1)


def _rows(host: Host, running: RunningSet, states: dict[str, Running], health: dict[str, Health]) -> list[Row]:
    rows = []
    for member in running.members:
        state, seen = states.get(member.name, Running()), health[member.name]
        stopped = state.state in ("stopped", "absent")
        rows.append(
            Row(
                service=member.service,
                instance=member.name,
                state=state.state,
                health="unhealthy" if stopped else seen.state,
                version=seen.version or member.version,
                address=f"{member.target.address}:{member.target.port}" if member.target.port else "",
                pid=state.pid,
                memory_bytes=host.process_memory(state.pid) if state.pid else 0,
                restarts=state.restarts,
                detail="stopped" if stopped else seen.detail,
                next_run=seen.detail.removeprefix("next run ") if member.target.kind == "timer" and not stopped else "",
            )
        )
    return rows
