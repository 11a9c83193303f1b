"""This repository's own stack, run as containers by the tool: what `up` makes of it, and that every command does there what it does natively."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.error
from pathlib import Path

import pytest
from containers.controls.sabotage import edited
from containers.live import Live
from containers.looked_at import container_problems, told_secrets
from small_stack import Load
from waiting import eventually

MEGABYTE = 1024**2
CONTAINERS = {"postgres", "redis", "api-1", "api-2", "worker-1", "site-1", "edge"}
TIMERS = {"timer-backup", "timer-backup-watch", "timer-drill", "timer-disaster"}


@pytest.fixture(scope="module")
def live(engine):
    one = Live(engine, "10.202.32.0/20")
    try:
        one.run("up", "--runtime", "containers")
        yield one
    finally:
        subprocess.run(one.command("down", "--purge", "--backups", "--yes"), cwd=one.project, check=False)
        shutil.rmtree(one.project, ignore_errors=True)


@contextlib.contextmanager
def unharmed(live, path="/api/v1/health", rate=20):
    """Constant load from the begin of the block to its end, of which no request may fail."""
    with Load(live, path, rate) as load:
        yield
    assert [str(one) for one in load.failed] == []
    assert load.answered > 10


def test_it_is_up_and_every_look_is_green(live):
    rows = live.rows()
    assert set(rows) == CONTAINERS | TIMERS | {"guard"}
    for name, row in rows.items():
        health = "unknown" if name.startswith("timer-") else "healthy"
        assert (row["state"], row["health"], row["restarts"]) == ("running", health, 0), row
        assert row["pid"] and row["memory_bytes"] > 0, row
    assert set(live.containers()) == CONTAINERS
    assert "RED" not in live.run("health")
    live.run("edge")
    for name in ("api", "edge", "postgres", "redis"):
        assert live.run("logs", name).strip(), name
    assert "api-1 " in live.run("logs")
    assert "<title>Neurmatic</title>" in live.get("/")
    assert '"status":"healthy"' in live.get("/api/v1/health").replace(" ", "")


def test_logs_are_followed_until_ctrl_c(live, tmp_path):
    output = tmp_path / "followed"
    with output.open("w") as file:
        following = subprocess.Popen(live.command("logs", "-f", "edge"), cwd=live.project, stdout=file)
    try:
        eventually(output.read_text)  # the lines of before are there: from here on it follows
        assert "/api/v1/tags?followed" not in output.read_text()
        assert eventually(lambda: live.get("/api/v1/tags?followed") and "/api/v1/tags?followed" in output.read_text())
    finally:
        following.send_signal(signal.SIGINT)
        following.wait(20)


def test_a_second_up_changes_nothing_and_a_commit_without_a_change_neither(live):
    before = live.processes()
    assert "nothing to change" in live.run("up")
    live.commit()
    assert live.json("plan") == {"steps": [], "files": {}, "migrations": None}
    assert "nothing to change" in live.run("up")
    assert live.processes() == before


def test_no_container_has_more_rights_than_it_needs(live, engine):
    assert {name: found for name, one in live.containers().items() if (found := container_problems(one))} == {}
    for name in live.containers():
        said = dict(line.split(":\t", 1) for line in live.execute(name, "cat", "/proc/1/status").splitlines())
        assert int(said["CapEff"], 16) == int(said["CapBnd"], 16) == 0, name
        assert said["NoNewPrivs"] == "1" and "0" not in said["Uid"].split(), name


def test_no_secret_is_told_shown_or_readable(live, engine):
    secrets = live.secrets()
    assert len(secrets) >= 5
    for name, said in live.containers().items():
        assert told_secrets(said, secrets) == [], name
        lines = live.execute(name, "sh", "-c", "cat /proc/*/cmdline")
        logged = engine.run("logs", f"{live.name}-{name}")
        assert not [key for key, value in secrets.items() if value in lines + logged.stdout + logged.stderr], name
    assert not [key for key, value in secrets.items() if value in live.run("logs", "-n", "1000") + live.run("events")]
    holding = [
        path
        for path in live.state.rglob("*")
        if path.is_file() and not path.is_relative_to(live.state / "data") and _holds(path, secrets.values())
    ]
    assert {live.state / "secrets.env", live.state / "services/api-1/secrets/POSTGRES_PASSWORD"} <= set(holding)
    assert {str(path): oct(path.stat().st_mode & 0o777) for path in holding if path.stat().st_mode & 0o077} == {}


def _holds(path, values):
    data = path.read_bytes()
    return any(value.encode() in data for value in values)


def test_a_secret_that_is_told_is_found(live):
    secrets = live.secrets()
    said = {"Config": {"Env": [f"DATABASE_URL=postgresql://x:{secrets['POSTGRES_PASSWORD']}@y"]}}
    assert told_secrets(said, secrets) == ["POSTGRES_PASSWORD"]


def test_only_the_edge_is_published(live):
    published = {name: one["NetworkSettings"]["Ports"] or {} for name, one in live.containers().items()}
    ports = {name: sorted(port for port, to in found.items() if to) for name, found in published.items()}
    assert len(ports.pop("edge")) == 2
    assert [name for name, found in ports.items() if found] == []
    networks = {name: set(one["NetworkSettings"]["Networks"]) for name, one in live.containers().items()}
    inside, outside = f"{live.name}_inside", f"{live.name}_outside"
    assert networks.pop("edge") == {inside, outside}
    assert set(map(frozenset, networks.values())) == {frozenset({inside})}
    assert live.engine.inspect(inside)[0]["Internal"]


def test_the_servers_run_with_the_figures_of_the_environment(live):
    figures = ("max_connections", "shared_buffers", "effective_cache_size", "log_min_duration_statement")
    assert [live.sql(f"SHOW {name}") for name in figures] == ["200", "512MB", "2GB", "1s"]
    redis = ("maxmemory", "maxmemory-policy", "appendonly")
    assert [live.redis("config", "get", name)[1] for name in redis] == [str(2048 * MEGABYTE), "allkeys-lru", "yes"]
    limits = {name: one["HostConfig"] for name, one in live.containers().items()}
    assert sum(one["Memory"] for one in limits.values()) <= 8192 * MEGABYTE
    assert sum(one["NanoCpus"] for one in limits.values()) <= 4e9
    group = Path("/proc") / str(live.processes()["api-1"]) / "cgroup"
    folder = Path("/sys/fs/cgroup") / group.read_text().splitlines()[-1].rpartition(":")[2].lstrip("/")
    if (folder / "memory.max").exists():  # of the second version; the first one's are elsewhere
        assert int((folder / "memory.max").read_text()) == 512 * MEGABYTE


def test_a_killed_process_is_started_again_by_the_engine_and_no_request_fails(live):
    before = live.rows()["api-1"]
    with unharmed(live):
        os.kill(before["pid"], signal.SIGKILL)
        eventually(
            lambda: (row := live.rows()["api-1"])["pid"] not in (None, before["pid"]) and row["health"] == "healthy"
        )
        eventually(lambda: "down" not in (live.state / "run/upstreams/api.conf").read_text())
    assert live.rows()["api-1"]["restarts"] == before["restarts"] + 1
    guard = live.processes()["guard"]
    os.kill(guard, signal.SIGKILL)
    eventually(lambda: live.processes()["guard"] not in (None, guard))


def test_a_restart_and_a_closed_edge(live):
    before = live.processes()
    with unharmed(live):
        live.run("restart", "api")
    after = live.processes()
    assert {name for name in before if before[name] != after[name]} == {"api-1", "api-2"}
    live.run("maintenance", "on")
    with pytest.raises(OSError, match="503"):
        live.get("/api/v1/articles")
    live.run("maintenance", "off")
    assert live.get("/api/v1/articles")


def test_a_backup_is_made_and_proven_and_a_deploy_makes_its_own(live):
    live.run("backup", "run")
    assert live.run("backup", "verify")
    release = live.json("status")["release"]
    live.another_release("The second release")
    with unharmed(live):
        said = live.run("deploy")
        assert "is proven" in said and " requests, 0 failed, longest gap " in said
        assert "The second release" in live.get("/api/v1/articles/live")
        assert live.json("status")["release"] != release
        live.run("rollback")
    assert live.json("status")["release"] == release
    live.run("status")
    assert "nothing to change" in live.run("up"), "it stays with the release gone back to"


def test_pages_of_the_release_before_find_their_assets(live):
    before = script_of(live)
    source = live.project / "frontend/src/main.ts"
    source.write_text(source.read_text() + 'console.debug("another release");\n')
    live.run("deploy", "--no-backup")
    after = script_of(live)
    assert before != after
    for path in (before, after):
        assert live.header(path, "Cache-Control") == "public, max-age=31536000, immutable", path
    live.run("rollback")
    assert script_of(live) == before
    for path in (before, after):
        assert live.get(path), path
    with pytest.raises(urllib.error.HTTPError, match="404"):
        live.get("/assets/none-0a1b.js")


def test_a_folder_that_the_sites_image_lacks_is_told_and_nothing_changes(live):
    release, source = live.json("status")["release"], live.project / "frontend/src/main.ts"
    text = source.read_text()
    with (
        edited(live.project / "neurmatic.toml", '"/site/assets"', '"/site/none"'),
        edited(source, text, text + 'console.debug("a third");\n'),
    ):
        said = live.run("deploy", "--no-backup", code=2)
    assert "containers.site_kept: /site/none can't be had" in said
    assert live.json("status")["release"] == release
    live.run("health")


def script_of(live):
    """What the page names, with a hash in its name."""
    return re.search(r'"(/assets/[^"]+[.]js)"', live.get("/"))[1]


def test_a_restore_in_place_takes_back_what_came_later(live):
    live.sql("CREATE TABLE IF NOT EXISTS kept AS SELECT 'before' AS word")
    live.run("backup", "run", "--kind", "logical")
    live.sql("INSERT INTO kept VALUES ('after')")
    live.run("restore", "latest", "--kind", "logical", "--in-place", "--yes")
    assert live.sql("SELECT word FROM kept") == "before"
    # To a second, from the base backup and the archive.
    live.sql("INSERT INTO kept VALUES ('then')")
    at = live.sql("SELECT clock_timestamp()")
    time.sleep(0.2)
    live.sql("INSERT INTO kept VALUES ('later')")
    live.run("restore", "--at", at, "--in-place", "--yes")
    assert live.sql("SELECT word FROM kept ORDER BY 1").split() == ["before", "then"]
    live.run("health")  # PostgreSQL was stopped for a moment, and the restore ended when all had connected again
    assert live.json("plan")["steps"] == []


def test_a_drill_is_acted_out_beside_it(live):
    before = live.processes()
    assert "RTO" in live.run("drill", "database")
    assert live.processes() == before
    assert set(live.containers()) == CONTAINERS


def test_it_stays_with_containers_and_does_not_change_while_it_runs(live):
    before = live.processes()
    said = live.run("up", "--runtime", "native", code=2)
    assert "the stack runs as containers" in said and "next: `neurmatic down` stops it" in said
    assert "nothing to change" in live.run("up")
    assert live.processes() == before


def test_what_goes_down_comes_back_with_its_data(live):
    live.sql("CREATE TABLE persistent AS SELECT generate_series(1, 1000) AS n")
    live.redis("set", "persistent", "42")
    before = {one["Id"] for one in live.containers().values()}
    assert "down; the data stays" in live.run("down")
    assert [one for one in live.left() if not one.startswith("image")] == []
    live.run("up")
    assert before.isdisjoint({one["Id"] for one in live.containers().values()})
    assert live.sql("SELECT count(*), sum(n) FROM persistent") == "1000|500500"
    assert live.redis("get", "persistent") == ["42"]
    assert set(live.rows()) == CONTAINERS | TIMERS | {"guard"}


def test_a_purge_leaves_nothing(live):
    assert any(one.startswith("image") for one in live.left())
    live.run("down", "--purge", "--backups", "--yes")
    assert live.left() == []
    assert not live.state.exists()
    assert "no stack was started here" in live.run("status", code=2)
