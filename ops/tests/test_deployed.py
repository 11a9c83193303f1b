"""What is deployed, which releases are kept, and where the load goes: the pure parts of a deploy."""

import os
import signal
from datetime import UTC, datetime, timedelta

import pytest

from neurmatic.errors import BusyError, ConfigurationError
from neurmatic.hosts.interrupts import held_back
from neurmatic.hosts.local import LocalHost
from neurmatic.releases.deployed import (
    Deployed,
    beside,
    check_same,
    placed,
    read_deployed,
    save_deployed,
    scaled,
    standing,
)
from neurmatic.releases.facts import check_connections
from neurmatic.releases.keeping import Made, made, to_remove
from neurmatic.releases.measure import Measured, targets
from neurmatic.stack.deploy import Deploy
from neurmatic.stack.layout import Layout
from neurmatic.stack.loading import load

HOST = LocalHost()
STACK = """
[stack]
name = "x"
[services.app]
command = ["x"]
instances = 2
ports = "19000-19007"
routes = ["/"]
health.ready = "/ready"
"""
NOW = datetime(2026, 11, 26, tzinfo=UTC)


def stack(text=STACK):
    return load(text, "neurmatic.toml").stack


def numbers(one):
    return one.services["app"].numbers


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path, tmp_path)


def test_a_release_that_serves_again_stands_in_the_history_once():
    one = Deployed().serving("a", held=False).serving("b", held=False).serving("a", held=True)
    assert one.history == ("b", "a") and one.held
    assert one.previous == "b"
    assert Deployed().serving("a", held=False).previous == ""


def test_going_back_twice_goes_further_back():
    one = Deployed(release="c", history=("a", "b", "c"))
    back = one.back_at("b")
    assert (back.release, back.history, back.previous, back.held) == ("b", ("a", "b"), "a", True)
    assert back.back_at("a").previous == ""
    assert one.back_at("never-served").history == ("a", "b", "c", "never-served")


def test_the_release_that_was_replaced_is_known_whichever_way_it_went():
    one = Deployed().serving("a", held=False)
    assert one.replaced == ""
    two = one.serving("b", held=False)
    assert two.replaced == "a"
    assert two.serving("b", held=True).replaced == "a"  # the same once more: pages of a may still be open
    back = two.back_at("a")
    assert (back.replaced, back.previous) == ("b", "")
    assert (two.served_before("c"), two.served_before("b")) == ("b", "a")


def test_what_another_command_changed_meanwhile_is_noticed(layout):
    seen = Deployed(release="a", history=("a",))
    save_deployed(HOST, layout, seen)
    check_same(HOST, layout, seen)
    save_deployed(HOST, layout, seen.serving("b", held=False))
    check_same(HOST, layout, None)
    with pytest.raises(BusyError, match="another command has just changed"):
        check_same(HOST, layout, seen)


def test_instances_whose_pools_exceed_what_the_database_has_free_are_refused():
    text = STACK.replace('routes = ["/"]', 'routes = ["/"]\nneeds = ["postgres"]\npool_size = 10')
    one = stack(text + "[postgres]\nmax_connections = 40\nreserved_connections = 10\n")
    check_connections(one.placed({"app": (1, 2, 3)}), "they")
    with pytest.raises(ConfigurationError, match="they may hold 40 connections, 30 are free"):
        check_connections(one.placed({"app": (1, 2, 3, 4)}), "they")
    check_connections(stack().placed({"app": (1, 2, 3, 4)}), "they")  # no database, no pools


def test_no_rollback_goes_back_to_what_was_removed():
    one = Deployed(release="c", history=("a", "b", "c"), revisions={"a": "1", "c": "3"})
    assert one.without({"a", "b"}).previous == ""
    assert one.without({"a"}).revisions == {"c": "3"}


def test_each_deploy_takes_the_other_half_of_the_numbers():
    first = beside(stack(), Deployed())
    assert numbers(placed(stack(), Deployed())) == (1, 2)
    assert numbers(placed(stack(), first)) == (5, 6)
    assert numbers(placed(stack(), beside(stack(), first))) == (1, 2)


def test_a_pool_without_room_for_two_releases_is_refused():
    with pytest.raises(ConfigurationError, match=r"services\.app\.ports: a deploy starts 2 new instances"):
        beside(stack(STACK.replace("19007", "19002")), Deployed())


