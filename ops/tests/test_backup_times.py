"""When backups are due, by the clock and by the stack file: times, lateness, and what [backup] refuses."""

import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from neurmatic.backups.progress import EVERY_SECONDS, Progress
from neurmatic.backups.schedule import due, lateness
from neurmatic.errors import ConfigurationError
from neurmatic.releases.project import Quiet
from neurmatic.stack.backup import S3, Backup
from neurmatic.stack.loading import load


def moment(text):
    return datetime.fromisoformat(f"2026-{text}:00+00:00")


@pytest.mark.parametrize(
    ("at", "now", "wanted", "late"),
    [
        ("02:00", "06-01T02:00", "06-01T02:00", None),
        ("02:00", "06-01T02:10", "06-01T02:00", None),
        ("02:00", "06-01T02:11", "06-01T02:00", 11),
        ("02:00", "06-01T01:59", "05-31T02:00", 23 * 60 + 59),
        ("02:00", "06-01T23:59", "06-01T02:00", 21 * 60 + 59),
        ("02:00", "01-01T00:30", None, 22 * 60 + 30),  # due in the year before
        ("23:55", "06-01T00:04", "05-31T23:55", None),  # punctual across midnight
        ("23:55", "06-01T00:06", "05-31T23:55", 11),
        ("00:00", "06-01T00:00", "06-01T00:00", None),
        ("23:59", "06-01T23:58", "05-31T23:59", 23 * 60 + 59),
    ],
)
def test_due_and_lateness_around_the_clock(at, now, wanted, late):
    section, when = Backup(at=at), moment(now)
    expected = moment(wanted) if wanted else datetime(2025, 12, 31, 2, tzinfo=UTC)
    assert due(section, when) == expected
    assert lateness(section, when) == (None if late is None else timedelta(minutes=late))


def test_seconds_do_not_make_it_late():
    when = datetime(2026, 6, 1, 2, 9, 59, 999_999, tzinfo=UTC)
    assert due(Backup(), when) == moment("06-01T02:00")
    assert lateness(Backup(), when) is None


@pytest.mark.parametrize(
    ("at", "daily", "watch", "drill"),
    [
        ("02:00", "-H 2 -M 0", "30", "4"),
        ("00:00", "-H 0 -M 0", "30", "2"),
        ("23:45", "-H 23 -M 45", "15", "1"),  # the drill is after midnight, the watch in the other half of the hour
        ("22:30", "-H 22 -M 30", "0", "0"),
    ],
)
def test_timers_and_their_patterns(at, daily, watch, drill):
    found = {one.name: one for one in Backup(at=at).timers()}
    assert list(found) == ["timer-backup", "timer-backup-watch", "timer-drill", "timer-disaster"]
    assert " ".join(found["timer-backup"].pattern()) == daily
    assert found["timer-backup-watch"].pattern() == ("-H", ",".join(map(str, range(24))), "-M", watch)
    minute = daily.split()[-1]
    assert " ".join(found["timer-drill"].pattern()) == f"-d 1 -H {drill} -M {minute}"
    assert " ".join(found["timer-disaster"].pattern()) == f"-d 2 -m 1,4,7,10 -H {drill} -M {minute}"


def test_what_the_timers_run():
    commands = {one.name: " ".join(one.command) for one in Backup().timers()}
    assert commands["timer-backup"] == "backup run --scheduled --wait 14400"
    assert commands["timer-backup-watch"] == "backup watch"
    assert commands["timer-drill"].startswith("drill database --wait ")
    assert commands["timer-disaster"].startswith("drill all --wait ")


@pytest.mark.parametrize("at", ["00:00", "02:00", "13:37", "22:00", "23:59"])
def test_the_scheduler_understands_every_pattern(at):
    for timer in Backup(at=at).timers():
        said = subprocess.run(
            ["snooze", "-n", *timer.pattern()], capture_output=True, text=True, env={"TZ": "UTC"}, check=True
        )
        when = datetime.fromisoformat(said.stdout.splitlines()[0].split()[0])
        assert when.hour in timer.hours and when.minute == timer.minute
        assert not timer.days or when.day in timer.days
        assert not timer.months or when.month in timer.months


FILE = '[stack]\nname = "x"\n[services.app]\ncommand = ["x"]\n[postgres]\n[backup]\n'


