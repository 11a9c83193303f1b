"""The guard's judgement: who gets requests, and why another doesn't. Each row of `ANSWERS` is what it hears, and then says."""

import json
from dataclasses import replace

import pytest

from neurmatic.guard.judge import MEMORY_SECONDS, MOST_RISE, Judge, Seen
from neurmatic.guard.peers import Peer, Rules, Settings, kept_out, upstream_lists

RULES = Rules(interval=0.5, timeout=1, fall=2, rise=2, hung_seconds=3, max_fails=3, fail_timeout=30)
PEER = Peer("api-1", "api", 8100, "/ready", "/live", start_seconds=60)
GOOD = Seen(ready=True, served=True, refused=False, words="/ready: 200")
BAD = Seen(ready=False, served=True, refused=False, words="/ready: 503")
SILENT = Seen(ready=False, served=False, refused=False, words="/ready: no answer within 1 s")
REFUSED = Seen(ready=False, served=False, refused=True, words="/ready: connection refused")
LETTERS = {"+": GOOD, "-": BAD, ".": SILENT, "x": REFUSED}


def hear(judge, answers, begin=0.0):
    """One letter an answer, each half a second after the other; what the verdict was after each: i(n) or o(ut)."""
    verdicts = ""
    for n, letter in enumerate(answers):
        before = bool(judge.reason)
        changed = judge.hear(LETTERS[letter], begin + n * RULES.interval)
        assert changed == (before != bool(judge.reason)), "it says when it changes its mind, and only then"
        verdicts += "o" if judge.reason else "i"
    return verdicts


@pytest.mark.parametrize(
    ("answers", "verdicts"),
    [
        ("++++", "iiii"),
        ("-+-+-+", "iiiiii"),  # never two in a row
        ("--", "io"),
        (".-", "io"),  # not answered is as bad as refused readiness
        ("+--++", "iiooi"),
        ("--+-++", "iooooi"),  # good answers count in a row, too
        ("x", "o"),  # nobody listens: nothing to wait for
        ("+x++", "ioo" + "i"),
        ("-x", "io"),
        ("xx++", "oooi"),
        ("", ""),
    ],
)
def test_fall_and_rise(answers, verdicts):
    assert hear(Judge(PEER, RULES), answers) == verdicts


@pytest.mark.parametrize(
    ("fall", "rise", "verdicts"), [(1, 1, "oooiii"), (3, 1, "iioiii"), (1, 3, "oooooi"), (4, 1, "iiiiii")]
)
def test_fall_and_rise_are_the_operators(fall, rise, verdicts):
    assert hear(Judge(PEER, replace(RULES, fall=fall, rise=rise)), "---+++") == verdicts


def test_the_reason_and_its_moment_are_those_of_the_change():
    judge = Judge(PEER, RULES)
    hear(judge, "--.", begin=10)
    assert (judge.reason, judge.since) == ("/ready: 503", 10.5)
    hear(judge, "+++", begin=20)
    assert (judge.reason, judge.since) == ("", 20.5)


def test_a_new_guard_goes_on_with_the_verdicts_of_the_one_before():
    judge = Judge(PEER, RULES, "/ready: 503")
    assert hear(judge, "-++") == "ooi"


@pytest.mark.parametrize(
    ("falls", "rise"),
    [
        ([], 2),
        ([0], 2),
        ([0, 10], 4),
        ([0, 10, 20], 8),
        ([0, 10, 20, 30], 16),
        (range(0, 100, 10), MOST_RISE),
        ([0, MEMORY_SECONDS - 1], 4),
        ([0, MEMORY_SECONDS], 2),  # forgotten
        ([0, 10, MEMORY_SECONDS + 5], 4),  # the first is forgotten, the second not yet
        ([0, 10, 20, 1000], 2),
    ],
)
def test_who_flaps_must_be_good_for_twice_as_long_each_time_until_it_is_forgotten(falls, rise):
    judge = Judge(PEER, RULES)
    for moment in falls:
        judge.hear(REFUSED, moment)
        judge.reason = ""  # it came back meanwhile
    assert judge.rise == rise
    judge.reason = "flaps"
    assert hear(judge, "+" * rise, begin=2000) == "o" * (rise - 1) + "i"


