"""The production file on a real engine: the whole platform behind TLS, within its limits, without rights, keeping its data."""

import re
import subprocess
import time

from containers.engine import VERSION
from containers.looked_at import container_problems, told_secrets

MEGABYTE = 1024**2


def test_the_platform_answers_behind_tls(production):
    status, page = production.get("/")
    assert status == 200 and "<title>Neurmatic</title>" in page
    health = production.get_json("/api/v1/health")
    assert health["status"] == "healthy" and health["release"] == VERSION
    assert production.get_json("/api/v1/articles?limit=1")["items"], "the seed's articles"
    assert {one["State"]["Health"]["Status"] for one in production.running().values()} == {"healthy"}
    assert set(production.running()) == {"postgres", "redis", "api-1", "api-2", "worker-1", "site-1", "edge"}


def test_each_was_started_after_what_it_needs(production):
    state = {name: one["State"] for name, one in production.containers().items()}
    healthy = {name: one["Health"]["Log"] for name, one in state.items() if one.get("Health")}
    assert healthy
    assert state["migrate"]["ExitCode"] == state["seed"]["ExitCode"] == 0
    assert state["postgres"]["StartedAt"] < state["migrate"]["StartedAt"]
    assert state["migrate"]["FinishedAt"] < state["seed"]["StartedAt"] < state["seed"]["FinishedAt"]
    for name in ("api-1", "api-2", "worker-1"):
        assert state["seed"]["FinishedAt"] < state[name]["StartedAt"]
    assert max(state[name]["StartedAt"] for name in ("api-1", "api-2", "site-1")) < state["edge"]["StartedAt"]


def test_no_container_has_more_rights_than_it_needs(production, engine):
    problems = {name: found for name, one in production.containers().items() if (found := container_problems(one))}
    assert problems == {}
    for name in production.running():
        status = production.execute(name, "cat", "/proc/1/status")
        said = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert int(said["CapEff"], 16) == int(said["CapBnd"], 16) == 0, name
        assert said["NoNewPrivs"] == "1" and "0" not in said["Uid"].split(), name
        refused = engine.run("exec", production.containers()[name]["Id"], "sh", "-c", "echo >/etc/mine", check=False)
        assert refused.returncode and "Read-only file system" in refused.stderr, name


def test_a_container_as_the_engine_makes_it_by_default_is_found(engine, images):
    one = engine.run("create", "--user", "0", images["backend"]).stdout.strip()
    try:
        problems = container_problems(engine.inspect(one)[0])
    finally:
        engine.run("rm", one)
    assert {"root", "capabilities", "new privileges", "writable root", "no memory limit"} <= set(problems)


def test_only_the_edge_is_reachable_from_outside(production):
    published = {name: one["NetworkSettings"]["Ports"] or {} for name, one in production.running().items()}
    open_ports = {name: [port for port, to in ports.items() if to] for name, ports in published.items()}
    assert len(open_ports.pop("edge")) == 2
    assert set(map(tuple, open_ports.values())) == {()}
    networks = {name: set(one["NetworkSettings"]["Networks"]) for name, one in production.running().items()}
    inside, outside = f"{production.name}_inside", f"{production.name}_outside"
    assert networks.pop("edge") == {inside, outside}
    assert set(map(frozenset, networks.values())) == {frozenset({inside})}
    assert production.engine.inspect(inside)[0]["Internal"]
    # Nothing leads out, either: the edge reaches its own address in the other network, an instance doesn't.
    address = production.running()["edge"]["NetworkSettings"]["Networks"][outside]["IPAddress"]
    reaches = {}
    for name in ("edge", "api-1"):
        ask = f"import socket; s = socket.socket(); s.settimeout(1); print(s.connect_ex(('{address}', {production.https})))"
        reaches[name] = production.execute(name, "python3", "-c", ask).strip() == "0"
    assert reaches == {"edge": True, "api-1": False}


def test_the_servers_run_with_the_figures_of_the_environment(production):
    shown = {
        name: production.sql(f"SHOW {name}")
        for name in ("max_connections", "shared_buffers", "effective_cache_size", "log_min_duration_statement")
    }
    assert shown == {
        "max_connections": "200",
        "shared_buffers": "512MB",
        "effective_cache_size": "2GB",
        "log_min_duration_statement": "1s",
    }
    assert production.sql("SHOW server_version").startswith("15.")
    said = {
        name: production.redis("config", "get", name)[1]
        for name in ("maxmemory", "maxmemory-policy", "appendonly", "dir")
    }
    assert said == {
        "maxmemory": str(2048 * MEGABYTE),
        "maxmemory-policy": "allkeys-lru",
        "appendonly": "yes",
        "dir": "/data",
    }
    save = production.execute("redis", "sh", "-c", "redis-cli -p 8063 ping || true")
    assert "NOAUTH" in save, "without the password nobody is let in"


def test_a_public_answer_comes_from_the_edges_cache(production):
    path = "/api/v1/articles?limit=3"
    assert [production.header(path, "X-Cache") for _ in range(2)] == ["MISS", "HIT"]


