"""Overall health: 200 healthy or degraded, 503 unhealthy, with database, redis, queues and memory; each state produced."""

import threading
import time
from typing import Any

from neurmatic.probes.http import Answer
from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Rehearsal, Subject, eventually

QUICK = False
TRIES = 10
PARTS = {"database", "redis", "queues", "memory"}


def check(subject: Subject, evidence: Evidence) -> None:
    copy = subject.rehearsal()
    answer = overall(copy)
    parts = set(checks_of(answer))
    evidence.expect(parts >= PARTS, f"the answer reports {', '.join(sorted(parts)) or 'nothing'}")
    evidence.expect(said(answer) == (200, "healthy"), f"with everything up: {said(answer)}")
    _produce(copy, evidence, "redis", (200, "degraded"))
    _produce(copy, evidence, "postgres", (503, "unhealthy"))


def _produce(copy: Rehearsal, evidence: Evidence, server: str, expected: tuple[int, str]) -> None:
    copy.stop(server)
    answer = eventually(lambda: overall(copy), lambda a: said(a) == expected, f"{expected} with {server} stopped", 10)
    evidence.note(f"with {server} stopped: {said(answer)}")
    copy.start(server)
    eventually(
        lambda: overall(copy), lambda a: said(a) == (200, "healthy"), f"healthy again after {server}'s start", 20
    )


def overall(copy: Rehearsal, timeout: float = 5) -> Answer:
    """The overall answer of the main service's first instance."""
    return copy.ask(copy.instances(copy.service()[0])[0], copy.health_path("overall"), timeout=timeout)


def slowed(copy: Rehearsal, server: str, part: str, seconds: float) -> dict[str, Any]:
    """The part of an answer whose question met the server while it was suspended for so many seconds.

    An answer may be shared for a second, whoever asked for it, so it takes some tries until the question itself meets that.
    """
    seen: dict[str, Any] = {}
    for attempt in range(TRIES):
        time.sleep(1.0 + 0.13 * attempt)
        copy.signal(server, "STOP")
        wake = threading.Timer(seconds, copy.signal, (server, "CONT"))
        wake.start()
        try:
            while wake.is_alive() and seen.get("status") != "slow":
                seen = checks_of(overall(copy, timeout=10)).get(part, {})
                time.sleep(0.03)
        finally:
            wake.join()
        if seen.get("status") == "slow":
            break
    return seen


def said(answer: Answer) -> tuple[int, str]:
    """Status code, and the word of the answer."""
    body = answer.json()
    return answer.status, str(body.get("status")) if isinstance(body, dict) else ""


def checks_of(answer: Answer) -> dict[str, Any]:
    """The parts that the answer reports on."""
    body = answer.json()
    found = body.get("checks") if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}
