"""Servers and processes that the platform's tests start, break and end."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

BIN = Path(sys.executable).parent
POSTGRES = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
UNPRIVILEGED = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(done, seconds=20, what="it"):
    """Ask until it is true; returns what it said."""
    until = time.monotonic() + seconds
    while not (result := done()):
        assert time.monotonic() < until, f"{what} did not happen within {seconds} s"
        time.sleep(0.05)
    return result


class Server:
    """A process that can be stopped in every way, and its port."""

    def __init__(self, argv, port, folder):
        self.argv, self.port, self.folder = argv, port, folder
        self.process = None

    def start(self):
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(self.argv, stdout=log, stderr=log, cwd=self.folder)
        wait_for(self.listens, what=self.argv[-1])
        return self

    def listens(self):
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def tree(self):
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=False
        )
        return [self.process.pid, *map(int, children.stdout.split())]

    def send(self, number):
        for pid in self.tree():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def stop(self, number=signal.SIGINT):
        if self.process and self.process.poll() is None:
            self.send(signal.SIGCONT)
            self.process.send_signal(number)
            self.process.wait(20)


def make_postgres(folder):
    port = free_port()
    folder.mkdir(mode=0o700)
    if UNPRIVILEGED:
        shutil.chown(folder, "nobody", "nogroup")
    data = folder / "data"
    subprocess.run(
        [*UNPRIVILEGED, POSTGRES / "initdb", "-D", data, "-U", "platform", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"],
        check=True, capture_output=True, cwd=folder,
    )  # fmt: skip
    options = [
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        "unix_socket_directories=",
        "-c",
        "fsync=off",
        "-c",
        f"port={port}",
    ]
    server = Server([*UNPRIVILEGED, POSTGRES / "postgres", "-D", data, *options], port, folder).start()
    wait_for(
        lambda: (
            subprocess.run([POSTGRES / "pg_isready", "-qh", "127.0.0.1", "-p", str(port)], check=False).returncode == 0
        )
    )
    return server


def make_redis(folder):
    port = free_port()
    folder.mkdir(mode=0o700)
    return Server(["redis-server", "--port", str(port), "--save", "", "--bind", "127.0.0.1"], port, folder).start()


def database_url(server, name="postgres"):
    return f"postgresql://platform@127.0.0.1:{server.port}/{name}"


class Process:
    """A process of the platform on a port of its own."""

    def __init__(self, command, env):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api/v1"
        self.process = subprocess.Popen(
            [BIN / "neurmatic-backend", command],
            env=env | {"PORT": str(self.port)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def get(self, path, **kwargs):
        return httpx.get(self.url + path, timeout=20, **kwargs)

    def status(self, path):
        try:
            return self.get(path).status_code
        except httpx.HTTPError:
            return 0

    def ready(self):
        wait_for(lambda: self.status("/health/ready") == 200, what="readiness")
        return self

    def end(self, number=signal.SIGTERM):
        """Its exit code and all it wrote."""
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=40)
        return self.process.returncode, output
