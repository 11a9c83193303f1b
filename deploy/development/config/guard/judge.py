"""Whether a peer gets requests: from the answers it gave to the verdict. Pure."""

from dataclasses import dataclass, field

from .peers import Peer, Rules

MEMORY_SECONDS = 300.0
"""A peer that was out again and again within this time must be good for longer each time before it comes back."""
MOST_RISE = 120
RESTARTED = "its supervisor has just started it anew"


@dataclass(frozen=True)
class Seen:
    """What one question brought.

    Attributes:
        ready: it may get requests.
        served: it answered over HTTP, whatever it said.
        refused: nobody listens; then there is no need to ask twice.
    """

    ready: bool
    served: bool
    refused: bool
    words: str


@dataclass
class Judge:
    """One peer's record. Moments are seconds of a monotonic clock.

    Attributes:
        reason: why it gets no requests; empty when it does.
        since: when that was decided.
        served_by: process that answered last; one that never did may still be starting.
    """

    peer: Peer
    rules: Rules
    reason: str = ""
    since: float = 0.0
    good: int = 0
    bad: int = 0
    silent_since: float | None = None
    served_by: int = 0
    falls: list[float] = field(default_factory=list)

    def hear(self, seen: Seen, now: float, pid: int = 0) -> bool:
        """Take in an answer of this process (0: not known); True when the verdict changed."""
        restarted = bool(pid and self.served_by and pid != self.served_by)
        if seen.served:
            self.served_by = pid
        self.good, self.bad = (self.good + 1, 0) if seen.ready else (0, self.bad + 1)
        if seen.served or seen.refused:
            self.silent_since = None
        elif self.silent_since is None:
            self.silent_since = now
        if not self.reason and (self.bad >= self.rules.fall or seen.refused or restarted):
            # Restarted unseen: nginx may have counted failures of the one before, and hears of the new one by a reload.
            self.reason, self.since = RESTARTED if restarted and seen.ready else seen.words, now
            self.falls = [moment for moment in self.falls if now - moment < MEMORY_SECONDS] + [now]
            return True
        if self.reason and self.good >= self.rise:
            self.reason, self.since = "", now
            return True
        return False

    @property
    def rise(self) -> int:
        """Good answers in a row that bring it back: twice as many each time, so that one that flaps doesn't move nginx."""
        return int(min(self.rules.rise * 2 ** max(0, len(self.falls) - 1), MOST_RISE))

    def is_hung(self, now: float, pid: int, age: float) -> bool:
        """Whether its process, `age` seconds old, has been silent for so long that only a new start helps."""
        if not self.rules.hung_seconds or self.peer.live is None or self.silent_since is None:
            return False
        is_starting = pid != self.served_by and age < self.peer.start_seconds
        return not is_starting and now - self.silent_since >= self.rules.hung_seconds
