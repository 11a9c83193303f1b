"""The archive of the WAL: which segments it holds, whether one is missing, and what is not in it yet."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from neurmatic.backups.catalog import Kept
from neurmatic.backups.database import DatabaseError, value
from neurmatic.backups.logical import live
from neurmatic.backups.pgbackrest import PgBackRest
from neurmatic.backups.setting import Setting
from neurmatic.render.backup import STANZA

_SEGMENT = re.compile(r"([0-9A-F]{24})-[0-9a-f]{40}(?:\.\w+)?")
_HISTORY = re.compile(r"([0-9A-F]{8})\.history")
_COMMIT = re.compile(r"desc: (?:COMMIT|ABORT)\w* (\S+ \S+ UTC)")
_4_GB, _16_MB = 1 << 32, 1 << 24
_READY = r"^[0-9A-F]{24}\.ready$"
_FIRST_WAITING = (
    f"SELECT coalesce((SELECT left(min(name), 24) FROM pg_ls_archive_statusdir() WHERE name ~ '{_READY}'),"  # noqa: S608  a constant
    " pg_walfile_name(pg_current_wal_insert_lsn()))"
)


class Segment(NamedTuple):
    """One segment of the WAL; its number counts from the beginning of its cluster's WAL."""

    timeline: int
    number: int


@dataclass(frozen=True)
class Gap:
    """Segments that are missing between others.

    Attributes:
        first, last: their names.
        before: when the last segment before them was archived: what was committed until about then can be reached.
    """

    first: str
    last: str
    before: datetime | None

    def __str__(self) -> str:
        what = self.first if self.first == self.last else f"{self.first} to {self.last}"
        until = f"; nothing after {self.before:%Y-%m-%d %H:%M:%S} UTC can be reached" if self.before else ""
        return f"the archive lacks {what}{until}"


