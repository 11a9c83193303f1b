"""The checks of deploys: green on a whole stack that was deployed to twice, red for each thing that is taken out of a deploy."""

import contextlib

import pytest
from small_stack import StackDir, far_off

from neurmatic.hosts.local import LocalHost
from neurmatic.readiness.catalogue import claims
from neurmatic.readiness.checks import deploy_keeps_previous, scale_api
from neurmatic.readiness.finding import Status
from neurmatic.readiness.run import execute, find_check
from neurmatic.readiness.subject import Subject, View
from neurmatic.releases import schema
from neurmatic.releases.deployed import placed, read_deployed
from neurmatic.releases.events import EventLog
from neurmatic.releases.gate import Gate
from neurmatic.releases.rollout import Rollout
from neurmatic.stack.layout import Layout
from neurmatic.stack.loading import load

EDITS = (
    ("[edge]\n", '[release]\nfiles = ["demo_app.py"]\nmigrate = ["true"]\n[deploy]\nwatch = 1\n[edge]\n'),
    ("[redis]\nport = {redis}\n", f"[backup]\n{far_off()}\n"),
    ('needs = ["postgres", "redis"]', 'needs = ["postgres"]'),
    ('ports = "{first}-{last}"', 'ports = "{pool}"'),
)
SLUGS = (
    *("deploy.zero-downtime", "deploy.auto-rollback", "deploy.lock", "deploy.audit", "deploy.migrations"),
    *("deploy.keeps-previous", "deploy.backup-first", "scale.api", "runbook.rollback"),
)


@pytest.fixture(scope="module")
def deployed():
    """A stack whose second release serves; the first one is there to go back to."""
    one = StackDir()
    pool = LocalHost().free_ports(16)
    for old, new in EDITS:
        one.edit(old.format(**one.ports), new.format(**one.ports, pool=f"{pool}-{pool + 15}"))
    try:
        one.run("up")
        with (one.folder / "demo_app.py").open("a") as app:
            app.write("# another release\n")
        one.run("deploy")
        yield one
    finally:
        one.remove()


@pytest.fixture
def examine(deployed):
    """Run the check of a claim; returns the finding."""
    host, layout = LocalHost(), Layout(deployed.state, deployed.folder)

    def run(slug):
        stack = placed(load(deployed.file.read_text(), "neurmatic.toml").stack, read_deployed(host, layout))
        subject = Subject(View(host, layout, stack), "nobody" if host.is_root() else None)
        claim = next(claim for claim in claims() if claim.slug == slug)
        try:
            return execute(claim, find_check(claim), subject)
        finally:
            subject.close()

    return run


@pytest.mark.parametrize("slug", SLUGS)
def test_green_on_a_whole_stack(examine, slug):
    finding = examine(slug)
    assert finding.status is Status.PASS, finding.evidence


def red(finding, words):
    assert finding.status is Status.FAIL, finding.evidence
    assert words in finding.evidence.partition("BUT")[2], finding.evidence


def test_old_instances_that_end_before_the_switch_are_noticed(examine, monkeypatch):
    start = Rollout._start

    def too_early(self, undo):
        self._remove([one.name for one in self.leaving])
        start(self, undo)

    monkeypatch.setattr(Rollout, "_start", too_early)
    red(examine("deploy.zero-downtime"), "a deploy in")


def test_a_release_that_nobody_waits_for_is_noticed(examine, monkeypatch):
    await_health = Gate.await_health

    def not_for_services(self, one, sentence=""):
        if one.kind != "service" or self.stack.services[one.service].command[0] != "sleep":
            await_health(self, one, sentence)

    monkeypatch.setattr(Gate, "await_health", not_for_services)
    monkeypatch.setattr(Rollout, "_see_well", lambda self, one: None)
    red(examine("deploy.auto-rollback"), "a release that never answers was deployed")


def test_instances_of_a_failed_deploy_that_stay_are_noticed(examine, monkeypatch):
    monkeypatch.setattr(Rollout, "_remove", lambda self, names: None)
    red(examine("deploy.auto-rollback"), "is left")


def test_a_lock_that_locks_nobody_out_is_noticed(examine, monkeypatch):
    locked = LocalHost.locked

    def open_to_all(self, path, holder):
        return contextlib.nullcontext() if "deploy" in holder else locked(self, path, holder)

    monkeypatch.setattr(LocalHost, "locked", open_to_all)
    red(examine("deploy.lock"), "beside the first")


def test_a_failure_that_is_not_written_down_is_noticed(examine, monkeypatch):
    write = EventLog.write

    def good_news(self, action, result, **details):
        if result != "failed":
            write(self, action, result, **details)

    monkeypatch.setattr(EventLog, "write", good_news)
    red(examine("deploy.audit"), "1 deploys have an end")


def test_events_without_figures_are_noticed(examine, monkeypatch):
    write = EventLog.write

    def bare(self, action, result, **details):
        details.pop("measured", None)
        write(self, action, result, **details)

    monkeypatch.setattr(EventLog, "write", bare)
    red(examine("deploy.audit"), "no measured")


def test_migrations_that_run_again_are_noticed(examine, monkeypatch):
    monkeypatch.setattr(schema, "order", lambda host, layout: ())
    red(examine("deploy.migrations"), "ran 2 times")


def test_a_clean_up_that_takes_the_release_before_is_noticed(examine, monkeypatch):
    monkeypatch.setattr(deploy_keeps_previous, "to_remove", lambda found, *_: found)
    red(examine("deploy.keeps-previous"), "0 would be left")


@pytest.mark.parametrize("slug", ["deploy.keeps-previous", "runbook.rollback"])
def test_a_release_before_that_does_not_start_is_noticed(examine, deployed, slug):
    before = deployed.state / "releases" / read_deployed(LocalHost(), Layout(deployed.state, deployed.folder)).previous
    app = before / "demo_app.py"
    text = app.read_text()
    app.write_text("raise SystemExit(1)\n")
    try:
        red(examine(slug), "ended")
    finally:
        app.write_text(text)


def test_a_deploy_without_its_backup_is_noticed(examine, deployed):
    deployed.run("deploy", "--no-backup")
    red(examine("deploy.backup-first"), "had no proven backup first")


def test_a_scale_that_changes_nothing_is_noticed(examine, monkeypatch):
    monkeypatch.setattr(scale_api, "scale", lambda *_: None)
    red(examine("scale.api"), "running")
