"""Every check goes red against a broken copy, for the reason that was broken, and green against a whole one."""

import inspect
import secrets
import subprocess
import sys

import pytest

from neurmatic.readiness.catalogue import claims
from neurmatic.readiness.checks import stack_persistence
from neurmatic.readiness.finding import Status
from neurmatic.readiness.run import Check, execute, find_check

# slug, way to break it, words that the evidence must contain
CONTROLS = [
    ("health.live", "live-needs-database", "503"),
    ("health.ready", "always-ready", "503 from readiness with PostgreSQL stopped"),
    ("health.ready", "drops-in-flight", "after SIGTERM"),
    ("health.ready", "ready-in-drain", "after SIGTERM, before it stops listening"),
    ("health.overall", "always-healthy", "with redis stopped"),
    ("health.database", "database-without-limit", "PostgreSQL suspended"),
    ("health.database", "always-healthy", "PostgreSQL suspended"),
    ("health.redis", "redis-critical", "'critical': True"),
    ("health.queues", "queues-uncounted", "degraded with more than 100 waiting"),
    ("health.memory", "memory-of-host", "limit of 1073741824 bytes"),
    ("health.uncached", "cached", "no-store"),
    ("stack.redis-memory", "jobs-in-redis", "the job, done after the eviction was not seen"),
    ("stack.graceful-shutdown", "ready-in-drain", "after SIGTERM, before it stops listening"),
    ("stack.graceful-shutdown", "drops-in-flight", "after SIGTERM"),
    ("stack.graceful-shutdown", "ends-with-the-drain", "still works on the request"),
    ("stack.graceful-shutdown", "exits-with-one", "exit code 1"),
]


@pytest.mark.parametrize(("slug", "way", "words"), CONTROLS, ids=[f"{slug}-{way}" for slug, way, _ in CONTROLS])
def test_check_is_red_when_the_claim_is_broken(examine, slug, way, words):
    finding = examine(slug, way)
    if slug == "health.memory" and finding.status is Status.UNVERIFIABLE:
        pytest.skip(finding.evidence)  # an ordinary account can't make a memory group
    assert finding.status is Status.FAIL, finding
    assert words in finding.evidence.partition("BUT")[2], finding.evidence


def test_health_gates_are_red_for_a_service_that_nobody_can_ask(examine):
    finding = examine("stack.health-gates", edit=lambda text: text.replace('ports = "18110-18111"\n', "", 1))
    assert finding.status is Status.FAIL
    assert "not worker-1" in finding.evidence.partition("BUT")[2], finding.evidence


def test_health_command_is_red_where_the_overall_answer_is_missing(examine):
    finding = examine("health.command", edit=lambda text: text.replace('overall = "/health"', 'overall = "/nowhere"'))
    assert finding.status is Status.FAIL
    assert "everything up: ['api']" in finding.evidence.partition("BUT")[2], finding.evidence


def test_data_that_does_not_outlive_a_down_is_noticed(examine, monkeypatch):
    down = stack_persistence.down

    def forgetful(host, layout, reporter):
        down(host, layout, reporter)
        host.remove(layout.data / "redis")

    monkeypatch.setattr(stack_persistence, "down", forgetful)
    finding = examine("stack.persistence")
    assert finding.status is Status.FAIL
    assert "Redis: kept before, nothing after" in finding.evidence


@pytest.fixture
def secret(folder):
    """The value of a secret of the stack."""
    value = secrets.token_urlsafe(48)
    file = folder / ".neurmatic/secrets.env"
    file.parent.mkdir()
    file.write_text(f"JWT_SECRET={value}\n")
    file.chmod(0o600)
    return value


def test_secrets_that_nobody_else_knows_are_green(examine, secret):
    finding = examine("stack.secrets")
    assert finding.status is Status.PASS, finding.evidence
    assert "looked for: 1;" in finding.evidence and "is no repository" in finding.evidence


def test_secrets_that_others_may_read_are_noticed(examine, folder, secret):
    leak = folder / ".neurmatic/config/leak.txt"
    leak.parent.mkdir()
    leak.write_text(f"password={secret}\n")
    finding = examine("stack.secrets")
    assert finding.status is Status.FAIL
    assert f"JWT_SECRET in {leak}" in finding.evidence


def test_a_secret_among_the_arguments_of_a_process_is_noticed(examine, secret):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", secret])
    try:
        finding = examine("stack.secrets")
    finally:
        process.kill()
        process.wait()
    assert finding.status is Status.FAIL
    assert f"JWT_SECRET in the arguments of process {process.pid}" in finding.evidence


# test_edge_controls.py, test_certificate_controls.py, test_backup_controls.py, test_recovery_controls.py, test_deploy_controls.py,
# tests/containers
ELSEWHERE = (
    "image.",
    "stack.limits",
    "stack.secrets",
    "stack.staging",
    "stack.production",
    "stack.development",
    "edge.",
    "security.xss",
    "stack.networks",
    "stack.failover",
    "backup.",
    "recovery.",
    "deploy.",
    "scale.",
    "runbook.",
)
CHECKED = [claim.slug for claim in claims() if find_check(claim) and not claim.slug.startswith(ELSEWHERE)]


@pytest.mark.parametrize("slug", CHECKED)
def test_check_is_green_for_an_application_that_keeps_the_contract(examine, slug):
    finding = examine(slug)
    if slug == "health.memory" and finding.status is Status.UNVERIFIABLE:
        assert "memory group" in finding.evidence  # an ordinary account can't make one; said, not ticked
        return
    assert finding.status is Status.PASS, finding


def test_every_check_has_a_negative_control():
    controlled = {slug for slug, _, _ in CONTROLS} | {"stack.health-gates", "health.command", "stack.persistence"}
    assert set(CHECKED) == controlled


def test_a_quick_check_breaks_nothing_and_needs_no_copy():
    quick = [check for claim in claims() if (check := find_check(claim)) and check.quick]
    assert quick and not [check for check in quick if "rehearsal()" in inspect.getsource(inspect.getmodule(check.run))]


def test_a_check_that_sees_nothing_or_breaks_down_has_shown_nothing():
    claim = claims()[0]
    assert execute(claim, Check(quick=True, run=lambda _s, _e: None), None).status is Status.FAIL
    broken = execute(claim, Check(quick=True, run=lambda _s, _e: 1 / 0), None)
    assert broken.status is Status.FAIL
    assert "ZeroDivisionError" in broken.evidence
