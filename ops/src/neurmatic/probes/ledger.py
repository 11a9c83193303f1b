"""What became of every request of a load, and what that amounts to. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise
from typing import Any

PERCENTILES = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "max": 1.0}


class Lost(StrEnum):
    """Why a request that was due has no answer."""

    REFUSED = "refused"  # no connection could be opened: nobody listens, or there is no way there
    CUT = "cut"  # the connection ended before the answer did
    TIMED_OUT = "timed_out"  # no whole answer within the time limit, which counts from the due moment
    TLS = "tls"  # no trust: the handshake failed, or the certificate isn't the CA's
    MALFORMED = "malformed"  # what came back is not HTTP
    NEVER_SENT = "never_sent"  # the client couldn't: its limit of connections, of open files or of ports was reached
    ABANDONED = "abandoned"  # still unanswered when the run was broken off


@dataclass(frozen=True, slots=True)
class Entry:
    """One due request. All moments are seconds since the load began.

    Attributes:
        begun: when the client took it up; what lies between `due` and this is the client's own delay.
        sent: when it was handed to the system, over an open connection; None when that never happened.
        ended: the last byte of the answer, or the moment at which it was lost.
        status: 0 without a whole answer; then `lost` and `detail` say why.
        size: bytes of the answer's body.
        label: what the label header of the answer said, usually which instance answered.
        retried: sent a second time, because the server had closed the idle connection that was used first.
    """

    due: float
    begun: float
    sent: float | None
    ended: float
    status: int = 0
    lost: Lost | None = None
    detail: str = ""
    size: int = 0
    label: str = ""
    retried: bool = False

    @property
    def seconds(self) -> float:
        """How long it took from the moment it was due, whatever held it up."""
        return self.ended - self.due

    def is_good(self, expect: frozenset[int]) -> bool:
        """Whether it was answered with one of these statuses; without any, with 200 to 399."""
        return not self.lost and (self.status in expect if expect else self.status in range(200, 400))

    def __str__(self) -> str:
        what = f"{self.lost}: {self.detail}" if self.lost else f"status {self.status}"
        return f"due at {self.due:.3f} s: {what} after {self.seconds * 1000:.0f} ms"


@dataclass(frozen=True)
class Ledger:
    """Every request that was due, in the order in which they were.

    Attributes:
        rate: requests due per second.
        seconds: how long requests were due: as asked, or until the load was stopped.
        planned: how many would have been due in the time asked for.
        entries: exactly one per due request.
        begun_at: seconds since the epoch.
        expect: the statuses of a good answer; without any, 200 to 399.
    """

    rate: float
    seconds: float
    planned: int
    entries: Sequence[Entry]
    begun_at: float = 0
    expect: frozenset[int] = frozenset()

    @property
    def stopped(self) -> bool:
        """Whether it ended before its time."""
        return len(self.entries) < self.planned

    @property
    def answered(self) -> int:
        """How many got a whole answer, whatever it said."""
        return sum(not one.lost for one in self.entries)

    @property
    def failed(self) -> list[Entry]:
        """Those without a good answer: lost, or answered with a status that wasn't expected."""
        return [one for one in self.entries if not self.good(one)]

    def good(self, entry: Entry) -> bool:
        """Whether this one was answered as expected."""
        return entry.is_good(self.expect)

    def rows(self) -> list[dict[str, Any]]:
        """One JSON object per due request; times in seconds, `at` is the due moment in UTC."""
        return [
            {
                "at": datetime.fromtimestamp(self.begun_at + one.due, UTC).isoformat(timespec="milliseconds"),
                "due": round(one.due, 6),
                "begun": round(one.begun, 6),
                "sent": None if one.sent is None else round(one.sent, 6),
                "seconds": round(one.seconds, 6),
                "status": one.status or None,
                "lost": one.lost,
                "detail": one.detail,
                "bytes": one.size,
                "label": one.label,
                "retried": one.retried,
                "good": self.good(one),
            }
            for one in self.entries
        ]


@dataclass(frozen=True)
class Summary:
    """A ledger in a few figures. Times are milliseconds, and those of `latency_ms` count from the due moment.

    Attributes:
        due: answered and lost together, always.
        good: answered as expected.
        answered: by class of status, such as 2xx.
        lost: by reason, see `Lost`.
        words: what was said of the first one lost for each reason.
        latency_ms: p50, p90, p99 and max of the requests that were answered or timed out (these waited at least as long as the time
            limit); None when there is none. Those refused, cut or never sent waited for nothing and are counted in `lost` alone.
        longest_gap_ms: the longest time in which no good answer ended.
        achieved_rate: answers per second, until the last one.
        client_delay_ms: the longest that the client itself took to take up a due request; high when this machine is too busy.
        labels: answers by what the label header said.
    """

    due: int
    planned: int
    rate: float
    seconds: float
    stopped: bool
    good: int
    answered: Mapping[str, int]
    lost: Mapping[str, int]
    words: Mapping[str, str]
    retried: int
    latency_ms: Mapping[str, float | None]
    longest_gap_ms: float
    achieved_rate: float
    client_delay_ms: float
    bytes: int
    labels: Mapping[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every request was answered as expected."""
        return self.good == self.due


def summarize(ledger: Ledger) -> Summary:
    """The ledger's figures."""
    entries = ledger.entries
    answers = [one for one in entries if not one.lost]
    waited = sorted(one.seconds for one in entries if one.lost in (None, Lost.TIMED_OUT))
    until = max([ledger.seconds, *(one.ended for one in answers)])
    return Summary(
        due=len(entries),
        planned=ledger.planned,
        rate=ledger.rate,
        seconds=round(ledger.seconds, 3),
        stopped=ledger.stopped,
        good=sum(map(ledger.good, entries)),
        answered=_counted(f"{one.status // 100}xx" for one in answers),
        lost=_counted(str(one.lost) for one in entries if one.lost),
        words={str(one.lost): one.detail for one in reversed(entries) if one.lost},
        retried=sum(one.retried for one in entries),
        latency_ms={name: _ms(percentile(waited, share)) for name, share in PERCENTILES.items()},
        longest_gap_ms=round(longest_gap(ledger) * 1000, 1),
        achieved_rate=round(len(answers) / until, 2) if until else 0,
        client_delay_ms=round(max((one.begun - one.due for one in entries), default=0) * 1000, 1),
        bytes=sum(one.size for one in entries),
        labels=_counted(one.label for one in answers if one.label),
    )


def percentile(ascending: Sequence[float], share: float) -> float | None:
    """The smallest value that at least this share of them doesn't exceed; None of none. Never between two measured values."""
    if not ascending:
        return None
    return ascending[max(0, math.ceil(share * len(ascending) - 1e-9) - 1)]


def longest_gap(ledger: Ledger) -> float:
    """The longest time, in seconds, in which no good answer ended, from the beginning to the end of the due time.

    At a low rate it can't be less than the time between two requests.
    """
    ends = sorted(one.ended for one in ledger.entries if ledger.good(one))
    moments = [0.0, *ends, max([ledger.seconds, *ends])]
    return max(later - earlier for earlier, later in pairwise(moments))


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 2)
