"""The check of development: green on this repository's sources, red where hot reload doesn't reload or a service isn't well, and gone after each."""

import shutil
import tempfile
from pathlib import Path

import pytest
from containers.contained import tool_variables
from containers.live import copy_sources

from neurmatic.hosts.local import LocalHost
from neurmatic.readiness.catalogue import claims
from neurmatic.readiness.checks import stack_development
from neurmatic.readiness.finding import Status
from neurmatic.readiness.run import execute, find_check
from neurmatic.readiness.subject import Subject, View
from neurmatic.releases import development
from neurmatic.render.inside import apart
from neurmatic.stack.layout import Layout
from neurmatic.stack.loading import load

NAME = "controls-reload"
WATCHING = '"venv/bin/watchfiles", "--filter", "python", "venv/bin/neurmatic-backend serve", "backend/src"'


@pytest.fixture(scope="module")
def project(engine):
    """A copy of the sources without a repository, to be broken; this process is told of the engine."""
    folder = Path(tempfile.mkdtemp(prefix="development-", dir="/var/tmp"))
    try:
        copy_sources(folder)
        (folder / ".neurmatic").mkdir()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in tool_variables(engine).items():
                patch.setenv(name, value)
            yield folder
            state = folder / ".neurmatic/rehearsal-development"  # a failed test may have left it
            development._clear(LocalHost(), Layout(state, state / "project", contained=True))
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def examine(project, engine):
    """Run the check for the stack file with some text replaced; whatever it found, nothing is left of its copy."""

    def run(*edits, environment="development", contained=False):
        text = (project / "neurmatic.toml").read_text()
        for old, new in (('name = "neurmatic"', f'name = "{NAME}"'), *edits):
            assert old in text
            text = text.replace(old, new)
        stack = load(text, "neurmatic.toml", environment).stack
        if contained:
            stack = apart(stack, stack.containers)
        subject = Subject(View(LocalHost(), Layout(project / ".neurmatic", project), stack), "nobody")
        claim = next(claim for claim in claims() if claim.slug == "stack.development")
        return execute(claim, find_check(claim), subject)

    yield run
    assert left(engine, project) == []


def left(engine, project):
    """What there is of a copy: folders, containers, networks, volumes, images."""
    found = [str(path) for path in (project / ".neurmatic").glob("*") if path.is_dir()]
    for what in (["container", "ls", "--all"], ["network", "ls"], ["volume", "ls"], ["image", "ls"]):
        found += [line for line in engine.run(*what).stdout.splitlines() if NAME in line]
    return found


def test_it_starts_with_one_command_and_reloads_also_after_a_run_that_was_killed(examine, engine, project, monkeypatch):
    with monkeypatch.context() as killed:
        killed.setattr(development, "_clear", lambda *_: None)  # a killed run clears nothing away
        killed.setattr(stack_development, "_see_healthy", interrupt)
        with pytest.raises(KeyboardInterrupt):
            examine()
    assert left(engine, project)
    finding = examine()
    assert finding.status is Status.PASS, finding.evidence
    for seen in (
        "postgres healthy",
        "redis healthy",
        "api-1 healthy",
        "api-2 healthy",
        "worker-1 healthy",
        "site-1 healthy",
    ):
        assert seen in finding.evidence
    assert finding.evidence.count("started anew for it: no container") == 2


def interrupt(*_):
    raise KeyboardInterrupt


def test_an_interrupted_run_leaves_nothing(examine, monkeypatch):
    monkeypatch.setattr(stack_development, "_see_healthy", interrupt)
    with pytest.raises(KeyboardInterrupt):
        examine()


def test_a_command_that_does_not_watch_is_noticed(examine, monkeypatch):
    monkeypatch.setattr(stack_development, "PATIENCE", 8.0)
    finding = examine((WATCHING, '"venv/bin/neurmatic-backend", "serve"'), contained=True)
    assert finding.status is Status.FAIL, finding.evidence
    assert "routes.py was edited, and 8 s later /api/v1/health/live doesn't answer" in finding.evidence


def test_a_service_that_is_not_well_is_noticed(examine, project):
    asked = project / "backend/container/health.py"
    text = asked.read_text()
    asked.write_text("raise SystemExit(1)\n")
    try:
        finding = examine(("pool_size = 10\n", "pool_size = 10\nstart_timeout = 5\n"))
    finally:
        asked.write_text(text)
    assert finding.status is Status.FAIL, finding.evidence
    assert "unhealthy" in finding.evidence


def test_a_service_that_the_compose_file_lacks_is_noticed(examine, monkeypatch):
    monkeypatch.setattr(development.Development, "containers", lambda self: {})
    finding = examine()
    assert finding.status is Status.FAIL
    assert "BUT api-1 not there" in finding.evidence


def test_what_cannot_be_seen_here_is_no_verdict(examine, monkeypatch):
    for options, words in (
        ([("[checks.edits]\napi", "[checks.edits]\nworker"), {}], "changes an answer of api"),
        ([None, {"environment": "production"}], "this stack runs as production"),
    ):
        finding = examine(*filter(None, options[:1]), **options[1])
        assert finding.status is Status.UNVERIFIABLE, finding.evidence
        assert words in finding.evidence
    monkeypatch.setenv("DOCKER_HOST", "unix:///var/tmp/nobody-listens-here")
    finding = examine()
    assert finding.status is Status.UNVERIFIABLE, finding.evidence
    assert "the container engine does not answer" in finding.evidence
