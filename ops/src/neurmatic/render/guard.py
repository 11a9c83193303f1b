"""The guard's program and what it is told: a copy of its own, so that it needs no installed tool."""

from importlib.resources import files

from neurmatic.guard.peers import Peer, Rules, Settings
from neurmatic.render.file import File, Files
from neurmatic.render.places import LOOPBACK, Places
from neurmatic.stack.model import Stack

FOLDER = "config/guard"
SETTINGS = f"{FOLDER}/settings.json"
MODULES = ("__init__", "__main__", "judge", "peers")


def render_guard(stack: Stack, places: Places = LOOPBACK) -> Files:
    """Its modules and settings."""
    folder = files("neurmatic.guard")
    modules = {f"{FOLDER}/{name}.py": File((folder / f"{name}.py").read_text(encoding="utf-8")) for name in MODULES}
    return modules | {SETTINGS: File(guard_settings(stack, places).as_json())}


def guard_settings(stack: Stack, places: Places = LOOPBACK) -> Settings:
    """Whom it watches, and by which rules."""
    rules = Rules(
        **stack.edge.failover.model_dump(), max_fails=stack.edge.max_fails, fail_timeout=stack.edge.fail_timeout
    )
    peers = [
        Peer(
            *(one.name, one.service, one.port, service.health.ready, service.health.live, service.start_timeout),
            host=places.of(one.name),
        )
        for one in stack.instances()
        if (service := stack.routed().get(one.service)) and one.port
    ]
    return Settings(tuple(peers), rules)
