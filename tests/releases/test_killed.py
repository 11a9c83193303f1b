"""A deploy whose process is killed, at every step: a release serves all the while, and `deploy` as well as `up` make all whole."""

import random
import time

import pytest
from moments import STEPS, begin, heal


@pytest.mark.parametrize("number", range(len(STEPS)), ids=STEPS)
def test_killed_when_it(stack, number):
    with stack.unharmed():
        command, moments, old, new = begin(stack)
        assert command.reach(getattr(moments, STEPS[number])), command.said
        command.kill()
        assert stack.get()["greeting"] in (old, new)
        heal(stack, ("deploy", "up")[number % 2], new)


@pytest.mark.parametrize(
    "number", [STEPS.index("has_decided"), STEPS.index("switches")], ids=["has_decided", "switches"]
)
def test_killed_in_the_switch_and_healed_the_other_way_when_it(stack, number):
    with stack.unharmed():
        command, moments, _, new = begin(stack)
        assert command.reach(getattr(moments, STEPS[number])), command.said
        command.kill()
        heal(stack, ("up", "deploy")[number % 2], new)


@pytest.mark.parametrize("way", ["deploy", "up"])
def test_a_migration_that_outlives_its_command_is_waited_for_and_ended_at_last(stack, way):
    stack.edit("timeout = 20", "timeout = 6")
    with stack.unharmed():
        command, *_ = begin(stack, migrate="hang")
        assert command.reach(lambda: stack.processes("migrate"))
        command.kill()
        new = stack.behave()
        healing = stack.begin(way)
        while healing.process.poll() is None:
            assert len(stack.processes("migrate")) <= 1
        assert "whose command was killed" in healing.said
        stack.check_whole(new)
        assert stack.processes("migrate") == []


SEED = 20261126


def test_killed_at_ten_random_moments_one_after_the_other(stack):
    chance = random.Random(SEED)
    with stack.unharmed():
        decided = ""
        for _ in range(10):
            command, _, old, new = begin(stack)
            time.sleep(chance.uniform(0.5, 8))
            command.kill()
            assert stack.get()["greeting"] in (old, decided, new)  # decided: killed before the edge had heard of it
            decided = new
        heal(stack, "deploy", stack.behave())


def test_a_scaling_that_is_killed_is_taken_to_its_end_by_the_next_deploy(stack):
    with stack.unharmed():
        command = stack.begin("scale", "app=1")
        assert command.reach(lambda: stack.deployed["scale"])
        command.kill()
        new = stack.behave()
        stack.run("deploy")
        stack.check_whole(new, 1)
        stack.run("scale", "app=2")
        stack.check_whole(new)
