"""This repository's own stack as containers in production, started by the tool from a copy of the sources."""

import json
import re
import ssl
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from containers.contained import told_of
from containers.engine import ROOT
from pebble import free_ports

NEURMATIC = Path(sys.executable).with_name("neurmatic")
PARTS = ("backend/", "frontend/", "guide/", "requirements/", "deploy/images/", ".dockerignore", "neurmatic.toml")


class Live:
    """It, in a repository of its own, with a state folder beside the sources."""

    def __init__(self, engine, subnet, name="live"):
        self.engine = engine
        self.project = Path(tempfile.mkdtemp(prefix="live-", dir="/var/tmp"))
        self.project.chmod(0o755)
        self.state = self.project / ".neurmatic"
        self.name = f"{name}-production"
        self.https, http = free_ports(2)
        self.url = f"https://localhost:{self.https}"
        self.roots = self.state / "tls" / "ca.pem"
        copy_sources(self.project)
        file = self.project / "neurmatic.toml"
        text = file.read_text()
        for before, after in (
            ('name = "neurmatic"\n', f'name = "{name}"\nenvironment = "production"\n'),
            ("https_port = 8443", f"https_port = {self.https}"),
            ("http_port = 8080", f"http_port = {http}"),
            ('subnet = "172.31.224.0/20"', f'subnet = "{subnet}"'),
            ("\n[backup]\n", "\n[deploy]\nwatch = 1\n\n[backup]\n"),
        ):
            assert before in text
            text = text.replace(before, after, 1)
        file.write_text(text)
        self.git("init", "--quiet")
        (self.project / ".gitignore").write_text(".neurmatic/\n")
        self.commit()

    def git(self, *words):
        who = ["-c", "user.name=Tests", "-c", "user.email=tests@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *words], cwd=self.project, check=True, capture_output=True)

    def commit(self):
        """Everything as it is, even if that is nothing new."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "as it is")

    def another_release(self, title):
        """Let the sources make another release: an article whose title says so."""
        article = self.project / "guide" / "live.md"
        article.write_text(f"---\ntitle: {title}\nstatus: published\ntags: [live]\n---\nText.\n")

    def command(self, *words):
        return told_of(self.engine, [str(NEURMATIC), *words])

    def run(self, *words, code=0):
        done = subprocess.run(
            self.command(*words), cwd=self.project, capture_output=True, text=True, check=False, timeout=400
        )
        assert done.returncode == code, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def json(self, *words):
        return json.loads(self.run(*words, "--json"))

    def rows(self):
        """Of `status`, by instance; whether all is well, too."""
        done = subprocess.run(
            self.command("status", "--json"), cwd=self.project, capture_output=True, text=True, check=False
        )
        assert done.returncode in (0, 1), done.stderr
        return {row["instance"]: row for row in json.loads(done.stdout)["services"]}

    def processes(self):
        return {name: row["pid"] for name, row in self.rows().items()}

    def containers(self):
        """What the engine says of each, by its instance."""
        label = f"label=com.docker.compose.project={self.name}"
        ids = self.engine.run("ps", "--all", "--quiet", "--filter", label).stdout.split()
        found = self.engine.inspect(*ids) if ids else []
        return {one["Name"].removeprefix(f"/{self.name}-"): one for one in found}

    def execute(self, name, *words):
        return self.engine.run("exec", f"{self.name}-{name}", *words).stdout

    def address(self, name):
        return self.containers()[name]["NetworkSettings"]["Networks"][f"{self.name}_inside"]["IPAddress"]

    def secrets(self):
        lines = (self.state / "secrets.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))

    def sql(self, query):
        """What the server answers its superuser, asked from outside."""
        password = self.secrets()["POSTGRES_SUPERUSER_PASSWORD"]
        psql = [
            "psql",
            "-h",
            self.address("postgres"),
            "-p",
            "8054",
            "-U",
            "postgres",
            "-d",
            "neurmatic",
            "-qAtc",
            query,
        ]
        done = subprocess.run(psql, env={"PGPASSWORD": password}, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def redis(self, *words):
        ask = ["redis-cli", "-h", self.address("redis"), "-p", "8063", *words]
        auth = {"REDISCLI_AUTH": self.secrets()["REDIS_PASSWORD"]}
        return subprocess.run(ask, env=auth, capture_output=True, text=True, check=True).stdout.split()

    def get(self, path):
        with self._open(path) as answer:
            return answer.read().decode()

    def header(self, path, name):
        with self._open(path) as answer:
            return answer.headers[name]

    def _open(self, path):
        tls = ssl.create_default_context(cafile=self.roots)
        return urllib.request.urlopen(self.url + path, context=tls, timeout=10)

    def left(self):
        """What the engine has of it by its name: containers, networks, volumes, images."""
        found = []
        for what in ("container", "network", "volume"):
            said = self.engine.run(what, "ls", *(["--all"] if what == "container" else []), "--format", "json").stdout
            found += [f"{what} {line}" for line in said.splitlines() if self.name in line]
        images = self.engine.run("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()
        return found + [f"image {image}" for image in images if re.match(rf"{self.name}/", image)]


def copy_sources(folder):
    """What the images are built from, as it lies here, committed or not."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    names = [name for name in listed.stdout.decode().split("\0") if name.startswith(PARTS) and (ROOT / name).exists()]
    copy = subprocess.run(["tar", "-c", *names], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x"], cwd=folder, input=copy, check=True)
