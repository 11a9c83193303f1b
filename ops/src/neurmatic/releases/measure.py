"""What clients notice while something is being changed: constant load through the edge, every request of it accounted for."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Any, Self

from neurmatic.probes.ledger import Ledger, Summary, summarize
from neurmatic.probes.load import Background, Load, Progress
from neurmatic.releases import members
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack

MOST_SECONDS = 1800
TIMEOUT = 5.0
"""Seconds after which a request counts as failed: no browser's user waits longer."""


@dataclass(frozen=True)
class Measured:
    """Requests that were due while it was measured; milliseconds without a good answer, of the URL where it was longest."""

    requests: int
    failed: int
    longest_gap_ms: float
    p99_ms: float | None
    words: str

    def as_text(self) -> str:
        """One line for the operator."""
        if not self.requests:
            return "nothing was measured: the edge answers no path that is known to be well; name one with --probe"
        words = f" ({self.words})" if self.failed else ""
        return f"{self.requests} requests, {self.failed} failed{words}, longest gap {self.longest_gap_ms:.0f} ms"

    def as_json(self) -> dict[str, Any]:
        """For the event and for machines."""
        return asdict(self)


def targets(stack: Stack, layout: Layout, probes: tuple[str, ...], rate: float) -> list[Load]:
    """The loads that are sent: to these URLs, else to the stack's front page and its services' readiness, through its edge."""
    paths = (*(["/"] if stack.site else []), *members.ready_paths(stack))
    own = [stack.url + path for path in dict.fromkeys(paths)]
    return [_load(url, rate, stack, layout) for url in probes or own]


def _load(url: str, rate: float, stack: Stack, layout: Layout) -> Load:
    is_ours = url.startswith(f"{stack.url}/")
    return Load(
        url,
        rate=rate,
        seconds=MOST_SECONDS,
        timeout=TIMEOUT,
        ca=layout.trust if is_ours else None,
        address=members.edge_address(stack) if is_ours else None,
    )


@dataclass(frozen=True)
class Moment:
    """How the loads stood when the release that serves was about to change, or had changed.

    Attributes:
        seconds: of each load, since it began.
        progress: of each load, by its URL.
    """

    seconds: tuple[float, ...]
    progress: dict[str, Progress]

    @property
    def failed(self) -> int:
        """Requests that had failed until then."""
        return sum(one.failed for one in self.progress.values())

    def can_judge(self, url: str) -> bool:
        """Whether a failure at this URL says anything from then on: not where no request was ever answered well."""
        one = self.progress[url]
        return one.good > 0 or one.failed == 0

    def sentences(self) -> Iterator[str]:
        """What the operator is told of failures until then."""
        for url, one in self.progress.items():
            if one.failed:
                then = "those after it are judged by themselves" if self.can_judge(url) else "all: it is not judged"
                yield f"{url}: {one.failed} request{'s' * (one.failed != 1)} failed before the switch, {then}"


class Measurement:
    """Loads that run from `with` to the end of its block."""

    def __init__(self, loads: list[Load]) -> None:
        self._loads = [Background(load) for load in loads]
        self._running = ExitStack()

    def __enter__(self) -> Self:
        for one in self._loads:
            self._running.enter_context(one)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.__exit__(kind, error, trace)

    def moment(self) -> Moment:
        """How it stands now."""
        seconds = tuple(one.seconds for one in self._loads)
        return Moment(seconds, {one.load.url: replace(one.progress) for one in self._loads})

    def failed_since(self, moment: Moment) -> list[str]:
        """What became of each request that has failed since then, as far as it may be the new release's doing.

        Where some had failed before, only those that were due since count: in flight were more of the same.
        """
        both = zip(self._loads, moment.seconds, strict=True)
        judged = [(one, then if moment.failed else 0.0) for one, then in both if moment.can_judge(one.load.url)]
        return [f"{one.load.url}, {entry}" for one, then in judged for entry in one.failed_since(then)]

    def settle(self) -> None:
        """Wait for what is in flight now, TIMEOUT at most: a server that answers nothing shows only then."""
        for one in self._loads:
            one.settle()

    def stop(self) -> Measured:
        """Send no more; what became of all that was sent."""
        ledgers = [one.stop() for one in self._loads]
        summaries = [summarize(one) for one in ledgers]
        return Measured(
            requests=sum(one.due for one in summaries),
            failed=sum(one.due - one.good for one in summaries),
            longest_gap_ms=max((one.longest_gap_ms for one in summaries), default=0.0),
            p99_ms=max((ms for one in summaries if (ms := one.latency_ms["p99"]) is not None), default=None),
            words="; ".join(_words(*one) for one in zip(self._loads, ledgers, summaries, strict=True) if not one[2].ok),
        )


def _words(load: Background, ledger: Ledger, seen: Summary) -> str:
    """Which URL failed, how often, and how the first ones did."""
    first = ", ".join(str(entry) for entry in ledger.failed[:3])
    return f"{load.load.url}: {seen.due - seen.good} of {seen.due}, longest gap {seen.longest_gap_ms:.0f} ms, {first}"


class Phases:
    """Seconds that each phase took, in their order."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._begun = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the begin."""
        return time.monotonic() - self._begun

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Measure one phase, however it ends."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(time.monotonic() - begun, 3)
