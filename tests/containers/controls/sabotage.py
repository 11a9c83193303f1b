"""A stack for the checks to look at, and ways to break it for a while."""

import contextlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from neurmatic.hosts.local import LocalHost
from neurmatic.readiness.finding import Status
from neurmatic.readiness.subject import Subject, View
from neurmatic.releases.deployed import placed, read_deployed
from neurmatic.render.inside import apart
from neurmatic.stack.layout import Layout
from neurmatic.stack.loading import load


@contextlib.contextmanager
def started(one):
    """It, up; gone at the end, whatever became of it."""
    try:
        one.run("up", "--runtime", "containers")
        yield one
        one.run("down", "--purge", "--backups", "--yes")
        assert one.left() == []
    finally:
        if one.state.exists():
            subprocess.run(one.command("down", "--purge", "--backups", "--yes"), cwd=one.project, check=False)
        shutil.rmtree(one.project, ignore_errors=True)


@contextlib.contextmanager
def subject_of(live):
    """What the checks look at; its copy is started once, as in `neurmatic verify`."""
    host, layout = LocalHost(), Layout(live.state, live.project, contained=True)
    stack = load((live.project / "neurmatic.toml").read_text(), "neurmatic.toml").stack
    stack = placed(apart(stack, stack.containers), read_deployed(host, layout))
    one = Subject(View(host, layout, stack), "nobody" if host.is_root() else None)
    try:
        yield one
    finally:
        one.close()


def red(finding, words):
    assert finding.status is Status.FAIL, finding.evidence
    assert words in finding.evidence.partition("BUT")[2], finding.evidence


@contextlib.contextmanager
def stray(live, *options, image=None, command=("sleep", "600"), name="api-63"):
    """A container of the stack's project that the stack file says nothing of, as compose itself would mark it."""
    labels = ("project", live.name), ("service", name)
    marks = [word for key, value in labels for word in ("--label", f"com.docker.compose.{key}={value}")]
    container = f"{live.name}-{name}"
    image = image or live.engine.env["PYTHON_IMAGE"]
    live.engine.run("run", "--detach", "--name", container, *marks, *options, image, *command)
    try:
        yield container
    finally:
        live.engine.run("rm", "--force", container)


@contextlib.contextmanager
def edited(file, old, new):
    """A file that says something else for a while."""
    text = file.read_text()
    assert old in text, file
    file.write_text(text.replace(old, new))
    try:
        yield
    finally:
        file.write_text(text)


@contextlib.contextmanager
def built(live, *lines, **args):
    """An image made for a test."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        (Path(folder) / "Dockerfile").write_text("\n".join(lines) + "\n")
        options = [word for name, value in args.items() for word in ("--build-arg", f"{name}={value}")]
        live.engine.build(Path(folder) / "Dockerfile", "controls-test:1", folder, "--no-cache", *options)
    try:
        yield "controls-test:1"
    finally:
        live.engine.run("image", "rm", "--force", "controls-test:1")


def first(live, service="api"):
    """An instance, wherever a deploy has placed it."""
    return next(name for name in live.containers() if name.startswith(f"{service}-"))


def image_of(live, name):
    return live.containers()[name]["Image"]


def image_tag(live, name):
    """A name of the image that an instance runs: a build can't begin with a digest."""
    return live.engine.inspect(image_of(live, name))[0]["RepoTags"][0]