@pytest.mark.parametrize(
    ("addition", "words"),
    [
        ('at = "2:00"', "backup.at"),
        ('at = "24:00"', "backup.at"),
        ('at = "02:60"', "backup.at"),
        ("days = 0", "backup.days"),
        ('days = "30"', "backup.days"),
        ("full_days = 91", "backup.full_days"),
        ("archive_seconds = 0", "backup.archive_seconds"),
        ('archive_most = "16 GB"', "backup.archive_most"),
        ('folder = "backups"', "backup.folder"),
        ('folder = "/mnt/my backups"', "backup.folder"),
        ("late_hours = 0", "backup.late_hours"),
        ("hour = 2", "did you mean late_hours?"),
        ("prove = 1", "backup.prove"),
        ("[backup.s3]", "backup.s3.bucket: is required"),
        ('[backup.s3]\nbucket = "A_B"', "backup.s3.bucket"),
        ('[backup.s3]\nbucket = "abc"\nprefix = "/a"', "backup.s3.prefix"),
        ('[backup.s3]\nbucket = "abc"\nprefix = "a/"', "backup.s3.prefix"),
        ('[backup.s3]\nbucket = "abc"\nendpoint = "s3.example.com"', "backup.s3.endpoint"),
        ('[backup.s3]\nbucket = "abc"\nendpoint = "https://s3.example.com/bucket"', "backup.s3.endpoint"),
        ('[backup.s3]\nbucket = "abc"\nstorage_class = "standard"', "backup.s3.storage_class"),
        ('[backup.s3]\nbucket = "abc"\nkey = "hush"', "backup.s3"),  # secrets have no place in the file
    ],
)
def test_what_backup_refuses(addition, words):
    with pytest.raises(ConfigurationError) as error:
        load(FILE + addition, "neurmatic.toml")
    assert words in str(error.value)


def test_backups_need_a_database():
    with pytest.raises(ConfigurationError, match="there is no .postgres. to keep anything of"):
        load(FILE.replace("[postgres]\n", ""), "neurmatic.toml")


def test_what_is_not_said():
    backup = load(FILE + '[backup.s3]\nbucket = "abc"', "neurmatic.toml").stack.backup
    assert (backup.days, backup.clock, backup.full_days, backup.prove) == (30, (2, 0), 7, True)
    assert backup.s3 == S3(bucket="abc", prefix="", days=90, glacier_days=365, storage_class="STANDARD_IA")


# ---- progress


class Clock:
    """A source of blocks, and the time at which each comes."""

    def __init__(self, *blocks):
        self.blocks, self.now = list(blocks), 100.0

    def read(self, size=-1, /):
        seconds, data = self.blocks.pop(0) if self.blocks else (0, b"")
        self.now += seconds
        return data

    def monotonic(self):
        return self.now


def told(monkeypatch, total, *blocks):
    clock, reporter = Clock(*blocks), Quiet()
    monkeypatch.setattr("neurmatic.backups.progress.time", clock)
    source = Progress(clock, total, "dumping", reporter)
    found = b""
    while data := source.read():
        found += data
    return found, reporter.lines


def test_progress_passes_everything_on_and_is_silent_while_it_is_quick(monkeypatch):
    found, lines = told(monkeypatch, 0, (1, b"ab"), (1, b"c"))
    assert (found, lines) == (b"abc", [])


def test_progress_tells_how_far_how_fast_and_how_long_still(monkeypatch):
    block = b"x" * 1_000_000
    _, lines = told(monkeypatch, 4_000_000, (5, block), (1, block), (4, block), (1, block))
    assert lines == [
        "  dumping: 25 % of 4 MB, 0.2 MB/s, 15 s left",
        "  dumping: 75 % of 4 MB, 0.3 MB/s, 3 s left",
    ]


def test_progress_of_what_nobody_knows_the_end_of(monkeypatch):
    _, lines = told(monkeypatch, 0, (EVERY_SECONDS, b"x" * 2_000_000))
    assert lines == ["  dumping: 2 MB, 0.4 MB/s"]


def test_progress_of_more_than_was_announced_has_no_time_below_nothing(monkeypatch):
    _, lines = told(monkeypatch, 1_000_000, (10, b"x" * 2_000_000))
    assert lines == ["  dumping: 200 % of 1 MB, 0.2 MB/s, 0 s left"]
