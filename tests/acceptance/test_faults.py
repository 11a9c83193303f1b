"""What a user lives through on a bad day."""

import json
import os
import random
import signal
import socket
import subprocess
import time

import pytest
from waiting import eventually


@pytest.mark.parametrize("name", ["app-1", "redis", "postgres", "edge"])
def test_a_killed_process_comes_back_and_the_status_shows_it(stack, load, name):
    before = stack.status()[name]
    with load(stack) as under:
        time.sleep(0.3)
        os.kill(before["pid"], signal.SIGKILL)
        after = eventually(
            lambda: (row := stack.status()[name])["health"] == "healthy" and row["pid"] != before["pid"] and row
        )
    assert after["restarts"] == before["restarts"] + 1
    if name == "app-1":
        assert under.answered > 0
        assert not under.failed, under.failed[:3]


@pytest.mark.parametrize("victims", [["runsvdir"], ["runsv"], ["runsvdir", "runsv"]], ids=" and ".join)
def test_the_death_of_the_supervisor_stops_no_traffic_and_starts_nothing_twice(stack, load, victims):
    before = stack.pids()
    with load(stack) as under:
        for victim in victims:
            for pid in stack.supervisors(victim):
                os.kill(pid, signal.SIGKILL)
        time.sleep(1)
        assert stack.pids() == before
        stack.run("up")
        time.sleep(6)  # runsvdir has looked again
        assert stack.pids() == before
        assert len(stack.processes("demo_app.py")) == 2
    assert not under.failed, under.failed[:3]
    os.kill(before["app-1"], signal.SIGKILL)  # whoever waits for an orphan takes over
    eventually(lambda: stack.status()["app-1"]["health"] == "healthy" and stack.pids()["app-1"] != before["app-1"])
    stack.run("down")
    assert not stack.processes("demo_app.py")


