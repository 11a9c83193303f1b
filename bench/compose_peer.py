"""Peers on the same images: `docker compose up -d` with another VERSION, and a hand-written script of docker compose and nginx."""

import ipaddress
import itertools
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from acts import Edge, measured
from by_hand import READY, SETTLE_SECONDS, await_ready, held_still, servers
from contained import PEERS_NETWORK, named, remove_images
from load import LIST
from stack import OPEN, ROOT, UNCACHED

from neurmatic.hosts.processes import command_line, free_ports, tree

NAME = "neurmatic-peer"
IMAGES = {"backend": "api", "frontend": "site", "edge": "edge"}
"""The images of the compose file, and a service of the platform that runs each."""
APPLICATION = ("api-1", "api-2", "worker-1", "site-1")
OLD, NEW = ("api-1", "api-2"), ("new-1", "new-2")
BESIDE = 32
"""So many addresses further: the other half of a service's."""
LIST_OF_API = "/neurmatic/run/upstreams/api.conf"


class ComposePeer:
    """deploy/production as `neurmatic render` writes it, with the platform's settings; each VERSION another name for the same images."""

    def __init__(self, engine, releases):
        """`releases`: what Contained.images says."""
        self.engine, self.releases = engine, releases
        self.numbers = itertools.count(1)
        self._keep()
        self.version = self._tagged()
        self.project = Path(tempfile.mkdtemp(prefix="neurmatic-peer-", dir="/var/tmp"))
        self.folder = self.project / "production"
        https = free_ports(2)
        text = named((ROOT / "neurmatic.toml").read_text(), NAME, PEERS_NETWORK) + OPEN + UNCACHED
        file = self.project / "neurmatic.toml"
        file.write_text(
            text.replace("_port = 8443", f"_port = {https}").replace("_port = 8080", f"_port = {https + 1}")
        )
        render = [Path(sys.executable).with_name("neurmatic"), "render", "--runtime", "containers", self.folder]
        subprocess.run([*render, "--file", file, "--environment", "production"], check=True, capture_output=True)
        subprocess.run([self.folder / "make-secrets"], check=True)
        self.edge = Edge(f"https://localhost:{https}", self.folder / "secrets" / "edge.crt")
        self.services = yaml.safe_load((self.folder / "compose.yaml").read_text())["services"]
        self._write_beside()

    def _keep(self):
        """Names of the images that stay, whatever becomes of the platform's own."""
        for number, release in enumerate(self.releases):
            for image, service in IMAGES.items():
                self.engine.run("image", "tag", release[service], f"{NAME}/{image}:release-{number}")

    def _tagged(self):
        """The next version: the images of one release and of the others, by turns."""
        number = next(self.numbers)
        for image in IMAGES:
            kept = f"{NAME}/{image}:release-{number % len(self.releases)}"
            self.engine.run("image", "tag", kept, f"{NAME}/{image}:{number}")
        return str(number)

    def next_version(self):
        self.version = self._tagged()

    def _write_beside(self):
        """A second pair of instances, as somebody would write it who wants to have both for a while."""
        beside = {}
        for old, new in zip(OLD, NEW, strict=True):
            node = {key: value for key, value in self.services[old].items() if key != "depends_on"}
            node["environment"] = node["environment"] | {"NEURMATIC_INSTANCE": new}
            beside[new] = node | {"networks": {"inside": {"ipv4_address": self.address(new)}}}
        (self.folder / "beside.yaml").write_text(yaml.safe_dump({"services": beside}, sort_keys=False))

    def address(self, name):
        if name in NEW:
            return str(ipaddress.ip_address(self.address(OLD[NEW.index(name)])) + BESIDE)
        return self.services[name]["networks"]["inside"]["ipv4_address"]

    def compose(self, *words, text=None, beside=False):
        files = ["compose.yaml", "beside.yaml"] if beside else ["compose.yaml"]
        given = [word for file in files for word in ("--file", self.folder / file)]
        env = os.environ | {"VERSION": self.version, "REGISTRY": NAME}
        command = ["docker", "compose", *given, *words]
        done = subprocess.run(command, env=env, input=text, capture_output=True, text=True, check=False, timeout=400)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def await_ready(self, names):
        for name in names:
            await_ready(f"http://{self.address(name)}:{self.services[OLD[0]]['environment']['PORT']}", path=READY)

    def start(self, say):
        say("starting the compose file without the tool")
        self.up()

    def up(self, *services):
        """Until the edge answers again: the command itself is back before."""
        self.compose("up", "--detach", *services)
        self.await_ready(OLD)
        tls = ssl.create_default_context(cafile=self.edge.ca)
        await_ready(self.edge.url, tls=tls, path=LIST)

    def pid(self, name):
        found = self.compose("ps", "--quiet", name).strip()
        return self.engine.inspect(found)[0]["State"]["Pid"]

    def guard(self):
        return next(pid for pid in tree(self.pid("edge")) if command_line(pid).endswith("-m guard /neurmatic"))

    def switch(self, text):
        self.compose("exec", "--no-TTY", "edge", "sh", "-c", f"cat >{LIST_OF_API}", text=text)
        self.compose("kill", "--signal", "HUP", "edge")

    def remove(self):
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "10")
        remove_images(self.engine, NAME)
        shutil.rmtree(self.project, ignore_errors=True)


@contextmanager
def made(engine, releases) -> Iterator[ComposePeer]:
    """It, not started yet; gone at the end."""
    peer = ComposePeer(engine, releases)
    try:
        yield peer
    finally:
        peer.remove()


def acts(peer: ComposePeer, n, say):
    """One round of the two peers."""
    ways = {
        "docker compose up -d, the edge left alone": lambda: peer.up(*APPLICATION),
        "docker compose up -d": peer.up,
    }
    for name, act in ways.items():
        say(f"{name}, round {n + 1}")
        peer.next_version()
        yield measured(peer.edge, name, act)
    say(f"the hand-written script of docker compose, round {n + 1}")
    peer.next_version()
    with _by_hand(peer) as script:
        yield measured(peer.edge, "limit: a hand-written script", script)


@contextmanager
def _by_hand(peer: ComposePeer) -> Iterator[Callable[[], None]]:
    """The script, for one run of it; afterwards the first pair serves again."""
    before = peer.compose("exec", "--no-TTY", "edge", "cat", LIST_OF_API)

    def script():
        peer.compose("up", "--detach", "--no-deps", *NEW, beside=True)
        peer.await_ready(NEW)
        peer.switch(servers(f"{peer.address(name)}:{peer.services[OLD[0]]['environment']['PORT']}" for name in NEW))
        time.sleep(SETTLE_SECONDS)
        peer.compose("stop", *OLD)

    with held_still(peer.guard()):
        yield script
        peer.compose("start", *OLD)
        peer.await_ready(OLD)
        peer.switch(before)
        time.sleep(SETTLE_SECONDS)
        peer.compose("rm", "--stop", "--force", *NEW, beside=True)
