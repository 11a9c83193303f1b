"""A Docker engine for the tests: the one that runs, else one of their own, and what stands in for images from a registry.

One of their own is this checkout's: suites that run at the same time share it, and what was built in it stays for the next run.

Debian 12's docker.io has neither compose v2 nor buildx: Debian 13's run beside it, as plugins in a folder of the tests'.
"""

import contextlib
import fcntl
import hashlib
import ipaddress
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "containers"
REGISTRY = "neurmatic-test"
BASES = {
    "python": "PYTHON_IMAGE",
    "debian": "DEBIAN_IMAGE",
    "node": "NODE_IMAGE",
    "nginx": "NGINX_IMAGE",
    "postgres": "POSTGRES_IMAGE",
    "redis": "REDIS_IMAGE",
}
"""Stages of bases.Dockerfile, and the variables by which Dockerfiles and compose files are told of another base."""
IMAGES = {
    "backend": "backend/Dockerfile",
    "frontend": "frontend/Dockerfile",
    "edge": "deploy/images/edge/Dockerfile",
}
VERSION, REVISION = "7.8.9", "0123456789abcdef"


class Engine:
    """The engine's command line, and the engine: the first suite that needs one of its own starts it, the last one ends it."""

    def __init__(self):
        CACHE.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
        self.folder = Path("/var/tmp") / f"nd-{digest}"  # a socket's path has 107 bytes at most
        self.bridge = f"nd-{digest}"
        self.env = os.environ | {"DOCKER_CONFIG": str(self.folder / "client"), "REGISTRY": REGISTRY}
        self.env |= {variable: f"{REGISTRY}/{name}:base" for name, variable in BASES.items()}
        self.users = (CACHE / "users").open(
            "w"
        )  # whoever uses the engine holds a lock on it, and so does nobody who is gone
        with _alone():
            self._add_plugins()
            if not self._answers():
                self.env["DOCKER_HOST"] = f"unix://{self.folder}/socket"
                if not self._answers():
                    self._start()
                if self._is_nobody_elses():
                    self._clear()
            fcntl.flock(self.users, fcntl.LOCK_SH)

    def _answers(self):
        return subprocess.run(["docker", "info"], env=self.env, capture_output=True, check=False).returncode == 0

    def _is_nobody_elses(self):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(self.users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    def _clear(self):
        """Remove what suites that were killed have left; images stay."""
        if ids := self.run("ps", "--all", "--quiet").stdout.split():
            self.run("rm", "--force", "--volumes", *ids)
        for what in ("network", "volume"):
            self.run(what, "prune", "--force")

    def _add_plugins(self):
        tree = ROOT / "build" / "docker-plugins"
        subprocess.run([ROOT / "tests" / "fetch-newer", tree, "docker-compose", "docker-buildx"], check=True)
        target = self.folder / "client" / "cli-plugins"
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():  # another suite may be running them
            target.symlink_to(tree / "usr/libexec/docker/cli-plugins")

    def _start(self):
        # Already forwarding: otherwise the engine would forbid it to everybody but its own containers.
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        self._add_bridge()
        command = ["dockerd", "--data-root", CACHE / "engine", "--exec-root", self.folder / "run"]
        # What was built stays: a layer that is forgotten and built again makes another image of the same files.
        config = self.folder / "daemon.json"
        config.write_text(json.dumps({"builder": {"gc": {"enabled": False}}}))
        command += ["--config-file", config, "--pidfile", self.folder / "pid"]
        command += ["--host", self.env["DOCKER_HOST"], "--bridge", self.bridge]
        deadline = time.monotonic() + 120
        daemon = None
        with (self.folder / "log").open("w") as log:
            while not self._answers():
                assert time.monotonic() < deadline, (self.folder / "log").read_text()[-3000:]
                if not daemon or daemon.poll() is not None:  # on a busy machine it gives its own parts too little time
                    daemon = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
                time.sleep(0.2)

    def _add_bridge(self):
        """One of its own: docker0 is another engine's, of this machine or of another checkout's tests."""
        subprocess.run(["ip", "link", "delete", self.bridge], check=False, capture_output=True)
        taken = [
            ipaddress.ip_network(words[3], strict=False)
            for words in map(str.split, _said("ip", "-4", "-o", "addr").splitlines())
        ]
        pool = ipaddress.ip_network("10.210.0.0/16").subnets(new_prefix=24)
        network = next(one for one in pool if not any(one.overlaps(other) for other in taken))
        subprocess.run(["ip", "link", "add", self.bridge, "type", "bridge"], check=True)
        subprocess.run(["ip", "address", "add", f"{network[1]}/24", "dev", self.bridge], check=True)
        subprocess.run(["ip", "link", "set", self.bridge, "up"], check=True)

    def end(self):
        with _alone():
            fcntl.flock(self.users, fcntl.LOCK_UN)
            if self._is_nobody_elses():
                self._stop()
            self.users.close()

    def _stop(self):
        pid = self.folder / "pid"
        if pid.exists():
            self._clear()  # else it waits for each to end
            os.kill(int(pid.read_text()), signal.SIGTERM)
            deadline = time.monotonic() + 60
            while pid.exists():  # it removes the file when all has ended
                assert time.monotonic() < deadline
                time.sleep(0.1)
            subprocess.run(["ip", "link", "delete", self.bridge], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *words, check=True, **options):
        command = ["docker", *map(str, words)]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False, **options)
        assert done.returncode == 0 or not check, f"docker {' '.join(map(str, words))}\n{done.stdout}\n{done.stderr}"
        return done

    def inspect(self, *names):
        return json.loads(self.run("inspect", *names).stdout)

    def build(self, dockerfile, tag, context, *options):
        self.run("buildx", "build", "--load", "--file", dockerfile, "--tag", tag, *options, context)

    def image(self, name, target="production", **args):
        """The tag of one of the product's images, built from the sources as they are."""
        args |= {"VERSION": VERSION, "REVISION": REVISION}
        args |= {variable: self.env[variable] for variable in BASES.values() if variable in _args(IMAGES[name])}
        digest = "".join(
            f"-{value.strip('/').replace('/', '.')}" for key, value in args.items() if key.startswith("VITE")
        )
        tag = f"{REGISTRY}/{name}:{VERSION if target == 'production' else target}{digest}"
        options = [word for key, value in args.items() for word in ("--build-arg", f"{key}={value}")]
        self.build(ROOT / IMAGES[name], tag, ROOT, "--target", target, *options)
        return tag

    def make_bases(self):
        """Images for what the Dockerfiles and compose files take from a registry elsewhere."""
        with _alone():
            self._make_bases()

    def _make_bases(self):
        tarball = CACHE / "base-root.tar"
        subprocess.run([ROOT / "tests" / "containers" / "base-root", tarball], check=True)
        root = f"{REGISTRY}/root:base"
        if self.run("image", "inspect", root, check=False).returncode:
            self.run("import", tarball, root)
        context = self._base_context()
        for name in BASES:
            dockerfile = ROOT / "tests" / "containers" / "bases.Dockerfile"
            tag = f"{REGISTRY}/{name}:base"
            self.build(dockerfile, tag, context, "--build-arg", f"ROOT={root}", "--target", name)

    def _base_context(self):
        """This machine's CA bundle, and the Node that the repository builds its site with."""
        folder = CACHE / "bases"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile("/etc/ssl/certs/ca-certificates.crt", folder / "ca-certificates.crt")
        if not (folder / "npm").exists():
            shutil.copy(_said("node", "-p", "process.execPath"), folder / "node")
            shutil.copytree(Path(_said("npm", "root", "-g")) / "npm", folder / "npm", symlinks=True)
        return folder


@contextlib.contextmanager
def started_engine():
    """It, with the images that others are built from."""
    one = Engine()
    try:
        one.make_bases()
        yield one
    finally:
        one.end()


@contextlib.contextmanager
def _alone():
    """No other suite starts, fills or ends the engine meanwhile."""
    with (CACHE / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _args(dockerfile):
    return {
        line.split()[1].partition("=")[0]
        for line in (ROOT / dockerfile).read_text().splitlines()
        if line.startswith("ARG ")
    }


def _said(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
