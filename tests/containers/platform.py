"""The repository's own stack as `docker compose` runs it from what `neurmatic render` wrote."""

import json
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

from containers.engine import ROOT, VERSION
from pebble import free_ports


class Platform:
    """One environment in a folder of its own, beside nothing else of its kind on this machine."""

    def __init__(self, engine, folder, environment, *, subnet, project=None):
        self.engine, self.environment = engine, environment
        self.project = project or folder / "project"
        self.folder = self.project / "deploy" / environment
        self.https, http, self.site_port = free_ports(3)
        self.name = f"neurmatic-test-{environment}"
        text = (ROOT / "neurmatic.toml").read_text()
        for before, after in (
            ("https_port = 8443", f"https_port = {self.https}"),
            ("http_port = 8080", f"http_port = {http}"),
            ('name = "neurmatic"', 'name = "neurmatic-test"'),
            ("port = 5173", f"port = {self.site_port}"),
        ):
            assert before in text
            text = text.replace(before, after, 1)
        self.project.mkdir(parents=True, exist_ok=True)
        file = self.project / "neurmatic.test.toml"
        file.write_text(_another_network(text, environment, f"10.201.{subnet * 16}.0/20"))
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        render = [sys.executable, "-m", "neurmatic", "render", "--runtime", "containers"]
        subprocess.run(
            [*render, "--file", file, "--environment", environment, self.folder], check=True, capture_output=True
        )
        subprocess.run([self.folder / "make-secrets"], check=True)

    def compose(self, *words, **options):
        env = self.engine.env | {"VERSION": VERSION}
        command = ["docker", "compose", "--file", self.folder / "compose.yaml", *words]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, **options)
        assert done.returncode == 0, done.stdout + done.stderr + self._logs(env)
        return done.stdout

    def _logs(self, env):
        command = ["docker", "compose", "--file", self.folder / "compose.yaml", "logs", "--tail", "20"]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False).stdout

    def up(self, *services):
        build = ["--build"] if self.environment == "development" else []
        self.compose("up", "--detach", "--wait", *build, *services, timeout=300)

    def down(self, *options):
        self.compose("down", "--timeout", "60", *options, timeout=200)

    def containers(self):
        """What the engine says of each container, by the name in the compose file."""
        found = self.engine.inspect(*self.compose("ps", "--all", "--quiet").split())
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in found}

    def running(self):
        return {name: one for name, one in self.containers().items() if one["State"]["Running"]}

    def execute(self, service, *words):
        return self.compose("exec", "--no-TTY", service, *words)

    def sql(self, query):
        password = (self.folder / "secrets" / "POSTGRES_PASSWORD").read_text()
        server = ["psql", "-h", "127.0.0.1", "-p", "8054", "-U", "neurmatic", "-d", "neurmatic", "-qAtc", query]
        return self.compose("exec", "--no-TTY", "--env", f"PGPASSWORD={password}", "postgres", *server).strip()

    def redis(self, *words):
        ask = 'REDISCLI_AUTH="$(cat /run/secrets/REDIS_PASSWORD)" exec redis-cli -p 8063 "$@"'
        return self.execute("redis", "sh", "-c", ask, "redis", *words).split()

    def get(self, path):
        """(status, text) of an answer of the edge, whose certificate is trusted and no other."""
        try:
            with self._open(path) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def header(self, path, name):
        with self._open(path) as answer:
            return answer.headers[name]

    def _open(self, path):
        context = ssl.create_default_context(cafile=str(self.folder / "secrets" / "edge.crt"))
        return urllib.request.urlopen(f"https://localhost:{self.https}{path}", context=context, timeout=10)

    def get_json(self, path):
        return json.loads(self.get(path)[1])

    def served_certificate(self):
        """PEM of what the edge shows now, trusted or not."""
        return ssl.get_server_certificate(("localhost", self.https))

    def secrets(self):
        return {file.name: file.read_text().strip() for file in (self.folder / "secrets").iterdir()}


def _another_network(text, environment, subnet):
    table = f"[environments.{environment}.containers]\n"
    line = f'subnet = "{subnet}"\n'
    if table not in text:
        return text + "\n" + table + line
    head, _, rest = text.partition(table)
    own, _, after = rest.partition("\n\n")
    kept = "".join(f"{one}\n" for one in own.splitlines() if not one.startswith("subnet"))
    return f"{head}{table}{line}{kept}\n{after}"
