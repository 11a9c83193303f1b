"""Is it well? Six questions to the running stack and its machine, answered for `neurmatic health`."""

from dataclasses import asdict, dataclass
from typing import Any

from neurmatic.hosts.base import Host
from neurmatic.probes.health import Prober, Target
from neurmatic.probes.http import request
from neurmatic.releases.members import target
from neurmatic.releases.running import read
from neurmatic.releases.values import redis_password
from neurmatic.render.inside import places_in
from neurmatic.render.places import Places
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack

PARTS = ("api", "frontend", "postgres", "redis", "disk", "memory")


@dataclass(frozen=True)
class Part:
    """One question's answer. `ok` is None where the stack has no such part."""

    name: str
    ok: bool | None
    detail: str


@dataclass(frozen=True)
class Report:
    """All six."""

    stack: str
    parts: tuple[Part, ...]

    @property
    def ok(self) -> bool:
        return not self.red()

    def red(self) -> list[str]:
        """Names of the parts that are not well."""
        return [part.name for part in self.parts if part.ok is False]

    def as_json(self) -> dict[str, Any]:
        """The answer of `neurmatic health --json`."""
        checks = {part.name: {k: v for k, v in asdict(part).items() if k != "name"} for part in self.parts}
        return {"stack": self.stack, "healthy": self.ok, "checks": checks}


def examine(host: Host, layout: Layout, stack: Stack) -> Report:
    """Ask everything; takes some seconds at most, whatever hangs."""
    prober = read(host, layout).prober(host, layout, redis_password(host, layout))
    places = places_in(layout, stack)
    parts = (
        _api(stack, places),
        _frontend(prober, stack),
        _server(prober, stack, places, "postgres"),
        _server(prober, stack, places, "redis"),
        _disk(host, layout, stack),
        _memory(host, stack),
    )
    return Report(stack.name, parts)


def _api(stack: Stack, places: Places) -> Part:
    """Every instance that the edge routes to must answer its overall health, or else its readiness, with 200."""
    said = []
    for one in stack.instances():
        service = stack.services.get(one.service)
        if service and service.routes and one.port:
            path = service.health.overall or service.health.ready
            answer = request(f"http://{places.of(one.name)}:{one.port}{path}", timeout=4)
            body = answer.json()
            word = f" {body['status']}" if isinstance(body, dict) and isinstance(body.get("status"), str) else ""
            said.append((answer.status == 200, f"{one.name}{word} ({answer})"))  # noqa: PLR2004  HTTP's own number
    if not said:
        return Part("api", None, "no service is routed")
    return Part("api", all(ok for ok, _ in said), ", ".join(text for _, text in said))


def _frontend(prober: Prober, stack: Stack) -> Part:
    health = prober.probe(Target("edge", "edge", stack.edge.https_port, url=f"{stack.url}/"))
    return Part("frontend", health.ok, f"{stack.url}/ {health.detail}")


def _server(prober: Prober, stack: Stack, places: Places, name: str) -> Part:
    one = next((one for one in stack.instances() if one.name == name), None)
    if one is None:
        return Part(name, None, "not part of the stack")
    health = prober.probe(target(stack, one, places))
    return Part(name, health.ok, health.detail)


def _disk(host: Host, layout: Layout, stack: Stack) -> Part:
    used = host.disk_used_percent(layout.state)
    limit = stack.watch.disk_used_percent
    return Part(
        "disk", used < limit, f"{used:.0f} % used (limit {limit:g} %), {host.free_bytes(layout.state) // 10**6} MB free"
    )


def _memory(host: Host, stack: Stack) -> Part:
    available, total = host.memory_bytes()
    free = 100 * available / total
    limit = stack.watch.memory_free_percent
    return Part("memory", free > limit, f"{free:.0f} % available (limit {limit:g} %), {available // 10**6} MB")
