"""The peers: two processes each, on the platform's own database, behind an edge that is configured like the platform's."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from processes import await_answer, program, running
from stack import ROOT, Stack, write_queries

from neurmatic.hosts.processes import free_ports

FOLDER = ROOT / "bench" / "peers"
PROGRAMS = ROOT / "build" / "bench-venv" / "bin"
PROCESSES = 2  # as many as the platform has instances
HEALTH = "/api/v1/health"
GUNICORN = (
    f"{PROGRAMS}/gunicorn --worker-class gthread --workers 1 --threads {{pool}} --keep-alive 75 --log-level warning "
    "--bind 127.0.0.1:{port} app:application"
)
# The folder, and the command of one process; port and database come in the environment.
PEERS = {
    "limit": ("bare", f"{PROGRAMS}/python app.py"),
    "Express": ("express", "node app.js"),
    "Fastify": ("fastify", "node app.js"),
    "Django": ("django", GUNICORN),
}


@dataclass(frozen=True)
class Target:
    """What is measured: one process directly, all of them through an edge."""

    name: str
    direct: str
    edge: str


@contextmanager
def all_started(stack: Stack, folder: Path, say) -> Iterator[list[Target]]:
    """The platform and all peers, ready; the peers are gone at the end."""
    queries = folder / "queries.json"
    write_queries(queries)
    pool = stack.variable("DATABASE_POOL_SIZE")
    environment = {
        "PATH": os.environ["PATH"],
        "NODE_ENV": "production",
        "DATABASE_URL": stack.variable("DATABASE_URL"),
        "POOL_SIZE": pool,
        "QUERIES": str(queries),
    }
    targets = [Target("platform", f"http://127.0.0.1:{stack.ports[0]}", stack.edge)]
    with ExitStack() as stop:
        for name, (where, command) in PEERS.items():
            say(f"starting {name}")
            log = folder / f"{where}.log"
            base = free_ports(PROCESSES + 2)
            ports = range(base, base + PROCESSES)
            for port in ports:
                argv = [word.format(port=port, pool=pool) for word in command.split()]
                env = environment | {"PORT": str(port)}
                stop.enter_context(running(argv, log, cwd=FOLDER / where, env=env))
            for port in ports:
                await_answer(f"http://127.0.0.1:{port}{HEALTH}", log)
            edge = _edge(stop, stack, list(ports), folder / where)
            targets.append(Target(name, f"http://127.0.0.1:{base}", edge))
        yield targets


def _edge(stop: ExitStack, stack: Stack, ports: list[int], folder: Path):
    """Start an edge before these processes; returns its address."""
    https, http = ports[-1] + 1, ports[-1] + 2
    for part in ("nginx", "log"):
        (folder / part).mkdir(parents=True)
    config, log = folder / "nginx.conf", folder / "edge.log"
    config.write_text(_edge_config(stack, ports, (https, http), folder))
    # The platform's edge writes its access log through svlogd, which costs something; so do these.
    logger = stop.enter_context(running([program("svlogd"), folder / "log"], log, stdin=subprocess.PIPE))
    nginx = [program("nginx"), "-e", "stderr", "-c", config]
    stop.enter_context(running(nginx, log, stdout=logger.stdin))
    url = f"https://localhost:{https}"
    await_answer(url + HEALTH, log, stack.platform.ca)
    return url


def _edge_config(stack: Stack, ports: list[int], own_ports, folder: Path):
    """The platform's rendered edge, with these processes in place of its instances, and ports and folder of its own."""
    rendered = (stack.platform.state / "config" / "nginx" / "nginx.conf").read_text()
    changes = {
        f"server 127.0.0.1:{old} ": f"server 127.0.0.1:{new} " for old, new in zip(stack.ports, ports, strict=True)
    }
    changes |= {f":{old}": f":{new}" for old, new in zip(stack.edge_ports, own_ports, strict=True)}
    changes[f"{stack.platform.state}/run"] = str(folder)
    for old, new in changes.items():
        assert old in rendered, f"the edge's configuration has no {old!r} any more"
        rendered = rendered.replace(old, new)
    return rendered
