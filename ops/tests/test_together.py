"""One command on several hosts: what refuses it, and what takes it back, as tables of hosts' answers."""

from dataclasses import replace

import pytest

from neurmatic.errors import ConfigurationError, NeurmaticError
from neurmatic.remote.together import FILES, Answer, Command, check, way_back

OLD = Answer(release="1-a", previous="0-z", releases=("0-z", "1-a", "2-b"), instances={"api": 2, "web": 1}, runs=True)
NEW = replace(OLD, release="2-b", previous="1-a")
NOTHING = Answer()
UP = ("up",)
BACK = ("rollback", "1-a")


def command(text, **more):
    words = tuple(text.split())
    return Command(words[0], words, **more)


CHECKS = {
    "alike": ("deploy", {}, OLD, OLD, ""),
    "one is at work": ("deploy", {}, OLD, replace(OLD, busy="backup run"), "b: another command is at work there: ba"),
    "one is at work on a read lock": ("up", {}, replace(OLD, busy="x"), NOTHING, "a: another command"),
    "nothing there": ("deploy", {}, OLD, NOTHING, "nothing is deployed on b"),
    "nothing to close": ("maintenance on", {}, NOTHING, NOTHING, "nothing is deployed on a, b"),
    "the first up": ("up", {}, NOTHING, NOTHING, ""),
    "one more host": ("up", {}, OLD, NOTHING, ""),
    "one more beside one that stays": ("up", {}, replace(OLD, held=True), NOTHING, "a stays with 1-a, b follows"),
    "one stays": ("up", {}, OLD, replace(OLD, held=True), "on some of the hosts only: a follows them, b stays"),
    "both stay": ("up", {}, replace(OLD, held=True), replace(OLD, held=True), ""),
    "each stays with its own": ("up", {}, replace(OLD, held=True), replace(NEW, held=True), "some of the hosts only"),
    "a deploy unites them": ("deploy", {}, replace(NEW, held=True), OLD, ""),
    "back alike": ("rollback", {}, NEW, NEW, ""),
    "back to different ones": ("rollback", {}, NEW, OLD, "not the same on each: a: 1-a, b: 0-z"),
    "back to none": ("rollback", {}, replace(OLD, previous=""), replace(OLD, previous=""), "a: none, b: none"),
    "back by name": ("rollback 0", {"release": "0"}, NEW, OLD, ""),
    "back to what one has": ("rollback 1", {"release": "1"}, NEW, OLD, "1-a serves already on b"),
    "a name that one lacks": ("deploy 2", {"release": "2"}, OLD, replace(OLD, releases=("1-a",)), "b: none"),
    "a name that is two": ("deploy 2", {"release": "2"}, OLD, replace(OLD, releases=("2-b", "2-c")), "2-b and 2-c"),
    "a whole name wins": ("deploy 2-b", {"release": "2-b"}, OLD, replace(OLD, releases=("2-b", "2-bc")), ""),
    "one name, two releases": ("deploy 2", {"release": "2"}, OLD, replace(OLD, releases=("2-c",)), "b: 2-c"),
    "with the database": ("rollback", {"loses": True}, NEW, NEW, "another question on each host"),
}


@pytest.mark.parametrize(("text", "more", "one", "two", "said"), CHECKS.values(), ids=CHECKS)
def test_check(text, more, one, two, said):
    if not said:
        check(command(text, **more), {"a": one, "b": two})
        return
    with pytest.raises(NeurmaticError) as raised:
        check(command(text, **more), {"a": one, "b": two})
    assert said in str(raised.value) and raised.value.hint
    assert isinstance(raised.value, ConfigurationError) or "at work" in said or "another command" in said


WAYS = {
    "a deploy that failed there": ("deploy", OLD, OLD, False, ()),
    "and had sent its files": ("deploy", OLD, OLD, True, (FILES,)),
    "a deploy": ("deploy", OLD, NEW, True, (BACK, FILES)),
    "a deploy by name": ("deploy 2", OLD, NEW, False, (BACK,)),
    "a deploy of what served": ("deploy", OLD, replace(OLD, held=False), False, ()),
    "a rollback": ("rollback", NEW, OLD, False, (("deploy", "2-b", "--no-backup"),)),
    "an up with a release": ("up", OLD, NEW, True, (BACK, FILES, UP)),
    "an up with settings": ("up", OLD, OLD, True, (FILES, UP)),
    "an up that sent nothing": ("up", OLD, OLD, False, ()),
    "the first up": ("up", NOTHING, OLD, True, (("down",),)),
    "the first up, which started nothing": ("up", NOTHING, NOTHING, True, ()),
    "an up after a down": ("up", replace(OLD, runs=False), NEW, True, (("down",),)),
    "closed": ("maintenance on", OLD, replace(OLD, closed=True), False, (("maintenance", "off"),)),
    "closed as it was": ("maintenance on", replace(OLD, closed=True), replace(OLD, closed=True), False, ()),
    "opened": ("maintenance off", replace(OLD, closed=True), OLD, False, (("maintenance", "on"),)),
    "scaled": ("scale api=4", OLD, replace(OLD, instances={"api": 4, "web": 1}), False, (("scale", "api=2"),)),
    "not scaled": ("scale api=4", OLD, OLD, False, ()),
    "restarted": ("restart api", OLD, OLD, False, ()),
}


@pytest.mark.parametrize(("text", "before", "after", "sent", "steps"), WAYS.values(), ids=WAYS)
def test_way_back(text, before, after, sent, steps):
    assert way_back(command(text, service="api"), before, after, sent=sent) == steps


def test_a_way_back_is_about_the_same_stack():
    options = ("--state", "/srv/state")
    chosen = command("deploy", options=options)
    assert way_back(chosen, OLD, NEW, sent=True) == ((*BACK, *options), FILES)
    first = command("up", options=options)
    assert way_back(first, NOTHING, OLD, sent=True) == (("down", *options),)
