"""What the stack does of its own accord, with nobody's shell: its own scheduler, real time."""

import os
import signal
import time
from datetime import UTC, datetime, timedelta

import pytest
from backed_up import BackedUp, wait

TIMER = "timer-backup"


@pytest.fixture(scope="module")
def stack():
    """One whose daily run is hours away."""
    one = BackedUp()
    yield one
    one.remove()


def events(stack, action, result=None):
    return [one for one in stack.events() if one["action"] == action and result in (None, one["result"])]


def timer(stack):
    return next(one for one in stack.json("backup", "schedule") if one["name"] == TIMER)


def move(stack, due):
    """Another time of the daily runs in the stack file."""
    stack.edit(f'at = "{at(stack)}"', f'at = "{due:%H:%M}"')


def at(stack):
    return stack.file.read_text().partition('at = "')[2][:5]


def test_the_daily_run_comes_by_itself(stack):
    there = timer(stack)
    assert there["state"] == "running" and there["last"] == ""
    assert there["next"][11:16] == at(stack)
    assert stack.listed() == []
    status = stack.json("backup", "status", code=1)
    assert {"backup.missing.logical.local", "backup.missing.physical.local"} <= status["problems"].keys()
    assert "there is no logical backup" in stack.run("backup", "watch", code=1)
    assert "backup.missing.logical.local" in stack.alerts()

    # Should the stack come up after the minute, the run is made up for at once: no harm done.
    due = (datetime.now(UTC) + timedelta(seconds=75)).replace(second=0, microsecond=0)
    move(stack, due)
    stack.run("up")
    wait(lambda: events(stack, "prune", "done"), 600, every=1)
    made = stack.listed()
    assert [one["kind"] for one in made] == ["logical", "physical"]
    assert all(one["standing"] == "proven" for one in made)
    assert [one["kind"] for one in events(stack, "backup", "done")] == ["logical", "physical"]
    assert {one["id"] for one in events(stack, "verify", "done")} == {one["id"] for one in made}
    assert not events(stack, "backup", "late")
    assert all(one["begun"] >= due.isoformat() for one in made)
    wait(lambda: timer(stack)["last"] and timer(stack)["state"] == "running")
    there = timer(stack)
    assert there["last"] >= f"{due:%Y-%m-%d %H:%M}"
    assert there["next"].startswith(f"{due + timedelta(days=1):%Y-%m-%d %H:%M}")
    assert not stack.left_behind()


def test_the_watch_clears_what_is_over_and_status_is_green(stack):
    stack.run("backup", "watch")
    cleared = [one["subject"] for one in events(stack, "alert", "cleared")]
    assert "backup.missing.logical.local" in cleared and "backup.unproven.physical" in cleared
    status = stack.json("backup", "status")
    assert status["problems"] == {}
    assert status["rpo_seconds"] is not None and status["rto_seconds"] > 0
    assert {one["standing"] for one in status["latest"]} == {"proven"}
    assert "RPO" in stack.run("backup", "status")


def test_a_timer_that_is_gone_is_told_and_started_again(stack):
    """Its supervisor ended, as by somebody who tidies up."""
    stack.end_supervisor(TIMER)
    wait(lambda: stack.status()[TIMER]["state"] != "running")
    problems = stack.json("backup", "status", code=1)["problems"]
    assert TIMER in problems["backup.timer"] and "backup schedule" in problems["backup.timer"]
    stack.run("backup", "watch", code=1)
    assert "backup.timer" in stack.alerts()
    assert "backup run --scheduled" in stack.run("backup", "schedule")
    assert timer(stack)["state"] == "running"
    stack.run("backup", "watch")
    assert ("backup.timer", "cleared") in [(one["subject"], one["result"]) for one in events(stack, "alert")]


def test_a_missed_run_is_made_up_for_and_told(stack):
    """The stack was down when the run was due: 50 minutes ago, by the stack file of now."""
    count = len(stack.listed())
    stack.run("down")
    due = (datetime.now(UTC) - timedelta(minutes=50)).replace(second=0, microsecond=0)
    move(stack, due)
    yesterday = time.time() - 24 * 3600
    os.utime(stack.state / "timers" / TIMER, (yesterday, yesterday))
    pruned = len(events(stack, "prune", "done"))
    stack.run("up")
    wait(lambda: len(events(stack, "prune", "done")) > pruned, 600, every=1)
    (late,) = events(stack, "backup", "late")
    assert 50 <= late["minutes"] <= (datetime.now(UTC) - due) / timedelta(minutes=1) + 1
    assert late["due"].startswith(f"{due:%Y-%m-%dT%H:%M}")
    assert len(stack.listed()) == count + 2


def test_a_scheduled_run_waits_for_one_that_is_at_work(stack):
    first = stack.start("backup", "run", "--kind", "logical")
    assert "dumping" in first.stdout.readline()
    os.kill(first.pid, signal.SIGSTOP)
    count = len(events(stack, "backup", "done"))
    second = stack.start("backup", "run", "--scheduled", "--wait", "60", env={"PATH": "/usr/bin:/bin"})
    while "waiting for its end" not in (line := second.stdout.readline()):
        assert line
    assert len(events(stack, "backup", "done")) == count
    os.kill(first.pid, signal.SIGCONT)
    for run in (first, second):
        said, _ = run.communicate(timeout=600)
        assert run.returncode == 0, said
    assert len(events(stack, "backup", "done")) == count + 3
    results = [one["result"] for one in events(stack, "backup") if one["result"] != "late"]
    assert results[-6:] == ["begun", "done"] * 3, "one after the other"