@dataclass(frozen=True)
class Archive:
    """What one store holds of one cluster's WAL.

    Attributes:
        segments: when each was archived.
        histories: for each timeline but the first, its ancestors with the bytes of WAL where each was left.
        begun: when each of those timelines began.
        size: bytes of a segment.
    """

    segments: Mapping[Segment, datetime]
    histories: Mapping[int, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    begun: Mapping[int, datetime] = field(default_factory=dict)
    size: int = _16_MB

    def name(self, segment: Segment) -> str:
        """As PostgreSQL names its file."""
        per = _4_GB // self.size
        return f"{segment.timeline:08X}{segment.number // per:08X}{segment.number % per:08X}"

    def segment(self, name: str) -> Segment:
        """From its file's name."""
        return Segment(int(name[:8], 16), int(name[8:16], 16) * (_4_GB // self.size) + int(name[16:24], 16))

    def holding(self, timeline: int, lsn: int) -> Segment:
        """The segment with the byte before this position, which is the last one that recovery read."""
        return Segment(timeline, max(0, lsn - 1) // self.size)

    def timeline(self, at: datetime | None = None) -> int:
        """The timeline that the server wrote at that time; without one, the newest."""
        known = {segment.timeline for segment in self.segments} | set(self.histories)
        return max((one for one in known if at is None or one not in self.begun or self.begun[one] <= at), default=1)

    def last(self, timeline: int) -> Segment | None:
        """The last segment on the way along this timeline and its ancestors."""
        for one, left in reversed(self.way(timeline)):
            numbers = [s.number for s in self.segments if s.timeline == one and s.number * self.size < left]
            if numbers:
                return Segment(one, max(numbers))
        return None

    def end(self, timeline: int) -> datetime | None:
        """When that one was archived."""
        last = self.last(timeline)
        return self.segments[last] if last else None

    def way(self, timeline: int) -> list[tuple[int, float]]:
        """Timelines from the first to this one, each with the position where it is left."""
        return [*self.histories.get(timeline, ()), (timeline, float("inf"))]

    def leads(self, start: Segment, timeline: int) -> bool:
        """Whether recovery that begins with this segment can follow that timeline."""
        return any(one == start.timeline and start.number * self.size < left for one, left in self.way(timeline))


def gaps(archive: Archive, start: str, timeline: int | None = None) -> list[Gap]:
    """What is missing from this segment on, up to the last one that is there, along a timeline and its ancestors."""
    goal = timeline if timeline is not None else archive.timeline()
    begin, last = archive.segment(start), archive.last(goal)
    if last is None or last.number < begin.number:
        return [Gap(start, start, None)]
    wanted = list(_wanted(archive, begin.number, last.number, goal))
    found: list[Gap] = []
    missing: list[Segment] = []
    before: datetime | None = None
    for one in wanted:
        there = archive.segments.get(one)
        if there is None:
            missing.append(one)
            continue
        if missing:
            found.append(Gap(archive.name(missing[0]), archive.name(missing[-1]), before))
            missing = []
        before = there
    return found


def _wanted(archive: Archive, first: int, last: int, timeline: int) -> Iterator[Segment]:
    """The segment in which a timeline was left exists on the next one, too, which is the one that counts."""
    way = archive.way(timeline)
    for number in range(first, last + 1):
        yield Segment(next(one for one, left in way if (number + 1) * archive.size <= left), number)


def parse_history(text: str) -> tuple[tuple[int, int], ...]:
    """Ancestors of a timeline, from its history file: each with the position where it was left."""
    rows = (line.split() for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return tuple((int(row[0]), parse_lsn(row[1])) for row in rows)


def parse_lsn(text: str) -> int:
    """A position in the WAL, such as 0/3000028, in bytes."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def segment_size(setting: Setting) -> int:
    """Bytes of a segment, as the server has it; of one that can't be asked, as the tool makes them."""
    try:
        with live(setting, "postgres").connected() as connection:
            return int(value(connection, "SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'"))
    except DatabaseError:
        return _16_MB


def read_archive(setting: Setting, store: str, folder: str) -> Archive:
    """What a store holds in one of the archive's folders, such as 15-1."""
    size = segment_size(setting)
    engine = PgBackRest(setting, store)
    place = f"archive/{STANZA}/{folder}"
    segments: dict[Segment, datetime] = {}
    histories: dict[int, tuple[tuple[int, int], ...]] = {}
    begun: dict[int, datetime] = {}
    empty = Archive({}, size=size)
    for path, file in engine.files(place).items():
        name = path.rpartition("/")[2]
        if found := _SEGMENT.fullmatch(name):
            segments[empty.segment(found.group(1))] = file.time
        elif found := _HISTORY.fullmatch(name):
            timeline = int(found.group(1), 16)
            histories[timeline] = parse_history(engine.text(f"{place}/{path}"))
            begun[timeline] = file.time
    return Archive(segments, histories, begun, size)


def missing(setting: Setting, store: str, kept: Kept) -> list[Gap]:
    """Gaps in a store's archive from this base backup on, and behind its end what the server believes to be in it.

    The second is what an archive_command does that says yes and keeps nothing, and WAL that was dropped.
    """
    with live(setting, "postgres").connected() as connection:
        first = value(connection, _FIRST_WAITING)
    engine = PgBackRest(setting, store)
    folder = next((one.archive for one in engine.backups() if one.label == kept.id), engine.archive)
    archive = read_archive(setting, store, folder)
    return gaps(archive, kept.manifest.wal_start) + given_away(archive, first)


def given_away(archive: Archive, first: str) -> list[Gap]:
    """Segments between the archive's end and the first that still waits on the server: they are nowhere any more."""
    waiting = archive.segment(first)
    last = archive.last(archive.timeline())
    if last is None or last.number + 1 >= waiting.number:
        return []
    begin, end = (archive.name(Segment(waiting.timeline, number)) for number in (last.number + 1, waiting.number - 1))
    return [Gap(begin, end, archive.segments[last])]


@dataclass(frozen=True)
class Lag:
    """What would be lost if the server were lost now.

    Attributes:
        seconds: age of the oldest commit that is not in every store's archive; 0 when every one is.
        waiting: segments that wait to be archived.
        failing_since: when archiving failed, if it has not worked since; and what was said of it.
    """

    seconds: float
    waiting: int = 0
    failing_since: datetime | None = None
    error: str = ""


def lag(setting: Setting) -> Lag:
    """The RPO now: read from the WAL that the archive doesn't have yet, down to the commit.

    Raises:
        DatabaseError: the server can't be asked.
    """
    with live(setting, "postgres").connected() as connection:
        waiting = value(connection, f"SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name ~ '{_READY}'")  # noqa: S608  a constant
        first = value(connection, _FIRST_WAITING)
        since = value(
            connection,
            "SELECT last_failed_time FROM pg_stat_archiver"
            " WHERE last_failed_time > coalesce(last_archived_time, '-infinity')",
        )
    file = setting.layout.postgres / "pg_wal" / first
    words = [str(setting.postgres_bin / "pg_waldump"), "--rmgr=Transaction", "--limit=1", str(file)]
    # It ends with 1 where the WAL ends; without a commit, that is all it says.
    said = setting.host.run(words, env={"LANG": "C.UTF-8", "TZ": "UTC"}, user=setting.user, check=False)
    oldest = _COMMIT.search(said.out)
    seconds = (datetime.now(UTC) - _time(oldest.group(1))).total_seconds() if oldest else 0.0
    return Lag(max(0.0, round(seconds, 3)), waiting, since, archiving_error(setting) if since else "")


def _time(text: str) -> datetime:
    return datetime.strptime(text.removesuffix(" UTC"), "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)


def archiving_error(setting: Setting) -> str:
    """What pgBackRest last said of a segment that it could not archive; empty when it said nothing."""
    folder = setting.layout.run / "archive" / "archive" / STANZA / "out"
    names = [name for name in setting.host.names(folder) if name.endswith(".error")]
    text = " ".join((setting.host.read(folder / names[0]) or "").split()) if names else ""
    return (
        text
        or " ".join(
            setting.host.tail(setting.layout.logs / "backup" / f"{STANZA}-archive-push-async.log", 2000).split()
        )[-400:]
    )
