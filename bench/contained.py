"""The platform as containers, by the tool, on an engine of the tests' own where none runs."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from stack import ROOT, Platform

from neurmatic.hosts.interrupts import held_back

sys.path.insert(0, str(ROOT / "tests"))

from containers.engine import Engine  # the tests' own way to one

NAME = "neurmatic-bench"
NETWORK, PEERS_NETWORK = "10.203.0.0/20", "10.203.16.0/20"
HOST = 'subnet = "172.31.224.0/20"\nhost_memory = "8GB"\n'
LARGER_HOST = 'subnet = "{subnet}"\nhost_memory = "64GB"\nhost_cpus = 64\n'


@contextmanager
def engine() -> Iterator[Engine]:
    """The engine, with the images that others are built from; whatever is run meanwhile is told of it."""
    with held_back():  # else Ctrl-C could come between its start and the first moment at which it can be ended
        one = Engine()
    before = dict(os.environ)
    try:
        one.make_bases()
        os.environ.update(one.env, REGISTRY="localhost")
        yield one
    finally:
        os.environ.clear()
        os.environ.update(before)
        with held_back():
            one.end()


class Contained(Platform):
    """It, in a network of its own, with room for eight instances, each within the limits that it has in production."""

    def __init__(self, beside=""):
        super().__init__(beside)
        self.file.write_text(named(self.file.read_text(), NAME, NETWORK))

    def images(self):
        """The engine's digests of each release's images, by the service that runs them."""
        servers = json.loads((self.state / "images.json").read_text())
        made = sorted(self.state.glob("releases/*/images.json"))
        return [servers | json.loads(one.read_text()) for one in made]


def ids(engine: Engine) -> list[str]:
    """Of the platform's containers."""
    label = f"label=com.docker.compose.project={NAME}-production"
    return engine.run("ps", "--quiet", "--no-trunc", "--filter", label).stdout.split()


def remove_images(engine: Engine, name=NAME):
    """Every image that has a name of this stack's."""
    listed = engine.run("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()
    if mine := [one for one in listed if one.startswith((f"{name}/", f"{name}-"))]:
        engine.run("image", "rm", *mine)


def named(text, name, subnet):
    """A stack file for a host that is larger than this one is said to be: with another name, and another network."""
    changed = ('name = "neurmatic"\n', f'name = "{name}"\n'), (HOST, LARGER_HOST.format(subnet=subnet))
    for before, after in changed:
        assert before in text, before
        text = text.replace(before, after, 1)
    return text
