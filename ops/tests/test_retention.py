"""Retention as a table of cases: what there is, by age in days, and what goes of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from neurmatic.backups.catalog import Kept
from neurmatic.backups.manifest import Manifest, Proof
from neurmatic.backups.retention import decide
from neurmatic.stack.backup import S3, Backup

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECTION = Backup(days=30, s3=S3(bucket="backups", days=90))
OLD_DATABASE = "1/old"


def backup(name, age, proof=None, *, store="local", **of):
    """`proof`: True it held, False it failed, None there is none. `of`: kind, identity and needs."""
    ended = (NOW - timedelta(days=age)).isoformat()
    proven = None if proof is None else Proof(name, ended, 1, 1, 1, 1, () if proof else ("a table is missing",))
    kind, identity = of.get("kind", "logical"), of.get("identity", "7/app")
    manifest = Manifest(name, kind, identity, "app", ended, ended, 1, "15", "r", "", "age1", 1, 1)
    return Kept(store, replace(manifest, needs=tuple(of.get("needs", ()))), proven)


def base(name, age, proof=None, **other):
    return backup(name, age, proof, kind="physical", **other)


def remote(name, age, proof=None, **other):
    return backup(name, age, proof, store="s3", **other)


GOES, RETIRES = "remove", "retire"
# What there is; what goes of it; what is said of what stays for another reason than its age.
CASES = {
    "nothing there": ([], {}, {}),
    "all are young": ([backup("a", 30, True), backup("b", 1)], {}, {}),
    "older than its days, and a newer one is proven": (
        [backup("a", 31), backup("b", 30.5, True), backup("c", 1, True)],
        {"a": GOES, "b": GOES},
        {},
    ),
    "exactly its days old": ([backup("a", 30), backup("b", 1, True)], {}, {}),
    "only one, old and proven": ([backup("a", 400, True)], {}, {"a": "last one that is proven"}),
    "only one, old and unproven": ([backup("a", 400)], {}, {"a": "no backup of its kind and database is proven"}),
    "the last proven one is old, newer ones are not proven": (
        [backup("a", 50, True), backup("b", 40, True), backup("c", 5), backup("d", 1)],
        {"a": GOES},
        {"b": "last one that is proven"},
    ),
    "what is unproven and newer than the last proven one goes by its age": (
        [backup("a", 50, True), backup("b", 40), backup("c", 1)],
        {"b": GOES},
        {"a": "last one that is proven"},
    ),
    "a failed proof proves nothing": (
        [backup("a", 50, True), backup("b", 40, True), backup("c", 1, False)],
        {"a": GOES},
        {"b": "last one that is proven"},
    ),
    "failed proofs alone": (
        [backup("a", 50, False), backup("b", 40, False), backup("c", 1, False)],
        {},
        {"a": "so all are kept", "b": "so all are kept"},
    ),
    "the newest one stays, even where it failed": (
        [backup("a", 90, True), backup("b", 80), backup("c", 70, False)],
        {"b": GOES},
        {"a": "last one that is proven", "c": "newest"},
    ),
    "nothing is proven": (
        [backup("a", 50), backup("b", 40), backup("c", 1)],
        {},
        {"a": "so all are kept", "b": "so all are kept"},
    ),
    "two at the same time: one of them is the last": (
        [backup("a", 40, True), backup("b", 40, True)],
        {"a": GOES},
        {"b": "last one that is proven"},
    ),
    "a new empty database's backups push nothing of the old one's out": (
        [
            *(backup("a", 60, True, identity=OLD_DATABASE), backup("b", 50, True, identity=OLD_DATABASE)),
            *(backup("c", 2, True), backup("d", 1, True)),
        ],
        {"a": GOES},
        {"b": "last one that is proven"},
    ),
    "an old database of which nothing was proven": (
        [backup("a", 60, identity=OLD_DATABASE), backup("b", 1, True)],
        {},
        {"a": "so all are kept"},
    ),
    "a proven dump does not make up for base backups": (
        [base("a", 60), base("b", 50), backup("c", 1, True)],
        {},
        {"a": "so all are kept", "b": "so all are kept"},
    ),
    "a proven one in the other store does not make up for it": (
        [backup("a", 60), backup("b", 1), remote("b", 1, True)],
        {},
        {"a": "so all are kept"},
    ),
    "each store has its own days": (
        [remote("a", 91), remote("b", 89), remote("c", 1, True), backup("b", 89), backup("c", 1, True)],
        {"a": GOES, "local b": GOES},
        {},
    ),
    "what a kept incremental needs stays": (
        [base("F", 40), base("I", 29, needs=["F"]), base("G", 1, True)],
        {},
        {"F": "kept needs it"},
    ),
    "a chain of needs": (
        [base("F", 45), base("D", 40, needs=["F"]), base("I", 29, needs=["D"]), base("G", 1, True)],
        {},
        {"F": "kept needs it", "D": "kept needs it"},
    ),
    "a full backup goes with what needs it": (
        [base("F", 45, True), base("I", 40, needs=["F"]), base("G", 1, True)],
        {"F": GOES, "I": GOES},
        {},
    ),
    "what the last proven one needs stays": (
        [base("F", 45), base("I", 40, True, needs=["F"]), base("G", 35), base("H", 1)],
        {"G": GOES},
        {"F": "kept needs it", "I": "last one that is proven"},
    ),
    "needs are of the same store": (
        [
            *(base("F", 45), base("G", 1, True)),
            *(base("F", 95, store="s3"), base("I", 29, needs=["F"], store="s3"), base("H", 1, True, store="s3")),
        ],
        {"local F": GOES},
        {"s3 F": "kept needs it"},
    ),
    "what is needed and not there is no error": ([base("I", 1, True, needs=["F"])], {}, {}),
    "the clock was ahead when one was made": (
        [backup("a", 50, True), backup("b", 40, True), backup("c", -300, True)],
        {"a": GOES},
        {"b": "last one that is proven", "c": "dated in the future"},
    ),
    "the clock was put back: all lie in the future": (
        [backup("a", -50, True), backup("b", -40), backup("c", -1)],
        {},
        {"a": "dated in the future", "b": "dated in the future", "c": "dated in the future"},
    ),
    "the clock was put back, and then one was made": (
        [backup("a", -50, True), backup("b", -40), backup("c", 0)],
        {},
        {"a": "dated in the future", "b": "dated in the future"},
    ),
    "the clock is ahead now: what is proven and what is newest is left": (
        [backup("a", 1003, True), backup("b", 1002, True), backup("c", 1001)],
        {"a": GOES},
        {"b": "last one that is proven", "c": "newest"},
    ),
    "what a backup of the future needs stays": (
        [base("F", 45), base("I", -9, needs=["F"]), base("G", 1, True)],
        {},
        {"F": "kept needs it", "I": "dated in the future"},
    ),
}


def names(decisions, backups):
    """Keys as the table has them: with the store where two have that id."""
    ids = [one.id for one in backups]
    return {f"{one.kept.store} {one.kept.id}" if ids.count(one.kept.id) > 1 else one.kept.id: one for one in decisions}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_case(case):
    backups, goes, said = case
    decisions = decide(backups, SECTION, NOW)
    assert [one.kept for one in decisions] == backups
    found = names(decisions, backups)
    assert {name: one.action for name, one in found.items() if one.action != "keep"} == goes
    notable = {name: one.why for name, one in found.items() if one.action == "keep" and one.notable}
    assert notable.keys() == said.keys()
    assert all(said[name] in why for name, why in notable.items())


def test_what_goes_is_retired_where_the_store_has_rules():
    """Dumps alone: base backups are pgBackRest's, whatever the store's rules are."""
    backups = [
        *(remote("a", 100), remote("b", 1, True), backup("c", 40), backup("d", 1, True)),
        *(base("e", 100, store="s3"), base("f", 1, True, store="s3")),
    ]
    found = {one.kept.id: one.action for one in decide(backups, SECTION, NOW, ["s3"])}
    assert found == {"a": "retire", "b": "keep", "c": "remove", "d": "keep", "e": "remove", "f": "keep"}


def test_the_order_of_the_list_does_not_matter():
    for backups, *_ in CASES.values():
        forward = {(one.kept.store, one.kept.id): one for one in decide(backups, SECTION, NOW)}
        backward = {(one.kept.store, one.kept.id): one for one in decide(backups[::-1], SECTION, NOW)}
        assert forward == backward


def test_nothing_that_counts_ever_goes():
    """Whatever the case, and at whatever time: in each group the last proven one, or all of them, stay."""
    for days in (0, 1, 29, 30, 31, 89, 200, 5000):
        now = NOW + timedelta(days=days)
        for backups, *_ in CASES.values():
            kept = [one.kept for one in decide(backups, SECTION, now) if one.action == "keep"]
            for one in backups:
                group = [
                    other
                    for other in backups
                    if (other.store, other.manifest.identity, other.manifest.kind)
                    == (one.store, one.manifest.identity, one.manifest.kind)
                ]
                proven = [other for other in group if other.proven and other.made <= now]
                if proven:
                    assert max(proven, key=lambda other: (other.made, other.id)) in kept
                elif not [other for other in group if other.made > now]:
                    assert all(other in kept for other in group)
            there = {(one.store, one.id) for one in backups}
            needed = {(one.store, name) for one in kept for name in one.manifest.needs}
            assert needed & there <= {(one.store, one.id) for one in kept}


def test_a_decision_says_what_and_why():
    one = decide([backup("20260101T000000Z-abcd", 40), backup("b", 1, True)], SECTION, NOW)[0]
    assert str(one) == "remove logical 20260101T000000Z-abcd of app in local: older than 30 days"
    assert str(replace(one, action="keep", why="x")).endswith("local: x")
