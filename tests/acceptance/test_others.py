"""Applications that nobody here wrote, from `init` to a rollback: one from PyPI, one from npm."""

import json
import re
import ssl
import urllib.request

import pytest

from neurmatic.probes.load import Background, Load

PYTHON = (
    *("--release", "requirements.txt", "--health", "/-/versions.json"),
    *("--build", "uv venv --quiet --no-project --python-preference only-system venv"),
    *("--build", "uv pip install --quiet --python venv/bin/python -r requirements.txt"),
    *("--command", "venv/bin/datasette --port $PORT"),
)
NODE = (
    *("--release", "package.json", "--release", "public"),
    *("--build", "npm install --silent --no-audit --no-fund"),
    *("--command", "node node_modules/http-server/bin/http-server public -a 127.0.0.1 -p $PORT -s"),
)


@pytest.fixture
def theirs(make_stack):
    """A project of somebody else's; nothing is in it yet."""
    stack = make_stack()
    stack.file.unlink()

    def begin(*words):
        stack.run("init", "--name", "theirs", *words)
        stack.edit('name = "theirs"', 'name = "theirs"\nuser = "nobody"')
        found = re.search(r"https_port = (\d+)", stack.file.read_text())
        stack.url = f"https://localhost:{found[1]}"
        stack.run("up")
        return stack

    return stack, begin


def ask(stack, path):
    tls = ssl.create_default_context(cafile=stack.roots)
    with urllib.request.urlopen(stack.url + path, context=tls, timeout=10) as answer:
        return answer.read().decode()


def rolled(stack, path, *words):
    """What became of a deploy or a rollback; nobody who asked for this path meanwhile saw an error."""
    with Background(Load(stack.url + path, rate=50, seconds=300, ca=stack.roots, address="127.0.0.1")) as load:
        said = json.loads(stack.run(*words, "--json"))
    assert not load.ledger.failed, load.ledger.failed[:3]
    assert len(load.ledger.entries) > 100
    assert said["measured"]["failed"] == 0 < said["measured"]["requests"]
    return said


def test_an_application_from_pypi(theirs):
    stack, begin = theirs
    requirements = stack.folder / "requirements.txt"
    requirements.write_text("datasette==0.64.8\nsetuptools<81\n")
    begin(*PYTHON)
    version = json.loads(ask(stack, "/-/versions.json"))["datasette"]["version"]
    assert version == "0.64.8"
    requirements.write_text("datasette==0.65.1\nsetuptools<81\n")
    deployed = rolled(stack, "/-/versions.json", "deploy")
    assert json.loads(ask(stack, "/-/versions.json"))["datasette"]["version"] == "0.65.1"
    back = rolled(stack, "/-/versions.json", "rollback")
    assert json.loads(ask(stack, "/-/versions.json"))["datasette"]["version"] == "0.64.8"
    assert (back["release"], back["before"]) == (deployed["before"], deployed["release"])


def test_an_application_from_npm(theirs):
    stack, begin = theirs
    package = stack.folder / "package.json"
    page = stack.folder / "public" / "index.html"
    page.parent.mkdir()
    page.write_text("one")
    package.write_text(json.dumps({"name": "theirs", "version": "1.0.0", "dependencies": {"http-server": "14.1.0"}}))
    begin(*NODE)
    assert ask(stack, "/") == "one"
    package.write_text(package.read_text().replace("14.1.0", "14.1.1"))
    page.write_text("two")
    rolled(stack, "/", "deploy")
    assert ask(stack, "/") == "two"
    stack.run("scale", "app=4")
    rolled(stack, "/", "rollback")
    assert ask(stack, "/") == "one"
    assert len([name for name in stack.status() if name.startswith("app-")]) == 4
