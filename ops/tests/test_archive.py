"""What the archive's names say: gaps, timelines, ends; and what pgBackRest's own check found."""

from datetime import UTC, datetime, timedelta

import pytest

from neurmatic.backups.archive import Archive, Segment, gaps, given_away, parse_history, parse_lsn
from neurmatic.backups.pgbackrest import verify_findings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MB = 1 << 20


def archive(*numbers, histories=None, size=16 * MB, **timelines):
    """Segments of timeline 1, and of others as t2=(…): each archived a minute after the one before."""
    segments = {Segment(1, n): NOON + timedelta(minutes=n) for n in numbers}
    for name, others in timelines.items():
        segments |= {Segment(int(name[1:]), n): NOON + timedelta(minutes=n) for n in others}
    begun = {one: NOON + timedelta(minutes=min(n for t, n in segments if t == one)) for one in histories or {}}
    return Archive(segments, histories or {}, begun, size)


def name(number, timeline=1):
    return f"{timeline:08X}{0:08X}{number:08X}"


@pytest.mark.parametrize(
    ("there", "start", "missing"),
    [
        (range(1, 10), 1, []),
        (range(1, 10), 9, []),
        ([1, 2, 4, 5], 1, [(3, 3)]),
        ([1, 2, 6, 7, 9], 1, [(3, 5), (8, 8)]),
        ([1, 2, 4, 5], 4, []),  # before what is needed
        ([4, 5], 3, [(3, 3)]),
        ([], 3, [(3, 3)]),
        ([1, 2], 3, [(3, 3)]),
    ],
)
def test_every_missing_segment_is_named(there, start, missing):
    found = gaps(archive(*there), name(start))
    assert [(gap.first, gap.last) for gap in found] == [(name(first), name(last)) for first, last in missing]


def test_a_gap_says_until_when_it_can_be_reached():
    (gap,) = gaps(archive(1, 2, 5), name(1))
    assert gap.before == NOON + timedelta(minutes=2)
    assert f"{name(3)} to {name(4)}" in str(gap)
    assert "12:02:00" in str(gap)
    assert "can be reached" not in str(gaps(archive(5), name(4))[0])  # nothing before it


HISTORY = {2: ((1, 5 * 16 * MB + 100),)}  # left within segment 5


@pytest.mark.parametrize(
    ("old", "new", "missing"),
    [
        (range(1, 6), range(5, 8), []),
        (range(1, 9), range(5, 8), []),  # timeline 1 went on before it was given up
        (range(1, 5), range(5, 8), []),  # the segment of the change needs to be there but once
        ([1, 2, 4], range(5, 8), [(3, 1)]),
        (range(1, 6), [5, 7], [(6, 2)]),
        (range(1, 6), [6, 7], [(5, 2)]),
    ],
)
def test_a_change_of_timeline_is_followed(old, new, missing):
    found = gaps(archive(*old, histories=HISTORY, t2=new), name(1))
    assert [gap.first for gap in found] == [name(number, timeline) for number, timeline in missing]


def test_the_timeline_of_a_time_is_the_one_written_then():
    one = archive(*range(1, 9), histories=HISTORY, t2=range(5, 12))
    assert one.timeline() == 2
    assert one.timeline(NOON + timedelta(minutes=4)) == 1
    assert one.timeline(NOON + timedelta(minutes=5)) == 2
    assert one.last(1) == Segment(1, 8)
    assert one.last(2) == Segment(2, 11)
    assert one.end(2) == NOON + timedelta(minutes=11)


@pytest.mark.parametrize(
    ("there", "waiting", "lost"),
    [
        (range(1, 6), 6, []),  # the next one
        (range(1, 6), 5, []),  # archived while it was looked at
        (range(1, 6), 7, [(6, 6)]),
        (range(1, 6), 10, [(6, 9)]),
        ([1, 2, 5], 6, []),  # a gap before the end is another matter
        ([], 3, []),
    ],
)
def test_what_the_server_gave_away_and_the_store_does_not_have(there, waiting, lost):
    found = given_away(archive(*there), name(waiting))
    assert [(one.first, one.last) for one in found] == [(name(first), name(last)) for first, last in lost]


