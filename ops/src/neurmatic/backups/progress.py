"""Progress of long work: how much, how fast, and how long still, said every few seconds."""

import time

from neurmatic.hosts.pipeline import Source
from neurmatic.releases.project import Reporter

EVERY_SECONDS = 5.0


class Progress:
    """A source that tells how far it was read.

    Args:
        total: bytes that it will give; 0 when nobody knows.
    """

    def __init__(self, source: Source, total: int, what: str, reporter: Reporter) -> None:
        self._source, self._total, self._what, self._reporter = source, total, what, reporter
        self._read = 0
        self._begun = self._said = time.monotonic()

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(size)
        self._read += len(data)
        now = time.monotonic()
        if data and now - self._said >= EVERY_SECONDS:
            self._said = now
            self._reporter.say(f"  {self._what}: {self._sentence(now - self._begun)}")
        return data

    def _sentence(self, seconds: float) -> str:
        rate = self._read / seconds
        words = f"{self._read / 1e6:.0f} MB, {rate / 1e6:.1f} MB/s"
        if self._total:
            left = max(0.0, (self._total - self._read) / rate)
            words = f"{100 * self._read / self._total:.0f} % of {self._total / 1e6:.0f} MB, {rate / 1e6:.1f} MB/s, {left:.0f} s left"
        return words
