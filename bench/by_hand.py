"""The limit: start new instances, wait until they are ready, switch nginx, stop the old ones - as short as it can be written.

No check, no record, no migration, no way back. The guard is held still meanwhile: it would put its own instances back.
"""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from processes import program, running
from stack import Stack

NEW_PORTS = (4, 5)
"""Offsets in the pool: beside the first ports of the pool, which the platform's first instances have."""
READY = "/api/v1/health/ready"
READY_SECONDS = 60
SETTLE_SECONDS = 0.5
STOP_SECONDS = 30


@contextmanager
def native(stack: Stack) -> Iterator[Callable[[], None]]:
    """The script, for one run of it; afterwards what served before serves again."""
    rows = stack.platform.json("status")["services"]
    old = [row for row in rows if row["service"] == "api"]
    first = min(_port(row) for row in old) // 100 * 100
    ports = [first + offset for offset in NEW_PORTS]
    listed = stack.layout.upstream("api")
    before = listed.read_text()
    nginx = stack.pid("edge")
    folders = [stack.layout.service(row["instance"]) for row in old]

    def switch(text):
        listed.write_text(text)
        os.kill(nginx, signal.SIGHUP)
        time.sleep(SETTLE_SECONDS)

    with ExitStack() as new, held_still(stack.pid("guard")):

        def script():
            for port in ports:
                new.enter_context(_instance(stack, folders[0], port))
            for port in ports:
                await_ready(f"http://127.0.0.1:{port}")
            switch(servers(f"127.0.0.1:{port}" for port in ports))
            _sv("down", folders)

        yield script
        _sv("up", folders)
        for row in old:
            await_ready(f"http://{row['address']}")
        switch(before)


@contextmanager
def held_still(pid) -> Iterator[None]:
    """A process that does nothing meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def servers(addresses):
    """Nginx's list of these."""
    return "".join(f"server {one} max_fails=1 fail_timeout=1s;\n" for one in addresses)


def await_ready(base, tls=None, path=READY):
    """Wait until it answers with 2xx; ends the benchmark when it doesn't."""
    until = time.monotonic() + READY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(base + path, timeout=2, context=tls):
                return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > until:
                sys.exit(f"bench: {base}{path} did not become ready: {error}")
            time.sleep(0.05)


def _port(row):
    return int(row["address"].rpartition(":")[2])


def _instance(stack, folder, port):
    release = stack.platform.state / "releases" / stack.platform.json("status")["release"]
    env = {path.name: path.read_text().rstrip("\n") for path in (folder / "env").iterdir()}
    env |= {"PORT": str(port), "NEURMATIC_INSTANCE": f"new-{port}"}
    command = [release / "venv/bin/neurmatic-backend", "serve"]
    return running(command, stack.platform.state / f"new-{port}.log", cwd=release, env=env)


def _sv(verb, folders):
    subprocess.run([program("sv"), "-w", str(STOP_SECONDS), verb, *folders], check=True, capture_output=True)