def test_what_runs_counts_though_the_stack_file_has_another_number_by_now():
    assert numbers(standing(stack(), Deployed(), {"app": (1, 2, 3)})) == (1, 2, 3)
    assert numbers(standing(stack(), Deployed(first={"app": 5}), {"app": (5,)})) == (5,)
    assert numbers(standing(stack(), Deployed(first={"app": 5}), {"app": (1, 2, 3)})) == (5, 6)
    assert numbers(standing(stack(), Deployed(), {})) == ()  # a service that is new in the file


def test_scaling_to_what_the_stack_file_says_is_no_choice():
    more = scaled(stack(), Deployed(), "app", 4)
    assert more.scale == {"app": 4} and numbers(placed(stack(), more)) == (1, 2, 3, 4)
    assert scaled(stack(), more, "app", 2).scale == {}
    for service, count in (("app", 5), ("app", 0), ("web", 1)):
        with pytest.raises(ConfigurationError):
            scaled(stack(), Deployed(), service, count)


def test_what_is_deployed_is_kept(layout):
    assert read_deployed(HOST, layout) == Deployed()
    one = Deployed("b", held=True, first={"app": 5}, scale={"app": 1}, history=("a", "b"), revisions={"b": "7"})
    save_deployed(HOST, layout, one)
    assert read_deployed(HOST, layout) == one


def a_release(name, days, standing="served"):
    return Made(name, None if days is None else NOW - timedelta(days=days), standing, 1, "")


def doomed(found, deployed, **settings):
    return [one.name for one in to_remove(found, deployed, Deploy(**settings), NOW)]


def test_releases_are_kept_by_count_and_by_age():
    history = tuple("abcd")
    found = [a_release(name, days) for name, days in zip("abcd", (40, 30, 20, 0), strict=True)]
    deployed = Deployed(release="d", history=history)
    assert doomed(found, deployed, keep=2, keep_days=14) == ["a", "b"]
    assert doomed(found, deployed, keep=2, keep_days=35) == ["a"]
    assert doomed(found, deployed, keep=5, keep_days=0) == []


def test_what_serves_stays_whatever_its_age_and_what_was_never_made_goes():
    found = [a_release("a", 400, "serving"), a_release("half", None, "unfinished"), a_release("tried", 1, "made")]
    assert doomed(found, Deployed(release="a"), keep=2, keep_days=14) == ["half"]
    assert doomed(found, Deployed(release="a"), keep=2, keep_days=0) == ["half", "tried"]


def test_the_releases_that_are_here_are_listed_oldest_first(layout):
    for age, name in enumerate(("d", "c", "b", "a")):
        folder = layout.release(name)
        folder.mkdir(parents=True)
        (folder / "file").write_text("four")
        if name != "c":
            (folder / ".complete").write_text("")
            os.utime(folder / ".complete", (1_000_000 - age, 1_000_000 - age))
    found = made(HOST, layout, Deployed(release="d", history=("a", "b", "d"), revisions={"d": "7"}))
    standings = [("c", "unfinished"), ("a", "served"), ("b", "previous"), ("d", "serving")]
    assert [(one.name, one.standing) for one in found] == standings
    assert (found[-1].bytes, found[-1].revision, found[0].at) == (4, "7", None)


def test_the_load_goes_through_the_edge_to_what_is_known_to_be_well(layout):
    (own,) = targets(stack(), layout, (), 20)
    assert own.url == f"{stack().url}/ready" and (own.rate, own.ca) == (20, layout.trust)
    hidden = STACK.replace('["/"]', '["/api"]')
    assert targets(stack(hidden), layout, (), 20) == []
    ours, other = targets(stack(), layout, (f"{stack().url}/a", "https://example.org/"), 20)
    assert ours.address == "127.0.0.1" and (other.ca, other.address) == (None, None)


def test_what_was_measured_is_one_line():
    said = Measured(200, 1, 42.4, 3.0, "500 at 1.0 s").as_text()
    assert said == "200 requests, 1 failed (500 at 1.0 s), longest gap 42 ms"
    assert "name one with --probe" in Measured(0, 0, 0.0, None, "").as_text()


def test_an_interrupt_waits_for_the_end_of_what_must_not_be_left_half_done():
    done = []
    with pytest.raises(KeyboardInterrupt), held_back():
        signal.raise_signal(signal.SIGINT)
        done.append("the rest")
    assert done == ["the rest"]


def test_an_interrupt_that_comes_too_late_is_not_heeded():
    before = signal.getsignal(signal.SIGTERM)
    with held_back(heeded=False):
        with held_back():
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before
