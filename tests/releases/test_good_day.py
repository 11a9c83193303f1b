"""Deploy, rollback and scale when all goes well: nothing is dropped, and everyone sees what was done."""

from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor

import pytest

from neurmatic.cli.loaded import load_stack, prepare_up
from neurmatic.errors import BusyError
from neurmatic.releases.deploy import roll
from neurmatic.releases.rollout import Choice

ROUTES = ("/", "/ready")


@pytest.fixture
def served(stack):
    """Constant load all through the test: whatever it does, no request fails."""
    with stack.unharmed():
        yield stack


def deploy(stack, *words, **ways):
    greeting = stack.behave(**ways)
    stack.run("deploy", *words)
    return greeting


def test_a_deploy_drops_nothing_and_says_so(served):
    before, numbers = served.deployed, served.placed()
    greeting = served.behave()
    assert "app" in served.run("plan")
    said = served.run("deploy")
    assert " requests, 0 failed, longest gap " in said
    assert served.placed() != numbers and served.placed() == served.services
    served.check_whole(greeting)

    event = served.ended("deploy")
    assert event["result"] == "done" and event["actor"] and event["duration_s"] > 1
    assert (event["release"], event["before"]) == (served.deployed["release"], before["release"])
    assert list(event["phases"]) == ["prepare", "build", "migrate", "start", "switch", "watch", "drain"]
    assert event["measured"]["failed"] == 0 and event["measured"]["requests"] > 20


def test_each_result_is_json_for_machines(served):
    first = served.deployed["release"]
    served.behave()
    done = served.json("deploy", "--probe", served.url + "/other")
    assert done["release"] == served.deployed["release"] and done["before"] == first
    assert done["measured"]["failed"] == 0 and done["seconds"]["switch"] > 0
    back = served.json("rollback")
    assert (back["release"], back["before"]) == (first, done["release"])
    assert "migrate" not in back["seconds"] and "build" not in back["seconds"]
    scaled = served.json("scale", "app=1")
    assert scaled["instances"] == 1 and scaled["measured"]["failed"] == 0
    served.json("scale", "app=2")
    listed = {one["release"]: one["standing"] for one in served.json("releases")}
    assert listed[first] == "serving" and done["release"] in listed
    assert served.json("releases", "--prune", "--dry-run") == []


def test_a_rollback_goes_back_one_release_and_then_one_more(served):
    greetings = [deploy(served) for _ in range(3)]
    served.run("rollback")
    served.check_whole(greetings[1])
    served.run("rollback")
    served.check_whole(greetings[0])
    assert served.ended("rollback")["result"] == "done"


def test_up_stays_with_a_release_gone_back_to_until_the_next_deploy(served):
    old, new = deploy(served), deploy(served)
    served.run("rollback")
    served.run("up")
    served.check_whole(old)
    served.run("deploy")
    served.check_whole(new)
    newest = served.behave()
    served.run("up")
    served.check_whole(newest)


def test_a_release_is_deployed_by_the_begin_of_its_name(served):
    old = deploy(served)
    release = served.deployed["release"]
    new = deploy(served)
    served.run("deploy", release[:-3])
    served.check_whole(old)
    assert "there is no release 'zzz'" in served.run("deploy", "zzz", code=2)
    assert "several releases begin with '0.1.0'" in served.run("deploy", "0.1.0", code=2)
    assert "serves already" in served.run("rollback", release, code=2)
    served.run("deploy")
    served.check_whole(new)


def test_a_service_is_scaled_and_stays_so(served):
    greeting = served.get()["greeting"]
    said = served.run("scale", "app=1")
    assert "app has 1 instance\n" in said and "0 failed" in said
    served.check_whole(greeting, 1)
    served.run("up")
    greeting = deploy(served)
    served.check_whole(greeting, 1)
    served.run("scale", "app=2")
    served.check_whole(greeting)
    assert served.ended("scale")["measured"]["failed"] == 0
    assert "can have 1 to 2 instances, not 3" in served.run("scale", "app=3", code=2)
    assert "there is no service 'web'" in served.run("scale", "web=1", code=2)


def test_another_number_of_instances_in_the_stack_file_is_deployed(served):
    for edit in (("instances = 2", "instances = 1"), ("instances = 1", "instances = 2")):
        served.edit(*edit)
        greeting = served.behave()
        assert "cut off" not in served.run("deploy")
        served.check_whole(greeting, int(edit[1][-1]))


def test_prune_keeps_what_a_rollback_needs(served):
    greetings = [deploy(served) for _ in range(3)]
    served.edit("watch = 1", "watch = 1\nkeep = 2\nkeep_days = 0")
    last_two = served.deployed["history"][-2:]
    here = [one["release"] for one in served.json("releases")]
    doomed = [one["release"] for one in served.json("releases", "--prune", "--dry-run")]
    assert sorted(doomed) == sorted(set(here) - set(last_two)) and doomed
    assert len(served.json("releases")) == len(here)
    assert "removed" in served.run("releases", "--prune")
    assert [one["release"] for one in served.json("releases")] == last_two
    served.run("rollback")
    served.check_whole(greetings[1])
    assert "no release served before this one" in served.run("rollback", code=2)


def test_of_two_deploys_at_once_the_second_is_refused_and_told_who_is_at_it(served):
    deploy(served)
    greeting = served.behave(build=4)
    first = served.begin("deploy")
    assert first.reach(lambda: served.events[-1]["action"] == "build")
    for words in (["deploy"], ["rollback"], ["scale", "app=1"], ["up"]):
        assert "another command is at work on this stack: neurmatic deploy by " in served.run(*words, code=1)
    assert first.wait() == 0
    served.check_whole(greeting)


def test_a_command_that_has_read_what_another_then_changed_is_refused_and_changes_nothing(served):
    deploy(served)
    early = prepare_up(Namespace(file=served.file, state=None, environment=None))
    greeting, pids = deploy(served), served.pids()
    described = load_stack(Namespace(file=served.file, environment=None)).stack
    for command in (
        early.up,
        lambda: early.restart("app"),
        lambda: roll(early, described, Choice(early.deployed.previous, back=True), "rollback"),
    ):
        with pytest.raises(BusyError, match="another command has just changed what is deployed"):
            command()
    assert served.pids() == pids
    served.check_whole(greeting)


def test_more_connections_than_the_database_has_are_refused_before_anything_starts(served):
    served.edit("drain = 0.5", "drain = 0.5\npool_size = 14")
    served.edit(f"port = {served.ports['postgres']}", f"port = {served.ports['postgres']}\nmax_connections = 24")
    served.edit("instances = 2", "instances = 1")
    greeting, before, pids = served.get()["greeting"], served.deployed, served.pids()
    said = served.run("scale", "app=2", code=2)
    assert "2 instances of app and all others may hold 28 connections, 14 are free" in said and "next: " in said
    assert served.deployed == before and served.pids() == pids
    assert served.get()["greeting"] == greeting and served.events[-1]["action"] != "scale"


def test_a_slow_request_is_answered_by_the_release_that_took_it(served):
    old = served.get()["greeting"]
    served.behave()
    deploying = served.begin("deploy")
    answers = []

    def ask():
        while deploying.process.poll() is None:
            answers.append(served.get("/slow")["greeting"])

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        assert deploying.wait() == 0
    for one in asking:
        one.result()  # raises what its requests did
    assert old in answers and len(answers) >= 6
