"""Two deploys at once: the second is refused while the first lives, and not when it was killed."""

import time
from pathlib import Path

from neurmatic.errors import BusyError
from neurmatic.readiness.finding import Evidence, Refuted
from neurmatic.readiness.rolling import rolling
from neurmatic.readiness.subject import Subject

QUICK = False
START_SECONDS = 10


def check(subject: Subject, evidence: Evidence) -> None:
    with rolling(subject) as one:
        host, layout = one.copy.host, one.copy.layout
        # Another process that holds the lock as a deploy does, to be killed as a deploy can be.
        host.spawn(
            ["flock", "--no-fork", str(layout.lock), "sleep", "300"],
            env={},
            cwd=Path("/"),
            log=layout.state / "lock.log",
        )
        holder = _holder(subject, one.copy.layout.lock)
        try:
            one.roll()
        except BusyError as error:
            evidence.note(f"while process {holder} holds the lock, a deploy is refused: {error}")
        else:
            raise Refuted("a second deploy went its way beside the first")
        finally:
            host.signal(holder, "KILL", tree=True)
        _await_release(subject, layout.lock)
        outcome = one.roll()
        evidence.note(f"after its kill -9 the next deploy brought {outcome.release} live")


def _holder(subject: Subject, lock: Path) -> int:
    until = time.monotonic() + START_SECONDS
    while not (found := subject.live.host.holders(lock)):
        if time.monotonic() > until:
            raise Refuted("no process could hold the lock")
        time.sleep(0.05)
    return found[0]


def _await_release(subject: Subject, lock: Path) -> None:
    """Killing takes the kernel a moment, on a busy machine a long one; that the lock goes with its holder is the claim."""
    until = time.monotonic() + START_SECONDS
    while holders := subject.live.host.holders(lock):
        if time.monotonic() > until:
            raise Refuted(f"process {holders[0]} was killed and holds the lock still")
        time.sleep(0.05)