def test_up_killed_at_any_moment_is_taken_up_again(make_stack):
    stack = make_stack()
    random.seed(7)
    for _ in range(8):
        one = subprocess.Popen(
            stack.command("up"), cwd=stack.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(random.uniform(0.15, 1.6))
        one.kill()
        one.wait()
    stack.run("up")
    assert len(stack.processes("demo_app.py")) == 2
    assert len(stack.supervisors("runsvdir")) == 1
    assert stack.get("/")
    results = [event["result"] for event in json.loads(stack.run("events", "--json")) if event["action"] == "up"]
    assert results[-1] == "done"


def test_two_at_once_and_a_lock_that_ends_with_its_process(new):
    new.edit("start_timeout = 15", "start_timeout = 60")
    (new.folder / "unready").touch()
    first = subprocess.Popen(new.command("up"), cwd=new.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually(lambda: new.processes("demo_app.py"), 120)
    assert "another command is at work on this stack: neurmatic up by" in new.run("up", code=1)
    first.kill()
    first.wait()
    (new.folder / "unready").unlink()
    new.run("up")


def test_a_taken_port_is_named_with_who_has_it_and_nothing_starts(new):
    with socket.create_server(("127.0.0.1", new.ports["redis"])):
        text = new.run("up", code=2)
    assert f"{new.ports['redis']} (redis's port) is taken by" in text and f"pid {os.getpid()}" in text
    assert not new.processes("demo_app.py")
    new.run("up")


def test_a_broken_stack_file_leaves_what_runs_alone(stack):
    good = stack.file.read_text()
    stack.file.write_text(good.replace("https_port", "htps_port"))
    assert "did you mean https_port?" in stack.run("up", code=2)
    stack.file.write_text(good)
    assert stack.get("/")


def test_a_state_folder_of_another_version_is_refused_untouched(new):
    new.state.mkdir()
    (new.state / "FORMAT").write_text("99\n")
    (new.state / "data").mkdir()
    assert "format 99" in new.run("up", code=2)
    assert sorted(path.name for path in new.state.iterdir()) == ["FORMAT", "data"]


def test_a_folder_that_is_not_ours_is_refused_untouched(new, tmp_path):
    (tmp_path / "photo.jpg").touch()
    assert "photo.jpg" in new.run("up", "--state", str(tmp_path), code=2)
    new.run("down", "--purge", "--yes", "--state", str(tmp_path), code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_data_of_another_postgresql_is_refused_untouched(new):
    new.run("up")
    new.run("down")
    version = new.state / "data" / "postgres" / "PG_VERSION"
    kept = version.read_text()
    version.write_text("9\n")
    assert "made by PostgreSQL 9" in new.run("up", code=2)
    version.write_text(kept)
    new.run("up")


def test_what_never_becomes_healthy_is_said_with_its_last_words(new):
    new.edit("start_timeout = 15", "start_timeout = 60")
    new.edit('"demo_app.py"]', '"demo_app.py", "crash"]')
    text = new.run("up", code=1)
    assert "app-1 ended 4 times" in text and "as it was told to" in text and "neurmatic logs app-1" in text
    assert new.status()["postgres"]["health"] == "healthy", "what ran before goes on running"
    new.edit(', "crash"]', "]")
    new.run("up")


def test_nothing_starts_before_what_it_needs(new):
    new.run("up")
    folder = new.state / "services" / "app-1"
    subprocess.run(["sv", "-w", "20", "down", folder], check=True)
    postgres = new.pids()["postgres"]
    os.kill(postgres, signal.SIGSTOP)
    one = subprocess.Popen(new.command("up"), cwd=new.folder, stdout=subprocess.PIPE, text=True)
    known = (new.state / "events.jsonl").read_text().count('"wait"')
    eventually(lambda: (new.state / "events.jsonl").read_text().count('"wait"') > known, 60)
    assert not (folder / "supervise" / "pid").read_text().strip()
    os.kill(postgres, signal.SIGCONT)
    assert "app-1 waits for postgres" in one.communicate(timeout=60)[0]
    assert one.returncode == 0


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_up_leaves_a_stack_that_can_be_taken_up_again(new, sign):
    one = subprocess.Popen(new.command("up"), cwd=new.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    eventually(new.state.exists)  # on a busy machine it takes its time until it is at work
    one.send_signal(sign)
    _, errors = one.communicate(timeout=30)
    assert "Traceback" not in errors and one.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[sign]
    new.run("up")
    assert new.get("/")


def test_a_terminated_verify_clears_its_rehearsal_copy_away(stack):
    one = subprocess.Popen(stack.command("verify", "stack.health-gates"), cwd=stack.folder, stdout=subprocess.DEVNULL)
    copy = stack.state / "rehearsal"
    eventually((copy / "services" / "postgres" / "supervise" / "pid").exists, 120)
    one.terminate()
    assert one.wait(timeout=60) == 143
    assert not copy.exists() and len(stack.processes("demo_app.py")) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_said_clearly_and_works_again_when_there_is_space(new, tmp_path):
    disk = new.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m,mode=0755", "tmpfs", disk], check=True)
    try:
        words = ("--state", str(disk / "state"))
        text = new.run("up", *words, code=1)
        assert "No space left on device" in text or "Check free disk space" in text, (
            text
        )  # a short write, in PostgreSQL's words
        assert "Traceback" not in text
        subprocess.run(["mount", "-o", "remount,size=400m", disk], check=True)
        new.run("up", *words)
        new.run("down", "--purge", "--yes", *words)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_an_account_that_can_not_reach_the_project_is_told_so(new):
    if os.geteuid() != 0:
        pytest.skip("an ordinary user runs everything itself")
    new.folder.chmod(0o700)
    text = new.run("up", code=2)
    assert "services run as nobody, which can't enter" in text
    new.folder.chmod(0o755)
    subprocess.run(["rm", "-rf", (new.folder / ".neurmatic").resolve()], check=True)
