"""The checks of limits, and of data that outlives the containers: red for each that doesn't hold."""

import pytest
from containers.controls.sabotage import first, red

from neurmatic.readiness.checks import stack_persistence
from neurmatic.readiness.finding import Status
from neurmatic.readiness.subject import Subject, View
from neurmatic.releases.contained import ContainerWay

MEGABYTE = 1024**2


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
