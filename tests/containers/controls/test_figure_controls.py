"""The checks of containers are green in production; those of its figures are red for each that differs."""

import pytest
from containers.controls.sabotage import edited, first, red, started, subject_of
from containers.live import Live
from waiting import eventually

from neurmatic.backups.setting import setting_of
from neurmatic.readiness import figures
from neurmatic.readiness.backups import database
from neurmatic.readiness.finding import Status

GREEN = (
    *("image.multi-stage", "image.non-root", "image.health", "image.frontend"),
    *("stack.limits", "stack.secrets", "stack.production", "stack.persistence"),
    *("deploy.zero-downtime", "deploy.auto-rollback", "runbook.rollback"),
)


@pytest.mark.parametrize("slug", GREEN)
def test_green_in_production(examine, slug):
    finding = examine(slug)
    assert finding.status is Status.PASS, finding.evidence


def test_what_is_said_of_another_environment_is_no_verdict(examine):
    finding = examine("stack.staging")
    assert finding.status is Status.UNVERIFIABLE
    assert "runs as production" in finding.evidence


def test_staging_is_green_as_it_is_and_red_with_another_figure(told, examine):
    one = Live(told, "10.203.64.0/20", "controls")
    one.name = "controls-staging"
    file = one.project / "neurmatic.toml"
    text = file.read_text().replace('environment = "production"', 'environment = "staging"')
    file.write_text(text.replace("10.203.64.0/20", "172.31.224.0/20").replace("172.31.208.0/20", "10.203.64.0/20"))
    with started(one), subject_of(one) as subject:
        finding = examine("stack.staging", subject)
        assert finding.status is Status.PASS, finding.evidence
        one.redis("CONFIG", "SET", "maxmemory", "1gb")
        red(examine("stack.staging", subject), "maxmemory 1073741824, not 536870912")


def test_another_figure_of_postgres_is_noticed(examine, live):
    live.sql("ALTER SYSTEM SET effective_cache_size = '1GB'")
    live.sql("SELECT pg_reload_conf()")
    try:
        eventually(lambda: live.sql("SHOW effective_cache_size") == "1GB")
        red(examine("stack.production"), "effective_cache_size 1GB, not 2GB")
    finally:
        live.sql("ALTER SYSTEM RESET effective_cache_size")
        live.sql("SELECT pg_reload_conf()")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("maxmemory", "1gb", "maxmemory 1073741824, not 2147483648"),
        ("maxmemory-policy", "noeviction", "maxmemory-policy noeviction, not allkeys-lru"),
        ("appendonly", "no", "appendonly no, not yes"),
        ("save", "", "saves after save"),
    ],
)
def test_another_figure_of_redis_is_noticed(examine, live, name, value, words):
    before = " ".join(live.redis("CONFIG", "GET", name)[1:])
    live.redis("CONFIG", "SET", name, value)
    try:
        red(examine("stack.production"), words)
    finally:
        live.redis("CONFIG", "SET", name, before)


def test_a_redis_that_asks_for_no_password_is_noticed(examine, live):
    live.redis("CONFIG", "SET", "protected-mode", "no")  # a second door, which is shut while there is no password
    live.redis("CONFIG", "SET", "requirepass", "")
    try:
        red(examine("stack.production"), "Redis without its password: PONG")
    finally:
        live.run("restart", "redis")
    live.run("health")


def test_an_instance_that_is_missing_is_noticed(examine, live):
    one = first(live)
    live.engine.run("stop", f"{live.name}-{one}")
    try:
        red(examine("stack.production"), f"{one} stopped")
    finally:
        live.run("up")


def test_backups_that_nobody_makes_are_noticed(examine, subject):
    runtime = subject.live.runtime
    runtime.stop("timer-backup", grace=5)
    try:
        red(examine("stack.production"), "timer-backup stopped")
    finally:
        runtime.start("timer-backup")


def test_a_cache_that_never_hits_is_noticed(examine, live):
    with edited(live.state / "config/nginx/nginx.conf", "proxy_cache kept;", "proxy_cache off;"):
        live.engine.run("kill", "--signal", "HUP", f"{live.name}-edge")
        eventually(lambda: "HIT" not in cache(live))
        red(examine("stack.production"), "X-Cache ")
    live.engine.run("kill", "--signal", "HUP", f"{live.name}-edge")
    eventually(lambda: "HIT" in cache(live))


def cache(live):
    """What the edge's cache says of four requests."""
    return [live.header("/api/v1/articles?limit=1", "X-Cache") for _ in range(4)]


def test_a_slow_statement_that_is_not_logged_is_noticed(examine, subject, monkeypatch):
    copy = subject.rehearsal()
    setting = setting_of(copy.up)
    monkeypatch.setattr(figures, "LOG_SECONDS", 2.0)
    with database(setting).connected() as connection:
        connection.execute(b"ALTER SYSTEM SET log_min_duration_statement = -1")
        connection.execute(b"SELECT pg_reload_conf()")
    try:
        red(examine("stack.production"), "in the log: not there")
    finally:
        with database(setting).connected() as connection:
            connection.execute(b"ALTER SYSTEM RESET log_min_duration_statement")
            connection.execute(b"SELECT pg_reload_conf()")
    assert examine("stack.production").status is Status.PASS
