"""What a user does on a good day."""

import json
import os
import re
import subprocess
from pathlib import Path


def psql(stack, sql):
    secrets = dict(line.split("=", 1) for line in (stack.state / "secrets.env").read_text().splitlines() if "=" in line)
    argv = ["psql", "-h", "127.0.0.1", "-p", str(stack.ports["postgres"]), "-U", "app", "-d", "app", "-Atc", sql]
    return subprocess.run(
        argv, env=os.environ | {"PGPASSWORD": secrets["POSTGRES_PASSWORD"]}, capture_output=True, text=True, check=True
    ).stdout


def test_up_shows_a_table_and_a_second_up_changes_nothing(stack):
    before = stack.pids()
    text = stack.run("up")
    assert "nothing to change" in text and stack.url in text
    assert stack.pids() == before
    assert "nothing to change" in stack.run("plan")


def test_down_keeps_the_data(stack):
    psql(stack, "CREATE TABLE kept AS SELECT 42 AS answer")
    text = stack.run("down")
    assert "the data stays" in text
    assert not stack.processes("demo_app.py") and not stack.supervisors("runsvdir") and not stack.supervisors("runsv")
    assert "nothing was running" in stack.run("down")
    stack.run("up")
    assert psql(stack, "SELECT answer FROM kept") == "42\n"


def test_purge_says_what_asks_and_deletes(new):
    new.run("up")
    text = new.run("down", "--purge", stdin="no\n", code=1)
    assert "data" in text and "nothing was stopped or deleted" in text
    assert new.get("/")
    new.run("down", "--purge", stdin="demo\n")
    assert not new.state.exists()


def test_a_changed_configuration_is_planned_and_applied_under_load_without_a_failed_request(stack, load):
    stack.edit('health.ready = "/ready"', 'health.ready = "/ready"\nenv.GREETING = "hello"')
    stack.edit("[edge]", '[edge]\nbody_size = "5m"')
    plan = stack.run("plan")
    assert "client_max_body_size 5m;" in plan and "restart app-1" in plan
    with load(stack) as under:
        stack.run("up")
    assert under.answered > 20
    assert not under.failed, under.failed[:3]
    assert stack.get("/")["greeting"] == "hello"


def test_scaling_up_and_down_under_load(stack, load):
    with load(stack) as under:
        stack.edit("instances = 2", "instances = 3")
        stack.run("up")
        assert {one["instance"] for one in (stack.get("/") for _ in range(30))} >= {"app-3"}
        stack.edit("instances = 3", "instances = 2")
        stack.run("up")
        assert "app-3" not in stack.status()
        assert len(stack.processes("demo_app.py")) == 2
    assert not under.failed, under.failed[:3]


def test_status_json_has_the_promised_keys(stack):
    status = json.loads(stack.run("status", "--json"))
    assert list(status) == ["stack", "environment", "url", "release", "services", "maintenance"]
    keys = {"service", "instance", "state", "health", "version", "address", "pid", "memory_bytes", "restarts"}
    assert all(keys <= set(row) for row in status["services"])


def test_health_is_red_for_what_is_stopped(stack):
    assert json.loads(stack.run("health", "--json"))["healthy"]
    for name, part in (("redis", "redis"), ("app-2", "api")):
        subprocess.run(["sv", "-w", "20", "down", stack.state / "services" / name], check=True)
        report = json.loads(stack.run("health", "--json", code=1))
        assert [key for key, one in report["checks"].items() if one["ok"] is False] == [part]
        stack.run("up")


def test_logs_and_events(stack):
    assert "serving" in stack.run("logs", "app-1")
    edge = json.loads(stack.run("logs", "edge", "-n", "1").splitlines()[-1])
    assert edge["status"] == 200 and len(edge["id"]) == 32
    events = json.loads(stack.run("events", "--json"))
    assert {"action": "up", "result": "done"}.items() <= next(
        e for e in reversed(events) if e["action"] == "up"
    ).items()
    stack.run("logs", "nobody", code=2)


def test_no_secret_is_seen_where_others_look(stack):
    secrets = [line.split("=", 1)[1] for line in (stack.state / "secrets.env").read_text().splitlines() if "=" in line]
    shown = "".join(
        stack.run(*words) for words in (["config"], ["plan"], ["status"], ["events"], ["logs"], ["config", "--json"])
    )
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            shown += command.read_text()
        except OSError:
            continue
    assert len(secrets) == 3 and not [one for one in secrets if one in shown]
    for path in stack.state.rglob("*"):
        if path.is_file() and path.stat().st_mode & 0o077 and "data" not in path.parts:
            assert not [one for one in secrets if one in path.read_text(errors="replace")], path


def test_render_writes_every_file_and_no_secret(stack, tmp_path):
    names = stack.run("render", str(tmp_path / "out")).split()
    assert "config/nginx/nginx.conf" in names and "services/app-2/run" in names
    secrets = [line.split("=", 1)[1] for line in (stack.state / "secrets.env").read_text().splitlines() if "=" in line]
    text = "".join(path.read_text() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert not [one for one in secrets if one in text]
    stack.run("render", str(tmp_path / "out"), code=2)


def test_restart_takes_one_after_the_other(stack, load):
    before = stack.pids()
    with load(stack) as under:
        stack.run("restart", "app")
    assert not under.failed, under.failed[:3]
    after = stack.pids()
    assert {name for name in before if before[name] != after[name]} == {"app-1", "app-2"}


def test_an_ordinary_user_and_two_stacks_side_by_side(stack, make_stack, ordinary_user):
    other = make_stack(user=ordinary_user)
    other.run("up")
    assert other.get("/") and stack.get("/")
    assert re.search(r"app-2 +running +healthy", other.run("status"))
    other.run("down")
    assert stack.get("/")


def test_somebody_elses_application_from_init_on(make_stack):
    stack = make_stack()
    stack.file.unlink()
    (stack.folder / "index.html").write_text("mine")
    stack.run("init", "--name", "other")
    stack.edit('name = "other"', 'name = "other"\nuser = "nobody"')
    url = re.search(r"https://\S+", stack.run("up"))[0]
    done = subprocess.run(
        ["curl", "-s", "--cacert", stack.state / "tls/ca.pem", f"{url}/"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "mine"
