"""Releases that are no good, in every way: the one before serves all the while, and the next good one is deployed as ever."""

import contextlib
import json
import os
import socket
import subprocess

import pytest

EDITS = [("start_timeout = 10", "start_timeout = 5"), ("watch = 1", "watch = 6"), ("timeout = 20", "timeout = 6")]
"""Less patient; and watching for as long as a release needs to go wrong."""
ALL = [f"app-{n}" for n in range(1, 5)]
BAD = {
    "never ready": ({"never_ready": True}, "did not become healthy within 5 s"),
    "ends at its start": ({"exits": True}, "as it was told to"),
    "says another version": (
        {"says": "0.0.9-old"},
        ", and it says that it is 0.0.9-old",
    ),
    "one is ready and dies": ({"dies": [1.5, ["app-2", "app-4"]]}, "was ready and ended 1 time since"),
    "its migration fails": ({"migrate": "fail"}, "migrate fails as it was told to"),
    "its migration hangs": ({"migrate": "hang"}, "did not end within 6 s"),
    "its build fails": ({"build": "fail"}, "build fails as it was told to"),
}


@contextlib.contextmanager
def borne(stack, path="/"):
    """Whatever is done in the block: the release that serves goes on, no request fails, and nothing is left behind."""
    greeting, before = stack.get()["greeting"], serving(stack)
    with stack.unharmed(path):
        yield
        assert stack.get()["greeting"] == greeting
        assert serving(stack) == before
        stack.behave_as(greeting)
        stack.check_whole(greeting)
        deploy_good(stack)


def serving(stack):
    """What is deployed, less what is known of schemas: migrations that ran stay, whatever became of their release."""
    schema = ("revisions", "contracts", "migrations")
    return {key: value for key, value in stack.deployed.items() if key not in schema}


def deploy_good(stack):
    stack.edit("watch = 6", "watch = 0")
    greeting = stack.behave()
    said = stack.run("deploy")
    assert "cut off" not in said
    stack.check_whole(greeting)
    stack.edit("watch = 0", "watch = 6")


@pytest.mark.parametrize(("ways", "words"), BAD.values(), ids=BAD.keys())
def test_a_release_that(stack, ways, words):
    with borne(stack):
        stack.behave(**ways)
        said = stack.run("deploy", code=1)
        assert words in said and "next: " in said
        event = stack.ended("deploy")
        assert event["result"] == "failed" and words in event["reason"]
        assert event["measured"]["failed"] == 0


def test_a_release_that_answers_500_is_taken_back_by_what_the_load_sees(stack):
    with borne(stack, "/other"):
        stack.behave(breaks=1)
        said = stack.run("deploy", "--probe", stack.url + "/", code=1)
        assert "failed after the switch to" in said
        event = stack.ended("deploy")
        assert event["result"] == "failed" and event["measured"]["failed"] > 0
        assert "500" in event["measured"]["words"]


@contextlib.contextmanager
def failing_now(stack, **ways):
    """A release serves whose page fails; it got there because nobody looked at the page."""
    stack.edit("watch = 6", "watch = 2")
    stack.behave(**ways)
    stack.run("deploy", "--probe", stack.url + "/other")
    yield stack.url + "/"
    stack.edit("watch = 2", "watch = 6")
    deploy_good(stack)


def test_a_page_that_failed_now_and_then_before_does_not_excuse_a_release_that_breaks_it(stack):
    with failing_now(stack, stumbles=5) as page:
        serves = serving(stack)
        stack.behave(breaks=0)
        said = stack.run("deploy", "--probe", page, code=1)
        assert "failed before the switch, those after it are judged by themselves" in said
        assert "failed after the switch to" in said
        assert serving(stack) == serves
        good = stack.behave()
        assert "failed before the switch" in stack.run("deploy", "--probe", page)
        stack.check_whole(good)


