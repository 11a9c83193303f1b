"""One server for the whole suite, made fresh, with the tool brought there by the command that an operator types."""

import itertools
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from server import Operator, Second, Server
from small_stack import StackDir


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="a root file system of its own needs root"))


@pytest.fixture(scope="session")
def bare():
    server = Server()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def bootstrapped(bare):
    """The server with the tool, and what bootstrap said."""
    with tempfile.TemporaryDirectory() as folder:
        yield bare, Operator(bare, folder).run("bootstrap", "server")


@pytest.fixture(scope="module")
def second(bootstrapped):
    """Another server with the tool, in a network of its own."""
    server = Second(bootstrapped[0])
    yield server
    server.remove()


@pytest.fixture
def anywhere(bootstrapped, tmp_path):
    """An operator in a folder with no project."""
    return Operator(bootstrapped[0], tmp_path)


@pytest.fixture(scope="module")
def shop(bootstrapped):
    """An operator in a project that is up on the server, where it is called `demo`."""
    stack = StackDir()
    operator = Operator(bootstrapped[0], stack.folder)
    operator.stack = stack
    operator.original = stack.file.read_text() + '[release]\nfiles = ["demo_app.py"]\n'
    stack.file.write_text(operator.original)
    operator.said = operator.run("-H", "server", "up")
    yield operator
    operator.run("-H", "server", "down", "--purge", "--yes")
    shutil.rmtree(stack.folder)


NUMBERS = itertools.count(1)


class Build:
    """The project's next release, whose build there waits for a file, and may fail then."""

    def __init__(self, operator, *, fails):
        self.version = f"9.{next(NUMBERS)}"
        self.server = operator.server
        waiting = f"/var/tmp/wait-to-be-built-{self.version}"
        self.go_file, self.waiting = operator.server.path(f"{waiting}.go"), operator.server.path(waiting)
        command = f"touch {waiting}; until test -e {waiting}.go; do sleep 0.1; done; exit {7 if fails else 0}"
        operator.stack.file.write_text(
            f'{operator.original}version = "{self.version}"\nbuild = [["sh", "-c", {json.dumps(command)}]]\n'
        )

    def wait(self):
        """Until it has begun."""
        until = time.monotonic() + 60
        while not self.waiting.exists():
            assert time.monotonic() < until
            time.sleep(0.05)

    def go(self):
        self.go_file.touch()


@pytest.fixture
def building(shop):
    """Makes such a release; the old one is back at the end."""
    made = []

    def change(*, fails=False):
        made.append(Build(shop, fails=fails))
        return made[-1]

    yield change
    shop.stack.file.write_text(shop.original)
    for build in made:
        build.go()
