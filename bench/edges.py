"""Edges of the benchmark's own: the platform's rendered configuration with other instances or one feature less, and plain nginx."""

import os
import re
import shutil
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from processes import await_answer, program, running
from stack import Stack

from neurmatic.hosts.processes import free_ports, tree
from neurmatic.render.runit import LOG_BUFFER

HEALTH = "/api/v1/health"
CONFIG = "config/nginx"
LOGGED = re.compile(r'"status":(\d+),.*?"protocol":"([^"]*)".*?"cache":"([^"]*)"')
FLUSH_SECONDS = 0.4  # the edge keeps lines back for half of that
SVLOGD_BYTES = 1_000_000_000  # nothing is rotated away before it was read
# h2load opens no second connection when one has been used up.
ENDURING = (r"keepalive_requests \d+;", "keepalive_requests 1000000;")
PLAIN = """
daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    default_type application/json;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    access_log {log};
    ssl_certificate {certificate};
    ssl_certificate_key {certificate};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:tls:50m;
    server {{
        listen 127.0.0.1:{https} ssl http2;
        root {folder}/site;
    }}
    server {{
        listen 127.0.0.1:{control};
        location = /status {{ stub_status; }}
    }}
}}
"""


@dataclass(frozen=True)
class Server:
    """Who is asked: a running nginx and what it says of itself, or an instance, which says nothing."""

    url: str
    control: int | None = None
    master: int | None = None
    log: Path | None = None
    logger: int | None = None

    def cpu_seconds(self):
        """CPU time of the workers so far."""
        if not self.master:
            return 0.0
        return sum(_cpu_seconds(pid) for pid in tree(self.master)[1:])

    def pids(self):
        """Its processes."""
        return [*(tree(self.master) if self.master else []), *([self.logger] if self.logger else [])]

    def logger_seconds(self):
        """CPU time of whoever writes the access log."""
        return _cpu_seconds(self.logger) if self.logger else 0.0

    def requests(self):
        """How many requests it has had, by its own count; this question is one of them."""
        if not self.control:
            return None
        with urllib.request.urlopen(f"http://127.0.0.1:{self.control}/status", timeout=5) as answer:
            return int(answer.read().split()[9])

    def logged(self):
        """Answers in the access log since the last look: how many of each (status, protocol, cache)."""
        if not self.log:
            return None
        time.sleep(FLUSH_SECONDS)
        seen = Counter(LOGGED.findall(self.log.read_text(errors="replace")))
        os.truncate(self.log, 0)
        return seen


def _cpu_seconds(pid):
    """The kernel's own nanoseconds; utime and stime in /proc/PID/stat are the same in steps of 10 ms."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


@contextmanager
def rendered(stack: Stack, folder: Path, ports: list[int], changes=()) -> Iterator[Server]:
    """The platform's rendered edge before these processes, on ports and in a folder of its own.

    Changes are pairs of an expression and what is put in its place, wherever it fits in the configuration.
    """
    own = free_ports(3)
    own_ports = [own, own + 1, own + 2]
    for part in ("nginx", "log", "upstreams"):
        (folder / part).mkdir(parents=True)
    _write_config(stack, folder, own_ports, changes)
    _write_upstreams(stack, folder, ports)
    (folder / "log" / "config").write_text(f"s{SVLOGD_BYTES}\n")
    log = folder / "edge.log"
    with ExitStack() as stop:
        # The platform's edge writes its access log through svlogd, which costs something; so do these.
        logger = stop.enter_context(
            running([program("svlogd"), "-b", str(LOG_BUFFER), "-r", "?", folder / "log"], log, stdin=subprocess.PIPE)
        )
        argv = [program("nginx"), "-e", "stderr", "-c", folder / CONFIG / "nginx.conf"]
        nginx = stop.enter_context(running(argv, log, stdout=logger.stdin))
        url = f"https://localhost:{own}"
        await_answer(url + HEALTH, log, stack.platform.ca)
        logs = not any("access_log" in old for old, _ in changes)
        yield Server(url, own_ports[2], nginx.pid, folder / "log" / "current" if logs else None, logger.pid)


def _write_config(stack: Stack, folder: Path, own_ports, changes):
    state = stack.platform.state
    shutil.copytree(state / CONFIG, folder / CONFIG)
    own = [(f"{state}/{part}", f"{folder}/{new}") for part, new in ((CONFIG, CONFIG), ("run/upstreams", "upstreams"))]
    own += [(f"{state}/run", str(folder))]
    own += [(f":{old}", f":{new}") for old, new in zip(stack.edge_ports, own_ports, strict=True)]
    changes = [*((re.escape(old), new) for old, new in own), ENDURING, *changes]
    paths = [path for path in (folder / CONFIG).rglob("*") if path.is_file()]
    texts = {path: path.read_text() for path in paths}
    for old, new in changes:
        assert any(re.search(old, text) for text in texts.values()), f"the edge's configuration has no {old!r} any more"
        texts = {path: re.sub(old, new, text) for path, text in texts.items()}
    for path, text in texts.items():
        path.write_text(text)


def _write_upstreams(stack: Stack, folder: Path, ports):
    """The guard's lists of the platform's instances, with these in their place; beyond them nobody."""
    for path in (stack.layout.upstreams).glob("*.conf"):
        lines = path.read_text().splitlines()
        renamed = [
            line.replace(f":{old} ", f":{new} ") for line, old, new in zip(lines, stack.ports, ports, strict=False)
        ]
        (folder / "upstreams" / path.name).write_text("\n".join(renamed) + "\n")


@contextmanager
def plain(stack: Stack, folder: Path, path: str, body: bytes, *, logs: bool) -> Iterator[Server]:
    """nginx with TLS, as many workers, this body in a file; nothing limited, added or decided.

    Its access log is as nginx comes: a line for each request into a file. Without it, it is as fast as it can be.
    """
    own = free_ports(2)
    file = folder / "site" / path.lstrip("/")
    file.parent.mkdir(parents=True)
    file.write_bytes(body)
    config, log, access = folder / "nginx.conf", folder / "nginx.log", folder / "access.log"
    places = {"folder": folder, "certificate": stack.layout.certificate, "log": access if logs else "off"}
    config.write_text(PLAIN.format(**places, https=own, control=own + 1))
    with running([program("nginx"), "-e", "stderr", "-c", config], log) as nginx:
        url = f"https://localhost:{own}"
        await_answer(url + path, log, stack.platform.ca)
        yield Server(url, own + 1, nginx.pid)