def test_a_page_that_was_never_well_does_not_keep_its_cure_away(stack):
    with failing_now(stack, breaks=0) as page:
        assert "failed before the switch, all: it is not judged" in stack.run("deploy", "--probe", page)
        good = stack.behave()
        assert "failed before the switch, all: it is not judged" in stack.run("deploy", "--probe", page)
        stack.check_whole(good)


def test_a_release_that_hangs_is_taken_back_however_short_the_watch(stack):
    with borne(stack, "/other"):
        stack.edit("watch = 6", "watch = 0")
        stack.behave(hangs=True)
        assert "failed after the switch to" in stack.run("deploy", "--probe", stack.url + "/", code=1)
        assert "no whole answer within 5 s" in stack.ended("deploy")["measured"]["words"]
        stack.edit("watch = 0", "watch = 6")


def test_a_release_of_which_all_die_is_taken_back_within_a_second_or_two(stack):
    greeting = stack.get()["greeting"]
    with stack.load("/") as load:
        stack.behave(dies=[1, ALL])
        assert "was ready and ended" in stack.run("deploy", code=1)
        stack.behave_as(greeting)
        stack.check_whole(greeting)
    assert load.failed  # no one else is there: what counts is that it is over
    deploy_good(stack)


def refused(stack, words):
    stack.behave()
    said = stack.run("deploy", code=2)
    assert words in said and "next: " in said
    return stack.ended("deploy")


def test_a_deploy_without_room_for_two_releases_is_refused(stack):
    with borne(stack):
        ports = stack.ports
        pool = f"{ports['first']}-{ports['last']}"
        stack.edit(pool, f"{ports['first']}-{ports['third']}")
        refused(stack, "services.app.ports: a deploy starts 2 new instances beside those that serve")
        stack.edit(f"{ports['first']}-{ports['third']}", pool)


def test_a_deploy_to_a_port_that_somebody_has_is_refused(stack):
    with borne(stack), socket.socket() as other:
        number = int(stack.placed(other=True)[1].rpartition("-")[2])
        port = stack.ports["first"] + number - 1
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        event = refused(stack, f"{port} (app-{number}'s port) is taken by ")
        assert event["result"] == "failed" and f"{port}" in event["reason"]
        other.close()


def test_a_deploy_that_needs_more_connections_than_the_database_has_is_refused(stack):
    with borne(stack):
        stack.edit("drain = 0.5", "drain = 0.5\npool_size = 20")
        event = refused(stack, "postgres.max_connections: both releases together may hold 80 connections")
        assert event["result"] == "failed"
        stack.edit("drain = 0.5\npool_size = 20", "drain = 0.5")


def test_a_stack_file_with_other_ports_is_refused_before_the_edge_hears_of_it(stack):
    with borne(stack):
        ports = stack.ports
        pool = f"{ports['first']}-{ports['last']}"
        moved = f"{ports['first'] + 1}-{ports['last'] + 1}"
        stack.edit(pool, moved)
        stack.edit(f"port = {ports['postgres']}", f"port = {ports['spare']}")
        assert "the stack file has other ports for app-" in stack.run("deploy", code=2)
        stack.edit(moved, pool)
        stack.edit(f"port = {ports['spare']}", f"port = {ports['postgres']}")


def test_who_reads_our_output_may_leave(stack):
    """A pipe that is closed ends neither a deploy nor the way back."""
    with borne(stack):
        stack.behave(dies=[1.5, ["app-2", "app-4"]])
        closed, ours = os.pipe()
        deploying = subprocess.Popen(stack.command("deploy"), cwd=stack.folder, stdout=ours, stderr=ours)
        os.close(ours)
        os.close(closed)
        assert deploying.wait(timeout=60) == 1
        assert "was ready and ended" in stack.ended("deploy")["reason"]


def test_before_the_first_up_there_is_nothing_to_take_the_place_of(stack):
    from rolling import Rolling

    new = Rolling()
    try:
        assert "`neurmatic up`" in new.run("deploy", code=2)
        assert new.services == [] if (new.state / "services").exists() else True
        assert json.loads(new.run("releases", "--json")) == []
    finally:
        new.remove()
