"""Stacks of the small application, whole and broken, for the readiness checks to look at."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from neurmatic.hosts.local import LocalHost
from neurmatic.readiness.catalogue import claims
from neurmatic.readiness.run import execute, find_check
from neurmatic.readiness.subject import Subject, View
from neurmatic.stack.layout import Layout
from neurmatic.stack.loading import load

APP = Path(__file__).with_name("app.py")
STACK = """
[stack]
name = "control"
user = "nobody"
[services.app]
command = ["python3", "app.py", "serve"]
instances = 2
ports = "18100-18103"
routes = ["/"]
needs = ["postgres", "redis"]
drain = 1
stop_timeout = 15
health.ready = "/health/ready"
health.live = "/health/live"
health.overall = "/health"
env.BREAK = "{way}"
[services.worker]
command = ["python3", "app.py", "work"]
ports = "18110-18111"
needs = ["redis", "postgres"]
health.ready = "/health/ready"
[postgres]
[redis]
[checks]
read = "/read"
enqueue = "/jobs"
enqueue_body = '{{"kind": "work"}}'
fail = ["python3", "app.py", "fail"]
"""


@pytest.fixture
def folder():
    """A project folder that an unprivileged account can enter."""
    path = Path(tempfile.mkdtemp(prefix="readiness-", dir="/var/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def examine(folder):
    """Run the check of a claim against the application broken in a way; returns the finding."""
    open_subjects = []

    def run(slug, way="", edit=lambda text: text):
        shutil.copy(APP, folder / "app.py")
        (folder / "jobs").mkdir(exist_ok=True)
        (folder / "jobs").chmod(0o777)
        stack = load(edit(STACK.format(way=way)), "neurmatic.toml").stack
        layout = Layout(folder / ".neurmatic", folder)
        layout.releases.mkdir(parents=True, exist_ok=True)
        subject = Subject(View(LocalHost(), layout, stack), "nobody" if os.geteuid() == 0 else None)
        open_subjects.append(subject)
        claim = next(claim for claim in claims() if claim.slug == slug)
        try:
            return execute(claim, find_check(claim), subject)
        finally:
            subject.close()

    yield run
    for subject in open_subjects:
        subject.close()


@pytest.fixture(scope="session")
def backed():
    """A running stack with backups here and in a bucket of rclone's, a dump, a base backup, and drills done."""
    from examined import Examined
    from s3servers import Rclone

    server = Rclone()
    one = Examined(server)
    try:
        one.start()
        for scenario in ("database", "server"):
            one.stack.run("drill", scenario)
        yield one
    finally:
        one.remove()
        server.remove()


@pytest.fixture
def kept(backed):
    """It, with nothing left of what the check before made on the copy."""
    yield backed
    backed.settle()