def test_what_the_server_gave_away_on_a_new_timeline():
    one = archive(1, 2, 3, histories={2: ((1, 3 * 16 * MB),)}, t2=[3, 4])
    assert not given_away(one, name(5, 2))
    assert given_away(one, name(6, 2))[0].first == name(5, 2)


def test_a_backup_of_a_part_that_was_given_up_leads_nowhere():
    one = archive(*range(1, 9), histories=HISTORY, t2=range(5, 12))
    assert one.leads(Segment(1, 4), 2)
    assert not one.leads(Segment(1, 7), 2)
    assert one.leads(Segment(1, 7), 1)
    assert one.leads(Segment(2, 6), 2)


@pytest.mark.parametrize("size", [1 * MB, 16 * MB, 1024 * MB])
def test_names_and_numbers_are_the_same_thing_for_every_size(size):
    one = Archive({}, size=size)
    for number in (0, 1, 4096, 70_000):
        assert one.segment(one.name(Segment(3, number))) == Segment(3, number)
    assert one.name(Segment(1, (1 << 32) // size)) == f"{1:08X}{1:08X}{0:08X}"


def test_positions():
    assert parse_lsn("0/3000028") == 0x3000028
    assert parse_lsn("2/1") == (2 << 32) + 1
    one = Archive({})
    assert one.holding(1, 3 * 16 * MB) == Segment(1, 2)  # what ends there was read from the one before
    assert one.holding(1, 3 * 16 * MB + 1) == Segment(1, 3)


def test_a_history_file_is_read():
    text = '1\t0/3000100\tat restore point "x"\n\n2\t0/5000000\tno recovery target specified\n'
    assert parse_history(text) == ((1, 0x3000100), (2, 0x5000000))


GOOD = """\
P00   INFO: verify command begin 2.45: --config=/x --stanza=main --verbose
P00 DETAIL: archiveId: 15-1, wal start: 000000010000000000000001, wal stop: 000000010000000000000018
P00   INFO: stanza: main
            status: ok
              archiveId: 15-1, total WAL checked: 24, total valid WAL: 24
                missing: 0, checksum invalid: 0, size invalid: 0, other: 0
              backup: 20261126-052541F, status: valid, total files checked: 1267, total valid files: 1267
                missing: 0, checksum invalid: 0, size invalid: 0, other: 0
stanza: main
status: ok
  archiveId: 15-1, total WAL checked: 24, total valid WAL: 24
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
  backup: 20261126-052541F, status: valid, total files checked: 1267, total valid files: 1267
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
P00   INFO: verify command end: completed successfully
"""
UNFINISHED = """\
P00 DETAIL: unable to open missing file '/x/backup/main/20261126-052617F/backup.manifest' for read
P00   INFO: backup '20261126-052617F' appears to be in progress, skipping
  backup: 20261126-052617F, status: in-progress, total files checked: 0, total valid files: 0
"""


def test_a_repository_that_is_whole_has_no_findings():
    assert verify_findings(GOOD) == []
    assert verify_findings(GOOD + UNFINISHED) == []  # what a killed run left, and the next one clears


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("", 0),
        (GOOD, 1),
        (GOOD.replace("status: ok", "status: error"), 0),
        (GOOD.replace("total valid WAL: 24", "total valid WAL: 23"), 0),
        (GOOD.replace("status: valid", "status: invalid"), 0),
        (GOOD.replace("checksum invalid: 0", "checksum invalid: 1"), 0),
        (GOOD.replace("missing: 0", "missing: 2"), 0),
        (GOOD + "P00   WARN: no backups exist in the repo\n", 0),
        (GOOD + "P00 DETAIL: 20261126-052541F/backup.manifest is missing or unusable, using copy\n", 0),
        (GOOD + UNFINISHED.splitlines()[0] + "\n", 0),  # of a backup that is not in progress
        (GOOD + "something that nobody foresaw\n", 0),
        (GOOD.split("stanza: main\nstatus", maxsplit=1)[0].replace("status: ok", ""), 0),
    ],
)
def test_whatever_is_not_known_to_be_fine_is_a_finding(said, code):
    assert verify_findings(said, code)
