"""Redis's part of health: slow over 500 ms, not critical; without it everything but its own features goes on."""

import time

from neurmatic.readiness.checks.health_overall import checks_of, overall, said, slowed
from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.subject import Rehearsal, Subject, eventually

QUICK = False
LIMIT_SECONDS = 3.0  # docs/reference/application-contract.md
SLOW_SECONDS = 0.75  # half way between what is slow by the contract, 0.5 s, and what is down, 1 s


def check(subject: Subject, evidence: Evidence) -> None:
    copy = subject.rehearsal()
    if copy.stack.redis is None:
        raise Unverifiable("the stack has no [redis]", "add [redis]")
    part = checks_of(overall(copy)).get("redis", {})
    evidence.expect(part.get("status") == "up" and part.get("critical") is False, f"up: {part}")
    _suspended(copy, evidence)
    _slowed(copy, evidence)
    _killed(copy, evidence)


def _suspended(copy: Rehearsal, evidence: Evidence) -> None:
    copy.signal("redis", "STOP")
    try:
        time.sleep(1.1)
        answer = overall(copy, timeout=10)
        evidence.expect(
            said(answer) == (200, "degraded") and answer.seconds < LIMIT_SECONDS,
            f"with Redis suspended: {said(answer)}, {answer}",
        )
        if copy.stack.checks.read:
            page = copy.get(copy.stack.checks.read, timeout=10)
            evidence.expect(page.status == 200, f"{copy.stack.checks.read} goes on: {page}")
    finally:
        copy.signal("redis", "CONT")
    eventually(lambda: overall(copy), lambda a: said(a) == (200, "healthy"), "healthy after Redis goes on", 20)


def _slowed(copy: Rehearsal, evidence: Evidence) -> None:
    part = slowed(copy, "redis", "redis", SLOW_SECONDS)
    evidence.expect(part.get("status") == "slow", f"suspended for {SLOW_SECONDS:g} s in mid-question: {part}")


def _killed(copy: Rehearsal, evidence: Evidence) -> None:
    copy.signal("redis", "KILL")
    if copy.stack.checks.read:
        page = copy.get(copy.stack.checks.read)
        evidence.expect(page.status == 200, f"right after kill -9 of Redis, {copy.stack.checks.read}: {page}")
    eventually(lambda: overall(copy), lambda a: said(a) == (200, "healthy"), "healthy after Redis was killed", 20)
    evidence.note("healthy by itself after the kill")
