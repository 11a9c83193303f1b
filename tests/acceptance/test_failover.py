"""An edge whose limits are changed, and whose instances and guard die, under load."""

import json
import os
import re
import signal
import urllib.error

from waiting import eventually


def test_a_newcomer_changes_a_limit_and_sees_it_take_effect_under_load(new, load):
    new.edit("[edge]", '[edge]\nlimits.paths = ["/limited"]\nlimits.rate = 1000\nlimits.burst = 1000')
    new.run("up")
    assert statuses(new, "/limited", 30) == {200}
    new.edit("limits.rate = 1000\nlimits.burst = 1000", "limits.rate = 2\nlimits.burst = 3")
    plan = new.run("plan")
    assert re.search(r"^-.*rate=1000r/s;$", plan, re.MULTILINE) and re.search(r"^\+.*rate=2r/s;$", plan, re.MULTILINE)
    assert "reload edge: its configuration changed" in plan
    with load(new) as under:
        new.run("up")
        assert statuses(new, "/limited", 10) == {200, 429}
    assert under.answered > 20 and not under.failed, under.failed[:3]


def statuses(stack, path, times):
    found = set()
    for _ in range(times):
        try:
            stack.get(path)
            found.add(200)
        except urllib.error.HTTPError as error:
            found.add(error.code)
    return found


def test_the_guards_death_stops_no_traffic_and_its_successor_goes_on(stack, load):
    before = stack.status()
    with load(stack) as under:
        os.kill(before["guard"]["pid"], signal.SIGKILL)
        os.kill(before["app-1"]["pid"], signal.SIGKILL)
        eventually(
            lambda: stack.status()["guard"]["health"] == "healthy" and stack.pids()["guard"] != before["guard"]["pid"]
        )
        eventually(lambda: stack.status()["app-1"]["health"] == "healthy")
    assert not under.failed, under.failed[:3]
    assert stack.status()["guard"]["restarts"] == before["guard"]["restarts"] + 1


def test_without_the_guard_nginx_alone_leads_around_a_dead_instance(new, load):
    new.run("up")
    os.kill(new.status()["guard"]["pid"], signal.SIGSTOP)
    with load(new) as under:
        os.kill(new.status()["app-2"]["pid"], signal.SIGKILL)
        eventually(lambda: new.status()["app-2"]["health"] == "healthy")
    assert not under.failed, under.failed[:3]
    new.run("down")


def test_one_after_the_other_may_die_within_the_time_that_nginx_remembers_a_failure(new, load):
    new.run("up")
    with load(new) as under:
        for name in ("app-1", "app-2"):
            before = len(guard_says(new))
            os.kill(new.status()[name]["pid"], signal.SIGKILL)
            eventually(lambda: [one["action"] for one in guard_says(new)[before:]][-2:] == ["in", "reload"])  # noqa: B023
    assert not under.failed, under.failed[:3]


def test_an_instance_taken_out_is_named_with_the_reason(stack, load):
    victim = stack.status()["app-1"]["pid"]
    with load(stack) as under:
        before = len(guard_says(stack))
        os.kill(victim, signal.SIGSTOP)
        said = eventually(lambda: guard_says(stack)[before:])
        os.kill(victim, signal.SIGCONT)
        eventually(lambda: [one["action"] for one in guard_says(stack)[before:]][-2:] == ["in", "reload"])
    assert (said[0]["action"], said[0]["instance"]) == ("out", "app-1") and "no answer within 1 s" in said[0]["reason"]
    assert not under.failed, under.failed[:3]  # the application names no health.live: it is waited for, not killed


def guard_says(stack):
    lines = stack.run("logs", "guard", "-n", "1000").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]