def test_a_slow_statement_is_in_the_log(production):
    production.sql("SELECT 'quick'")
    production.sql("SELECT 'slow', pg_sleep(1.2)")
    _until(lambda: "'slow', pg_sleep" in production.compose("logs", "postgres"))
    held_up = re.compile(r"duration: \d{4,}")  # on a busy machine the quick one may be slow
    quick = [line for line in production.compose("logs", "postgres").splitlines() if "SELECT 'quick'" in line]
    assert all(held_up.search(line) for line in quick), quick


def test_the_limits_fit_the_host_together_and_reach_the_processes(production):
    limits = {name: one["HostConfig"] for name, one in production.running().items()}
    assert sum(one["Memory"] for one in limits.values()) <= 8192 * MEGABYTE
    assert sum(one["NanoCpus"] for one in limits.values()) <= 4e9
    assert limits["postgres"]["Memory"] >= 512 * MEGABYTE + 200 * 5 * MEGABYTE
    assert limits["redis"]["Memory"] >= 1.5 * 2048 * MEGABYTE
    memory = production.get_json("/api/v1/health")["checks"]["memory"]
    assert memory["limit_source"] == "cgroup"
    assert memory["limit_bytes"] == limits["api-1"]["Memory"] == 512 * MEGABYTE
    pool = sum(
        int(value)
        for one in production.running().values()
        for name, _, value in (entry.partition("=") for entry in one["Config"]["Env"])
        if name == "DATABASE_POOL_SIZE"
    )
    assert pool <= int(production.sql("SHOW max_connections")) - 10


def test_no_secret_is_told_or_rendered(production, engine):
    secrets = {name: value for name, value in production.secrets().items() if not name.startswith("edge")}
    assert len(secrets) == 5
    for name, said in production.containers().items():
        assert told_secrets(said, secrets) == [], name
        if said["State"]["Running"]:
            assert not any(
                value in production.execute(name, "sh", "-c", "cat /proc/*/cmdline") for value in secrets.values()
            )
    logs = production.compose("logs")
    rendered = [file for file in production.folder.rglob("*") if file.is_file() and file.parent.name != "secrets"]
    for value in secrets.values():
        assert value not in logs
        assert not any(value in file.read_text() for file in rendered)
    for file in (production.folder / "secrets").iterdir():
        assert file.stat().st_mode & 0o777 == 0o640, file
        assert (file.stat().st_uid, file.stat().st_gid) == (0, 10001), file
    assert (production.folder / "secrets").stat().st_mode & 0o777 == 0o750


def test_a_secret_in_a_variable_is_found(production, engine, images):
    secrets = production.secrets()
    one = engine.run(
        "create", "--env", f"DATABASE_URL=x:{secrets['POSTGRES_PASSWORD']}@y", images["backend"]
    ).stdout.strip()
    try:
        assert told_secrets(engine.inspect(one)[0], secrets) == ["POSTGRES_PASSWORD"]
    finally:
        engine.run("rm", one)


def test_an_instance_that_hangs_gets_no_requests_and_comes_back(production):
    engine, hung = production.engine, production.containers()["api-1"]["Id"]
    engine.run("pause", hung)
    try:
        _until(lambda: "down;  # api-1" in _list(production))
        _until(
            lambda: _answers(production) == [200] * 20
        )  # until nginx has loaded the list one may wait for the hung one
    finally:
        engine.run("unpause", hung)
    _until(lambda: "down" not in _list(production))


def test_a_new_certificate_is_served_after_a_signal(production):
    folder = production.folder / "secrets"
    before = production.served_certificate()
    old = (folder / "edge.pem").read_text()
    assert before.strip() in old
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    make += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "9"]
    made = subprocess.run([*make, "-keyout", "-", "-out", "-"], check=True, capture_output=True, text=True).stdout
    try:
        (folder / "edge.pem").write_text(made)  # in place: the container has this file, not its name
        production.compose("kill", "--signal", "HUP", "edge")
        _until(lambda: production.served_certificate().strip() in made)
    finally:
        (folder / "edge.pem").write_text(old)
        production.compose("kill", "--signal", "HUP", "edge")
    _until(lambda: production.served_certificate() == before)


def test_each_ends_in_order_and_data_outlives_the_containers(production):
    production.sql("CREATE TABLE kept AS SELECT 42 AS answer")
    production.redis("set", "kept", "42")
    production.compose("stop", "--timeout", "60")
    ended = production.containers()
    # One that were killed, or whose process weren't the container's first, would end with 137 or 143.
    assert {name: one["State"]["ExitCode"] for name, one in ended.items()} == dict.fromkeys(ended, 0)
    before = {one["Id"] for one in ended.values()}
    production.down()
    assert production.compose("ps", "--all", "--quiet") == ""
    production.up()
    assert before.isdisjoint({one["Id"] for one in production.containers().values()})
    assert production.sql("SELECT answer FROM kept") == "42"
    assert production.redis("get", "kept") == ["42"]
    assert production.get_json("/api/v1/health")["status"] == "healthy"
    # The same look at volumes that are gone is red.
    production.down("--volumes")
    production.up("postgres")
    assert production.sql("SELECT count(*) FROM pg_tables WHERE tablename = 'kept'") == "0"


def _list(production):
    return production.execute("edge", "cat", "/neurmatic/run/upstreams/api.conf")


def _answers(production):
    try:
        return [production.get("/api/v1/health")[0] for _ in range(20)]
    except OSError:
        return []


def _until(seen, seconds=30):
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.3)
