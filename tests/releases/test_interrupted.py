"""A deploy that gets Ctrl-C or SIGTERM: before the switch is past it goes back, after it comes to its end."""

import shutil
import signal

import pytest
from moments import begin, heal

INTERRUPTED, TERMINATED = 130, 143


@pytest.mark.parametrize(
    ("way", "step", "slow"),
    [
        ("interrupted", "is_building", "build"),
        ("terminated", "is_migrating", "migrate"),
        ("interrupted", "has_started_one", "start"),
        ("terminated", "has_started_one", "start"),
        ("interrupted", "has_decided", ""),
        ("terminated", "loads", ""),
        ("interrupted", "watches", ""),
    ],
)
def test_asked_to_end_it_goes_back(stack, way, step, slow):
    with stack.unharmed():
        command, seen, old, new = begin(stack, **({slow: 2} if slow else {}))
        assert command.reach(getattr(seen, step)), command.said
        ask(command, way)
        assert command.wait() == {"interrupted": INTERRUPTED, "terminated": TERMINATED}[way], command.said
        event = stack.ended("deploy")
        assert event["result"] == "failed"
        stack.behave_as(old)
        stack.check_whole(old)
        stack.behave_as(new)
        assert "cut off" not in heal(stack, "deploy", new)


@pytest.mark.parametrize("way", ["interrupted", "terminated"])
def test_asked_to_end_when_there_is_no_way_back_it_comes_to_its_end(stack, way):
    with stack.unharmed():
        command, seen, _, new = begin(stack)
        assert command.reach(seen.drains), command.said
        ask(command, way)
        assert command.wait() == 0, command.said
        assert stack.ended("deploy")["result"] == "done"
        stack.check_whole(new)


def test_a_way_back_that_fails_takes_nothing_away_that_serves(stack):
    with stack.unharmed():
        command, seen, old, new = begin(stack)
        assert command.reach(seen.watches), command.said
        obstacle = stack.state / "run" / "drained" / seen.new[0]
        (obstacle / "in the way").mkdir(parents=True)
        ask(command, "terminated")
        assert command.wait() == 1, command.said
        assert f"{', '.join(seen.new)} are left" in command.said
        assert stack.get()["greeting"] in (old, new)
        shutil.rmtree(obstacle, ignore_errors=True)
        heal(stack, "deploy", new)


def ask(command, way):
    if way == "interrupted":
        command.interrupt()
    else:
        command.process.send_signal(signal.SIGTERM)
