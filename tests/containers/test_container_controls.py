"""The checks of containers: green on the platform as it runs in production, red for each thing that is broken, one at a time.

All of it happens to one stack: whatever is broken is healed before the next. Deploys and what outlives a `down` are seen on
the copy that the checks make of it.
"""

import contextlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from containers.contained import tool_variables
from containers.live import Live
from waiting import eventually

from neurmatic.backups.setting import setting_of
from neurmatic.hosts.local import LocalHost
from neurmatic.readiness import figures
from neurmatic.readiness.backups import database
from neurmatic.readiness.catalogue import claims
from neurmatic.readiness.checks import stack_persistence
from neurmatic.readiness.finding import Status
from neurmatic.readiness.run import execute, find_check
from neurmatic.readiness.subject import Subject, View
from neurmatic.releases.contained import ContainerWay
from neurmatic.releases.deployed import placed, read_deployed
from neurmatic.render.inside import apart
from neurmatic.stack.layout import Layout
from neurmatic.stack.loading import load

GREEN = (
    *("image.multi-stage", "image.non-root", "image.health", "image.frontend"),
    *("stack.limits", "stack.secrets", "stack.production", "stack.persistence"),
    *("deploy.zero-downtime", "deploy.auto-rollback", "runbook.rollback"),
)
MEGABYTE = 1024**2


@pytest.fixture(scope="module")
def told(engine):
    """This process told of the engine, as the tool is by an operator's environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in tool_variables(engine).items():
            patch.setenv(name, value)
        yield engine


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


@pytest.fixture(scope="module")
def live(told):
    """The platform in production, deployed to once after its first start."""
    with started(Live(told, "10.203.48.0/20", "controls")) as one:
        one.another_release("The second release")
        one.commit()
        one.run("deploy", "--no-backup")
        yield one


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


@pytest.fixture(scope="module")
def subject(live):
    with subject_of(live) as one:
        yield one


@pytest.fixture
def examine(subject):
    """Run the check of a claim, of the stack in production unless told otherwise; returns the finding."""

    def run(slug, of=subject):
        claim = next(claim for claim in claims() if claim.slug == slug)
        return execute(claim, find_check(claim), of)

    return run


def red(finding, words):
    assert finding.status is Status.FAIL, finding.evidence
    assert words in finding.evidence.partition("BUT")[2], finding.evidence


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


# ---- images


@pytest.mark.parametrize("stage", ["builder", "development"])
def test_a_dockerfile_without_a_stage_is_noticed(examine, live, stage):
    with edited(live.project / "backend/Dockerfile", f" AS {stage}\n", " AS another\n"):
        red(examine("image.multi-stage"), f"not {stage}")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ("install -m 755 /dev/null /usr/bin/gcc", "program /usr/bin/gcc"),
        ("install -m 755 /dev/null /app/venv/bin/neurmatic", "program /app/venv/bin/neurmatic"),
        ("mkdir -p /usr/local/lib/python3.11/site-packages/pytest-8.0.0.dist-info", "package pytest-8.0.0"),
        ("mkdir -p /app/tests && touch /app/tests/test_api.py", "test /app/tests/test_api.py"),
    ],
)
def test_what_has_no_place_in_an_image_is_noticed(examine, live, made, words):
    lines = f"FROM {image_tag(live, first(live))}", "USER 0", f"RUN {made}", "USER 10001"
    with built(live, *lines) as image, stray(live, "--entrypoint", "sleep", image=image, command=["600"]):
        red(examine("image.multi-stage"), words)


def test_a_development_image_in_production_is_noticed(examine, live):
    image = live.engine.image("backend", target="development")
    with stray(live, "--entrypoint", "sleep", image=image, command=["600"]):
        red(examine("image.multi-stage"), "watchfiles")


def test_pip_of_the_base_image_is_nothing_of_our_making(examine, live):
    lines = (
        f"FROM {image_tag(live, first(live))}",
        "USER 0",
        "RUN install -m 755 /dev/null /usr/local/bin/pip",
        "USER 10001",
    )
    with built(live, *lines) as image, stray(live, "--entrypoint", "sleep", image=image, command=["600"]):
        assert examine("image.multi-stage").status is Status.PASS


def image_tag(live, name):
    """A name of the image that an instance runs: a build can't begin with a digest."""
    return live.engine.inspect(image_of(live, name))[0]["RepoTags"][0]


