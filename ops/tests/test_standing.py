"""How backups stand, as a table of cases: what there is, by age in hours, and what is wrong with it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from neurmatic.backups.catalog import Kept
from neurmatic.backups.manifest import Manifest, Proof
from neurmatic.backups.standing import ARCHIVE_MINUTES, PROOF_DAYS, Archive, stand
from neurmatic.stack.backup import Backup

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECTION = Backup(late_hours=26)
WELL = Archive(1.5)
GB = 1_000_000_000


def backup(kind, age, proof=None, *, store="local", **of):
    """`proof`: True it held, False it failed, None there is none. `of`: proven_hours (ago), restore_s and size of it."""
    ended = NOW - timedelta(hours=age)
    at = NOW - timedelta(hours=of.get("proven_hours", age))
    name = f"{kind}-{age}"
    found = () if proof else ("a table is missing",)
    proven = (
        None
        if proof is None
        else Proof(name, at.isoformat(), of.get("restore_s", 2.0), 9, 1, of.get("size", GB), found)
    )
    manifest = Manifest(
        name, kind, "7/app", "app", ended.isoformat(), ended.isoformat(), 1, "15", "r", "", "age1", 1, 1
    )
    return Kept(store, manifest, proven)


def dump(age, proof=True, **other):
    return backup("logical", age, proof, **other)


def base(age, proof=True, **other):
    return backup("physical", age, proof, **other)


def judged(backups, archive=WELL, stores=("local",), section=SECTION):
    return stand(section, backups, stores, archive, database_bytes=3 * GB, now=NOW)


BOTH = [dump(1), base(1)]
# What there is; how the archive stands; the alerts, each with words of its reason.
CASES = {
    "all is well": (BOTH, WELL, {}),
    "nothing at all": (
        [],
        WELL,
        {
            "backup.missing.logical.local": "there is no logical backup in local",
            "backup.missing.physical.local": "there is no physical backup in local",
            "backup.unproven.logical": "no logical backup was ever proven",
            "backup.unproven.physical": "backup verify latest --kind physical",
        },
    ),
    "exactly in time": ([dump(26), base(26)], WELL, {}),
    "too late": (
        [dump(27), base(1)],
        WELL,
        {"backup.missing.logical.local": "local is 27 h old, expected within 26"},
    ),
    "an old one beside a young one": ([dump(900), dump(1), base(1)], WELL, {}),
    "of the other kind": (
        [base(1)],
        WELL,
        {"backup.missing.logical.local": "there is no", "backup.unproven.logical": "ever proven"},
    ),
    "a clock a little ahead": ([dump(-0.05), base(1)], WELL, {}),
    "dated in the future": ([dump(-5), base(1)], WELL, {"backup.clock.logical.local": "dated in the future"}),
    "the newest failed its proof": (
        [dump(30), dump(1, False), base(1)],
        WELL,
        {"backup.proof.logical.local": "the newest logical backup in local failed its proof"},
    ),
    "an older one failed its proof": ([dump(30, False), dump(1), base(1)], WELL, {}),
    "made and not proven yet": ([dump(25), dump(1, None), base(1)], WELL, {}),
    "never proven": ([dump(1, None), base(1)], WELL, {"backup.unproven.logical": "no logical backup was ever proven"}),
    "proven long ago": (
        [dump((PROOF_DAYS + 1) * 24), dump(1, None), base(1)],
        WELL,
        {"backup.unproven.logical": f"proof of a logical backup is {PROOF_DAYS + 1} days old"},
    ),
    "an old backup proven just now": ([dump(900, proven_hours=1), dump(1, None), base(1)], WELL, {}),
    "archiving fails": (BOTH, Archive(0.0, "archiving has failed"), {"backup.archive": "archiving has failed"}),
    "the archive lags": (BOTH, Archive(ARCHIVE_MINUTES * 60 + 1.0), {"backup.archive": "901 s of changes wait"}),
    "the archive lags as long as it may": (BOTH, Archive(ARCHIVE_MINUTES * 60.0), {}),
    "the lag is not known": (BOTH, Archive(None, "not known"), {"backup.archive": "not known"}),
}


@pytest.mark.parametrize(("backups", "archive", "wanted"), CASES.values(), ids=CASES)
def test_what_is_wrong(backups, archive, wanted):
    problems = judged(backups, archive).problems
    assert set(problems) == set(wanted)
    for name, words in wanted.items():
        assert words in problems[name]


def test_each_store_is_looked_at_by_itself_and_one_proof_of_a_kind_will_do():
    backups = [dump(1), base(1), dump(50, None, store="s3")]
    assert set(judged(backups, stores=("local", "s3")).problems) == {
        "backup.missing.logical.s3",
        "backup.missing.physical.s3",
    }


def test_the_last_proven_one_is_told_beside_the_newest():
    first = judged([dump(30, proven_hours=29), dump(2, False), base(1)]).latest[0]
    assert (first.kind, first.store, first.id, first.standing) == ("logical", "local", "logical-2", "failed")
    assert (first.proven, first.proven_age_hours, first.proof_age_hours) == ("logical-30", 30, 29)


def test_the_time_to_be_back_is_that_of_the_last_base_backup_s_proof_for_the_present_size():
    standing = judged([dump(0.5, restore_s=99), base(9, restore_s=50), base(1, restore_s=4, size=2 * GB)])
    assert (standing.rto_per_gb, standing.rto_seconds) == (2.0, 6.0)
    assert judged([dump(1, restore_s=5)]).rto_seconds == 15.0  # of a dump where there is no other
    assert judged([dump(1, False), base(1, None)]).rto_seconds is None
    assert judged([base(1, size=0)]).rto_seconds is None


def test_the_answer_of_json_has_all_of_it():
    found = judged(BOTH).as_json()
    assert found["rpo_seconds"] == 1.5
    assert [one["kind"] for one in found["latest"]] == ["logical", "physical"]


def test_other_hours_are_the_stack_file_s():
    assert not judged([dump(47), base(47)], section=SECTION.replace(late_hours=48)).problems
    assert replace(dump(3), store="s3").age_hours(NOW) == 3
