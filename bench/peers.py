"""The peers: two processes each, on the platform's own database, behind an edge that is configured like the platform's."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edges import rendered
from processes import await_answer, running
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
            base = free_ports(PROCESSES)
            ports = range(base, base + PROCESSES)
            for port in ports:
                argv = [word.format(port=port, pool=pool) for word in command.split()]
                env = environment | {"PORT": str(port)}
                stop.enter_context(running(argv, log, cwd=FOLDER / where, env=env))
            for port in ports:
                await_answer(f"http://127.0.0.1:{port}{HEALTH}", log)
            edge = stop.enter_context(rendered(stack, folder / where, list(ports)))
            targets.append(Target(name, f"http://127.0.0.1:{base}", edge.url))
        yield targets
