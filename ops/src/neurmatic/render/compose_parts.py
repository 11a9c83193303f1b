"""What the services of compose.yaml have in common: the least of rights, limits, health checks, mounted configuration."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from neurmatic.render.file import Files
from neurmatic.render.inside import Inside

GROUP = 10001
"""Whoever is to read a secret runs in this group; the files belong to root. The application's images name it, too."""
APPLICATION = f"10001:{GROUP}"
SERVERS = f"999:{GROUP}"
"""The account of PostgreSQL and of Redis in their official images."""
MOST_PROCESSES = 512
CONFIG = "/neurmatic/config"
Node = dict[str, Any]


def common(among: Inside, service: str, instance: str, user: str) -> Node:
    """An unprivileged account, a root that can't be written to, no capability, and limits."""
    memory, cpus = among.containers.limit(service, among.stack.postgres, among.stack.redis)
    return {
        "user": user,
        "read_only": True,
        "tmpfs": ["/tmp:size=64m,noexec,nosuid,nodev"],  # noqa: S108  the container's own
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "restart": "unless-stopped",
        "deploy": {
            "resources": {"limits": {"memory": f"{memory // 1024**2}M", "cpus": f"{cpus:g}", "pids": MOST_PROCESSES}}
        },
        "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "30"}},
        "networks": {"inside": {"ipv4_address": among.places.of(instance)}},
    }


def health(test: list[str] | None, start_seconds: float) -> Node:
    """How the engine asks for its health; None: as the image says."""
    timing = {"interval": "5s", "timeout": "5s", "retries": 3, "start_period": f"{start_seconds:g}s"}
    return ({"test": [literal(word) for word in test]} if test else {}) | timing


def mounted(config: Files, *names: str) -> Node:
    """Volumes and the label for configuration by its name below config/: what changes there makes the container anew."""
    paths = [
        path for path in config if any(path == f"config/{name}" or path.startswith(f"config/{name}/") for name in names)
    ]
    digest = hashlib.sha256("".join(path + config[path].text for path in sorted(paths)).encode()).hexdigest()[:12]
    return {
        "labels": {"neurmatic.config": digest},
        "volumes": [f"./config/{name}:{CONFIG}/{name}:ro" for name in names],
    }


def image(among: Inside, service: str) -> Node:
    """The image of a service of the application: from the registry, or in development built from the sources."""
    name = among.containers.image_of(service) or service
    if among.stack.environment != "development":
        version = among.stack.release.version
        return {"image": f"${{REGISTRY:-{among.containers.registry}}}/{name}:${{VERSION:-{version}}}"}
    made_of = among.containers.images[name]
    stage = "development" if service in among.reload else "production"
    build: Node = {"context": "../..", "dockerfile": made_of.dockerfile, "target": stage}
    if made_of.args:
        build["args"] = list(made_of.args)
    return {"image": f"{among.stack.name}-{name}:{stage}", "build": build}


def mount(path: Path, *, writable: bool = False) -> str:
    """A folder of the host, at the same place in the container."""
    return f"{path}:{path}" + ("" if writable else ":ro")


def published(among: Inside, ports: Iterable[int]) -> list[str]:
    """Ports of a container that the host has as well, at the address that the edge is to listen on."""
    address = f"[{among.publish}]" if ":" in among.publish else among.publish
    return [f"{address}:{port}:{port}" for port in ports]


def literal(text: str) -> str:
    """A text that compose shall take as it is: it fills in what follows a dollar sign."""
    return text.replace("$", "$$")
