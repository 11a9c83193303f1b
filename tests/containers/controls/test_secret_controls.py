"""The check of secrets: red for one in each place where it could leak."""

import shutil
import subprocess
import sys

import pytest
from containers.controls.sabotage import built, red, stray
from waiting import eventually

from neurmatic.readiness.finding import Status

MEGABYTE = 1024**2


@pytest.fixture
def secret(live):
    return live.secrets()["JWT_SECRET"]


@pytest.fixture
def repository(live):
    """The project's repository, which is as it was when the test is over."""
    kept = live.project.with_name(live.project.name + "-git")
    shutil.copytree(live.project / ".git", kept)
    yield live.project
    shutil.rmtree(live.project / ".git")
    kept.rename(live.project / ".git")


def test_a_secret_in_a_tracked_file_is_noticed(examine, live, secret, repository):
    leak = repository / "notes.txt"
    leak.write_text(f"the secret is {secret}\n")
    try:
        assert examine("stack.secrets").status is Status.PASS, "it is nobody's but the operator's yet"
        live.git("add", "notes.txt")
        red(examine("stack.secrets"), f"JWT_SECRET in {leak}")
    finally:
        leak.unlink()


def test_a_secret_that_was_committed_once_is_noticed(examine, live, secret, repository):
    leak = repository / "notes.txt"
    leak.write_text(f"the secret is {secret}\n")
    live.commit()
    leak.unlink()
    live.commit()
    red(examine("stack.secrets"), "JWT_SECRET in the repository's history")


def test_a_repository_that_cannot_be_read_is_no_verdict(examine, repository):
    (repository / ".git" / "HEAD").write_text("broken\n")
    finding = examine("stack.secrets")
    assert finding.status is Status.UNVERIFIABLE
    assert "the repository can't be read" in finding.evidence


@pytest.mark.parametrize("place", ["leak.txt", "config/edge/leak.txt", "data/leak.txt"])
def test_a_secret_in_a_file_that_others_may_read_is_noticed(examine, live, secret, place):
    leak = live.state / place
    leak.write_text(secret)
    try:
        leak.chmod(0o644)
        red(examine("stack.secrets"), f"JWT_SECRET in {leak}")
        leak.chmod(0o600)
        assert examine("stack.secrets").status is Status.PASS
    finally:
        leak.unlink()


def test_secrets_that_others_may_read_are_noticed(examine, live):
    file = live.state / "secrets.env"
    file.chmod(0o640)
    try:
        red(examine("stack.secrets"), "secrets.env has mode 640")
    finally:
        file.chmod(0o600)


def test_a_secret_in_a_log_is_noticed(examine, live, secret):
    leak = live.state / "logs" / "leak.log"
    leak.write_bytes(b"." * (MEGABYTE - 10) + secret.encode())  # across the end of what is read at once
    leak.chmod(0o600)
    try:
        red(examine("stack.secrets"), f"JWT_SECRET in {leak}")
    finally:
        leak.unlink()


def test_a_secret_among_arguments_is_noticed(examine, secret):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", secret])
    try:
        red(examine("stack.secrets"), f"JWT_SECRET in the arguments of process {process.pid}")
    finally:
        process.kill()
        process.wait()


def test_a_secret_in_a_containers_environment_is_noticed(examine, live, secret):
    with stray(live, "--env", f"LEAK={secret}"):
        red(examine("stack.secrets"), "JWT_SECRET in what the engine says of api-63")


def test_a_secret_in_a_containers_log_is_noticed(examine, live):
    mounted = "--volume", f"{live.state / 'secrets.env'}:/secrets:ro"
    with stray(live, *mounted, command=["sh", "-c", "cat /secrets && exec sleep 600"]) as one:
        eventually(lambda: live.engine.run("logs", one).stdout)
        red(examine("stack.secrets"), "in the log of api-63")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["ARG LEAK", "RUN echo $LEAK >/secret"], "JWT_SECRET in a layer of api-63's image"),
        (
            ["RUN cat /proc/self/status >/dev/null", "ARG LEAK", "RUN echo $LEAK >/s", "RUN rm /s"],
            "JWT_SECRET in a layer of",
        ),
        (["ARG LEAK", "RUN true $LEAK"], "JWT_SECRET in the settings or the history of api-63's image"),
        (["ARG LEAK", "LABEL leak=$LEAK"], "JWT_SECRET in "),
    ],
    ids=["a file", "a file that is removed again", "the history", "a label"],
)
def test_a_secret_in_an_image_is_noticed(examine, live, secret, lines, words):
    with built(live, f"FROM {live.engine.env['PYTHON_IMAGE']}", *lines, LEAK=secret) as image, stray(live, image=image):
        finding = examine("stack.secrets")
        assert finding.status is Status.FAIL, finding.evidence
        assert words in finding.evidence, finding.evidence
