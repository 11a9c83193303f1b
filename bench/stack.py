"""The platform under measurement: this repository's stack, in production's environment, on ports and state of its own."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from neurmatic.stack.layout import Layout

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from live_platform import PORTS, Platform  # noqa: E402  the tests' own way to start it

OPEN = """
# One client asks for everything here. Connections: the platform's, and two processes of each peer at POOL_SIZE.
[environments.production.edge.limits]
rate = 100_000
burst = 100_000
connections = 10_000
[environments.production.postgres]
max_connections = 150
"""
UNCACHED = """
[environments.production.edge.cache]
paths = []
"""
CACHED = """
[environments.production.edge.cache]
seconds = 3600
"""
MAKE_PHASES = {
    "Python environment": ".venv/bin/uv",
    "operator's tool": ".venv/.tool",
    "platform's wheel": "build/.wheel",
    "frontend's packages": "frontend/node_modules/.installed",
    "frontend": "frontend/dist/.built",
}


@dataclass(frozen=True)
class Stack:
    """The running platform, as the rest of the benchmark sees it."""

    platform: Platform
    services: list[dict]

    @property
    def edge(self):
        return self.platform.url

    @property
    def layout(self):
        """Where its state lies."""
        return Layout(self.platform.state, ROOT)

    @property
    def edge_ports(self):
        """The edge's ports: https, http, control."""
        return [int(self.edge.rpartition(":")[2]) - 443 + PORTS[port] for port in ("8443", "8080", "8081")]

    @property
    def ports(self):
        """Ports of the API's instances."""
        return [int(row["address"].rpartition(":")[2]) for row in self.services if row["service"] == "api"]

    def pid(self, instance):
        """The instance's process as it is now."""
        return next(row["pid"] for row in self.platform.json("status")["services"] if row["instance"] == instance)

    def variable(self, name):
        """A variable of the API's environment."""
        return (self.platform.state / "services" / "api-1" / "env" / name).read_text().strip()


@contextmanager
def started(say, *, cached=False, make=Platform, runtime="native") -> Iterator[Stack]:
    """The whole platform, started from nothing, and gone at the end.

    Its edge limits nobody. `cached`: it keeps answers, for longer than a run takes; else it sends on every request.
    `make`: what makes it, given what is to stand in the stack file beside this repository's own.
    """
    platform = make(OPEN + (CACHED if cached else UNCACHED))
    try:
        say("starting the platform")
        platform.run("up", "--environment", "production", "--runtime", runtime)
        yield Stack(platform, platform.json("status")["services"])
    finally:
        platform.remove()


def up_phases(stack: Stack):
    """Seconds of each phase of the first `up`, from the stack's own events; what starts together counts once."""
    services = {row["instance"]: row["service"] for row in stack.services}
    phases = {}
    total = 0.0
    for event in stack.platform.json("events"):
        seconds, action = event.get("duration_s"), event["action"]
        if event["result"] != "done" or seconds is None:
            continue
        if action == "up":
            total = seconds
            break  # later ones are not the first
        name = f"start {services[event['instance']]}" if action == "start" else action
        phases[name] = max(seconds, phases.get(name, 0))
    return phases | {"the rest": round(total - sum(phases.values()), 3)}


def make_phases(say):
    """Seconds of each phase of `make build` on a fresh clone with empty download caches."""
    with tempfile.TemporaryDirectory(prefix="neurmatic-bench-", dir="/var/tmp") as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        caches = {"UV_CACHE_DIR": f"{folder}/uv", "PIP_CACHE_DIR": f"{folder}/pip", "npm_config_cache": f"{folder}/npm"}
        phases = {}
        for name, target in MAKE_PHASES.items():
            say(f"building from a fresh clone: {name}")
            begun = time.monotonic()
            made = subprocess.run(
                ["make", target], cwd=clone, env=os.environ | caches, capture_output=True, text=True, check=False
            )
            assert made.returncode == 0, made.stdout + made.stderr
            phases[name] = round(time.monotonic() - begun, 3)
        return phases


def write_queries(path: Path):
    """The platform's own queries, for the peers to ask the same."""
    from neurmatic_backend.articles import queries  # noqa: PLC0415  `--only commands` needs no backend

    path.write_text(json.dumps({"list": queries.list_query(older=False, tag=False, search=False), "one": queries.ONE}))