HUNG = {"silent": 3.0, "age": 100.0, "served": True, "live": "/live", "hung_seconds": 3.0}


@pytest.mark.parametrize(
    ("changes", "hung"),
    [
        ({}, True),
        ({"silent": 2.9}, False),
        ({"live": None}, False),  # readiness alone doesn't say that it hangs
        ({"hung_seconds": 0.0}, False),  # the operator wants none killed
        ({"served": False}, True),  # it never answered, but had time enough to start
        ({"served": False, "age": 59.0}, False),  # it may be starting
        ({"served": False, "age": 60.0}, True),
        ({"age": 1.0}, True),  # it has answered: it is not starting any more
    ],
)
def test_hung_is_who_is_silent_for_long_and_does_not_start(changes, hung):
    case = HUNG | changes
    judge = Judge(replace(PEER, live=case["live"]), replace(RULES, hung_seconds=case["hung_seconds"]))
    judge.served_by = 7 if case["served"] else 6
    judge.hear(SILENT, 50)
    judge.hear(SILENT, 51)
    assert judge.is_hung(50 + case["silent"], pid=7, age=case["age"]) is hung


@pytest.mark.parametrize(
    ("answers", "silent_since"),
    [("..", 0.0), ("+..", 0.5), (".+", None), (".-.", 1.0), (".x", None), ("x..", 0.5), ("---", None)],
)
def test_silence_begins_anew_with_every_answer(answers, silent_since):
    judge = Judge(PEER, RULES)
    hear(judge, answers)
    assert judge.silent_since == silent_since
    assert judge.is_hung(1000, pid=7, age=1000) == (silent_since is not None)


SETTINGS = Settings(
    (
        Peer("api-1", "api", 8100, "/ready", "/live", 60),
        Peer("api-2", "api", 8101, "/ready", "/live", 60),
        Peer("api-3", "api", 8102, "/ready", "/live", 60),
        Peer("web-1", "web", 8200, "/", None, 60),
    ),
    RULES,
)


@pytest.mark.parametrize(
    ("drained", "unready", "out"),
    [
        ("", "", ""),
        ("", "api-2", "api-2"),
        ("api-2", "", "api-2"),
        ("", "api-1 api-2", "api-1 api-2"),
        ("", "api-1 api-2 api-3", ""),  # nobody could even say that none is ready
        ("", "web-1", ""),
        ("web-1", "", ""),
        ("api-1", "api-2", "api-1 api-2"),
        ("api-1", "api-2 api-3", "api-1"),  # what is drained ends soon; what is not ready may yet answer
        ("api-1 api-2", "api-3", "api-1 api-2"),
        ("api-1 api-2 api-3", "", ""),
        ("api-1 api-2 api-3", "api-1", ""),
        ("api-1", "api-1", "api-1"),
        ("api-1", "api-1 api-2 api-3", "api-1"),
        ("", "api-1 web-1", "api-1"),  # each service for itself
        ("gone-1", "other-1", ""),  # whoever is not the edge's
    ],
)
def test_never_the_last_of_a_service(drained, unready, out):
    drains = dict.fromkeys(drained.split(), "drained")
    found = kept_out(SETTINGS, drains, dict.fromkeys(unready.split(), "unready"))
    assert found == {name: "drained" if name in drains else "unready" for name in out.split()}


def test_lists_are_nginxs_own_words_with_the_reason_beside_them():
    lists = upstream_lists(SETTINGS, {"api-2": "/ready: 503"})
    assert lists["web"] == "server 127.0.0.1:8200 max_fails=3 fail_timeout=30s;  # web-1\n"
    assert lists["api"].splitlines()[1] == (
        "server 127.0.0.1:8101 max_fails=3 fail_timeout=30s down;  # api-2 is out: /ready: 503"
    )
    assert [" down;" in line for line in lists["api"].splitlines()] == [False, True, False]


def test_what_the_guard_is_told_comes_back_as_it_was_written():
    assert Settings.from_json(SETTINGS.as_json()) == SETTINGS
    assert json.loads(SETTINGS.as_json())["rules"]["hung_seconds"] == 3
