"""A Docker engine for the tests: the one that runs, else one of their own, and what stands in for images from a registry.

Debian 12's docker.io has neither compose v2 nor buildx: Debian 13's run beside it, as plugins in a folder of the tests'.
"""

import json
import os
import shutil
import subprocess
import tempfile
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
    """The engine's command line; one that was started here is ended by `end`."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="nd-", dir="/var/tmp"))  # a socket's path has 107 bytes at most
        self.daemon = None
        self.env = os.environ | {"DOCKER_CONFIG": str(self.folder / "client"), "REGISTRY": REGISTRY}
        self.env |= {variable: f"{REGISTRY}/{name}:base" for name, variable in BASES.items()}
        self._add_plugins()
        if subprocess.run(["docker", "info"], env=self.env, capture_output=True, check=False).returncode != 0:
            self._start()

    def _add_plugins(self):
        tree = ROOT / "build" / "docker-plugins"
        subprocess.run([ROOT / "tests" / "fetch-newer", tree, "docker-compose", "docker-buildx"], check=True)
        shutil.copytree(tree / "usr/libexec/docker/cli-plugins", self.folder / "client" / "cli-plugins")

    def _start(self):
        # Already forwarding: otherwise the engine would forbid it to everybody but its own containers.
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        self.env["DOCKER_HOST"] = f"unix://{self.folder}/socket"
        command = ["dockerd", "--data-root", CACHE / "engine", "--exec-root", self.folder / "run"]
        command += ["--pidfile", self.folder / "pid", "--host", self.env["DOCKER_HOST"]]
        with (self.folder / "log").open("w") as log:
            self.daemon = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while subprocess.run(["docker", "info"], env=self.env, capture_output=True, check=False).returncode != 0:
            assert self.daemon.poll() is None and time.monotonic() < deadline, (self.folder / "log").read_text()[-3000:]
            time.sleep(0.2)

    def end(self):
        if self.daemon:
            self.daemon.terminate()
            self.daemon.wait(60)
            subprocess.run(["ip", "link", "delete", "docker0"], check=False)  # it leaves its bridge behind
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


def _args(dockerfile):
    return {
        line.split()[1].partition("=")[0]
        for line in (ROOT / dockerfile).read_text().splitlines()
        if line.startswith("ARG ")
    }


def _said(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
