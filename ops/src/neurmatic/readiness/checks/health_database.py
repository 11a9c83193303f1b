"""The database's part of health: slow over 1000 ms, critical, and a hung server is answered for within the time limit."""

import time

from neurmatic.readiness.checks.health_overall import checks_of, overall, said, slowed
from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.subject import Subject, eventually

QUICK = False
LIMIT_SECONDS = 3.0  # docs/reference/application-contract.md
SLOW_SECONDS = 1.5  # half way between what is slow by the contract, 1 s, and what is down, 2 s


def check(subject: Subject, evidence: Evidence) -> None:
    copy = subject.rehearsal()
    if copy.stack.postgres is None:
        raise Unverifiable("the stack has no [postgres]", "add [postgres]")
    part = checks_of(overall(copy)).get("database", {})
    evidence.expect(part.get("status") == "up" and part.get("critical") is True, f"up: {part}")

    copy.signal("postgres", "STOP")
    try:
        time.sleep(1.1)  # past the second for which an earlier answer may be shared
        answer = overall(copy, timeout=10)
        evidence.expect(said(answer) == (503, "unhealthy"), f"with PostgreSQL suspended: {said(answer)}")
        evidence.expect(
            answer.seconds < LIMIT_SECONDS, f"answered after {answer.seconds:.2f} s (limit {LIMIT_SECONDS:g})"
        )
    finally:
        copy.signal("postgres", "CONT")
    eventually(lambda: overall(copy), lambda a: said(a) == (200, "healthy"), "healthy after PostgreSQL goes on", 20)

    part = slowed(copy, "postgres", "database", SLOW_SECONDS)
    evidence.expect(part.get("status") == "slow", f"suspended for {SLOW_SECONDS:g} s in mid-question: {part}")
