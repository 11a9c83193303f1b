"""Applications that nobody here wrote, as containers: from `init --dockerfile` to a rollback, one from PyPI, one from npm."""

import json
import re
import ssl
import subprocess
import urllib.request

import pytest
from small_stack import StackDir

from neurmatic.probes.load import Background, Load

PYTHON = (
    *("--release", "requirements.txt", "--health", "/-/versions.json"),
    *("--build", "python3 -m venv venv"),
    *("--build", "venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt"),
    *("--command", "venv/bin/datasette --host $LISTEN_ADDRESS --port $PORT"),
)
NODE = (
    *("--release", "package.json", "--release", "public"),
    *("--build", "npm install --silent --no-audit --no-fund"),
    *("--command", "node node_modules/http-server/bin/http-server public -a $LISTEN_ADDRESS -p $PORT -s"),
)


class Theirs(StackDir):
    """A project of somebody else's, run as containers by the tests' engine."""

    def __init__(self, engine, name, subnet):
        super().__init__()
        self.file.unlink()
        self.name, self.subnet = name, subnet
        self.engine = engine
        self.env = engine.env | {"REGISTRY": "localhost"}

    def begin(self, base, *words):
        self.run("init", "--name", self.name, "--dockerfile", base, *words)
        text = re.sub(r'subnet = ".*"', f'subnet = "{self.subnet}"', self.file.read_text())
        self.file.write_text(text)
        self.url = f"https://localhost:{re.search(r'https_port = ([0-9]+)', text)[1]}"
        self.run("up", "--runtime", "containers")

    def run(self, *words, code=0, **_):
        done = subprocess.run(
            self.command(*words),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
            env=self.env,
        )
        assert done.returncode == code, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def page(self, path):
        with urllib.request.urlopen(
            self.url + path, context=ssl.create_default_context(cafile=self.roots), timeout=10
        ) as answer:
            return answer.read().decode()

    def rolled(self, path, *words):
        """What became of a deploy or a rollback; nobody who asked for this path meanwhile saw an error."""
        with Background(Load(self.url + path, rate=20, seconds=300, ca=self.roots, address="127.0.0.1")) as load:
            said = json.loads(self.run(*words, "--json"))
        assert not load.ledger.failed, load.ledger.failed[:3]
        assert len(load.ledger.entries) > 50
        assert said["measured"]["failed"] == 0 < said["measured"]["requests"]
        return said

    def containers(self):
        label = f"label=com.docker.compose.project={self.name}-development"
        return self.engine.run("ps", "--all", "--quiet", "--filter", label).stdout.split()


@pytest.fixture
def theirs(engine, request):
    one = Theirs(engine, f"theirs-{request.param}", f"10.20{request.param}.0.0/20")
    yield one
    if one.file.exists():
        one.run("down", "--purge", "--yes", "--backups")
    assert one.containers() == []
    one.remove()


@pytest.mark.parametrize("theirs", [2], indirect=True)
def test_an_application_from_pypi(theirs, engine):
    requirements = theirs.folder / "requirements.txt"
    requirements.write_text("datasette==0.64.8\nsetuptools<81\n")
    theirs.begin(engine.env["PYTHON_IMAGE"], *PYTHON)
    assert version(theirs) == "0.64.8"
    requirements.write_text("datasette==0.65.1\nsetuptools<81\n")
    deployed = theirs.rolled("/-/versions.json", "deploy")
    assert version(theirs) == "0.65.1"
    back = theirs.rolled("/-/versions.json", "rollback")
    assert version(theirs) == "0.64.8"
    assert (back["release"], back["before"]) == (deployed["before"], deployed["release"])


@pytest.mark.parametrize("theirs", [3], indirect=True)
def test_an_application_from_npm(theirs, engine):
    package, page = theirs.folder / "package.json", theirs.folder / "public" / "index.html"
    page.parent.mkdir()
    page.write_text("one")
    package.write_text(json.dumps({"name": "theirs", "version": "1.0.0", "dependencies": {"http-server": "14.1.0"}}))
    theirs.begin(engine.env["NODE_IMAGE"], *NODE)
    assert theirs.page("/") == "one"
    page.write_text("two")
    theirs.rolled("/", "deploy")
    assert theirs.page("/") == "two"
    theirs.rolled("/", "rollback")
    assert theirs.page("/") == "one"
    theirs.run("verify", "image.non-root", "image.health", "image.multi-stage")


def version(theirs):
    return json.loads(theirs.page("/-/versions.json"))["datasette"]["version"]