NO_RIGHTS = ("--user", "65534:65534", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true", "--read-only")


@pytest.mark.parametrize(
    ("without", "more", "words"),
    [
        (("--user", "65534:65534"), (), "it runs as root"),
        ((), ("--privileged",), "it is privileged"),
        (("--cap-drop", "ALL"), (), "it has capabilities"),
        ((), ("--cap-add", "NET_RAW"), "it has capabilities"),
        (("--security-opt", "no-new-privileges:true"), (), "it may gain privileges"),
        (("--read-only",), (), "its root can be written to"),
    ],
    ids=lambda value: " ".join(value).strip("-") if isinstance(value, tuple) else None,
)
def test_a_container_with_more_rights_is_noticed(examine, live, without, more, words):
    with stray(live, *[word for word in NO_RIGHTS if word not in without], *more):
        red(examine("image.non-root"), words)


def test_a_container_that_hides_behind_the_name_of_another_is_noticed(examine, live):
    with stray(live, "--label", f"com.docker.compose.service={first(live)}", name="another"):
        red(examine("image.non-root"), "another: it runs as root")


def test_an_image_without_a_health_check_is_noticed(examine, live):
    with stray(live, *NO_RIGHTS):
        red(examine("image.health"), "image has a health check: none")


def test_a_container_that_is_not_well_is_noticed(examine, live):
    backend = image_of(live, first(live))
    bad = (
        "--health-cmd",
        "exit 1",
        "--health-interval",
        "1s",
        "--health-retries",
        "1",
        "--health-start-period",
        "1ms",
        "--entrypoint",
        "sleep",
    )
    with stray(live, *bad, image=backend, command=["600"]) as one:
        eventually(lambda: live.engine.inspect(one)[0]["State"]["Health"]["Status"] == "unhealthy")
        red(examine("image.health"), "api-63: unhealthy")
    with stray(live, "--no-healthcheck", "--entrypoint", "sleep", image=backend, command=["600"]):
        red(examine("image.health"), "api-63: not asked")


def test_a_site_built_with_another_setting_is_noticed(examine, live):
    with edited(live.project / "frontend/Dockerfile", "ARG VITE_API_BASE=/api/v1", "ARG VITE_API_BASE=/api/v2"):
        red(examine("image.frontend"), "VITE_API_BASE=/api/v2 does not stand in /assets/")


def test_a_site_with_more_rights_is_noticed(examine, live):
    with stray(
        live,
        "--user",
        "0",
        "--entrypoint",
        "sleep",
        image=image_of(live, first(live, "site")),
        command=["600"],
        name="site-63",
    ):
        red(examine("image.frontend"), "site-63: ")


# ---- limits


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (
            ("--memory", "200m", "--memory-swap", "400m"),
            f"memory is limited to {200 * MEGABYTE} bytes, not {64 * MEGABYTE}",
        ),
        (("--cpus", "1.5"), "1.5 processors, not 0.25"),
        (("--pids-limit", "-1"), "no limit of processes"),
    ],
    ids=["memory", "processors", "processes"],
)
def test_another_limit_is_noticed(examine, live, other, words):
    site = first(live, "site")
    at, host = f"{live.name}-{site}", live.containers()[site]["HostConfig"]
    live.engine.run("update", *other, at)
    try:
        red(examine("stack.limits"), words)
        red(examine("stack.production"), words)
    finally:
        healed = ("--memory", host["Memory"], "--memory-swap", host["MemorySwap"], "--cpus", host["NanoCpus"] / 1e9)
        live.engine.run("update", *healed, "--pids-limit", host["PidsLimit"], at)
    assert examine("stack.limits").status is Status.PASS


def test_limits_that_the_host_has_no_room_for_are_noticed(examine, subject):
    stack = subject.live.stack
    small = stack.replace(containers=stack.containers.replace(host_memory="4GB"))
    red(examine("stack.limits", Subject(View(subject.live.host, subject.live.layout, small), None)), "MB of 4GB")


def test_pools_that_the_database_has_no_room_for_are_noticed(examine, subject):
    stack = subject.live.stack
    api = stack.services["api"].replace(pool_size=100)
    large = stack.replace(services=stack.services | {"api": api})
    red(
        examine("stack.limits", Subject(View(subject.live.host, subject.live.layout, large), None)),
        "of 190 that are free",
    )


def test_a_stack_that_cannot_fit_and_is_started_all_the_same_is_noticed(examine, monkeypatch):
    monkeypatch.setattr(ContainerWay, "check_limits", lambda self: None)
    red(examine("stack.limits"), "64 instances of api would be started")


# ---- data


@pytest.mark.parametrize(
    ("folder", "words"), [(".", "the rows can't be read"), ("redis", "Redis: kept before, nothing after")]
)
def test_data_that_does_not_outlive_the_containers_is_noticed(examine, monkeypatch, folder, words):
    down = stack_persistence.down

    def forgetful(host, layout, reporter):
        down(host, layout, reporter)
        host.remove(layout.data / folder)

    monkeypatch.setattr(stack_persistence, "down", forgetful)
    red(examine("stack.persistence"), words)


def test_a_down_that_leaves_containers_is_noticed(examine, monkeypatch):
    monkeypatch.setattr(stack_persistence, "down", lambda *_: None)
    red(examine("stack.persistence"), "between the two nothing of it is left: ")


# ---- secrets


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


# ---- the figures of production


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
