"""Queues: waiting, active, completed and failed for each; over 100 waiting or 50 failed is degraded; both produced."""

from typing import Any

from neurmatic.probes.http import Answer
from neurmatic.readiness.checks.health_overall import checks_of, overall, said
from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.subject import Rehearsal, Subject, eventually
from neurmatic.stack.section import UrlPath

QUICK = False
COUNTS = {"waiting", "active", "completed", "failed"}
WAITING_LIMIT, FAILED_LIMIT = 100, 50


def check(subject: Subject, evidence: Evidence) -> None:
    copy = subject.rehearsal()
    wanted = copy.stack.checks
    workers = [name for name in copy.stack.services if name != copy.service()[0]]
    if not (wanted.enqueue and wanted.fail and workers):
        raise Unverifiable(
            "the stack file names no way to put a job into a queue, or no worker",
            "set [checks] enqueue and fail",
        )
    queues = queues_of(overall(copy))
    shown = {name: sorted(counts) for name, counts in queues.items()}
    evidence.expect(
        bool(queues) and all(set(c) >= COUNTS for c in queues.values()), f"each queue has its counts: {shown}"
    )
    names = [one.name for worker in workers for one in copy.instances(worker)]
    _waiting(copy, evidence, names, wanted.enqueue)
    _failed(copy, evidence)


def _waiting(copy: Rehearsal, evidence: Evidence, workers: list[str], enqueue: UrlPath) -> None:
    before = total(overall(copy), "completed")
    for name in workers:
        copy.stop(name)
    post(copy, enqueue, copy.stack.checks.enqueue_body, WAITING_LIMIT + 1)
    answer = eventually(
        lambda: overall(copy),
        lambda a: said(a) == (200, "degraded") and total(a, "waiting") > WAITING_LIMIT,
        f"degraded with more than {WAITING_LIMIT} waiting",
        10,
    )
    evidence.note(f"with the workers stopped and {total(answer, 'waiting')} waiting: {said(answer)}")
    for name in workers:
        copy.start(name)
    answer = eventually(
        lambda: overall(copy),
        lambda a: said(a) == (200, "healthy") and total(a, "completed") > before,
        "healthy, with more completed, once the workers are back",
    )
    evidence.note(
        f"workers back: {total(answer, 'waiting')} waiting, {total(answer, 'completed') - before} more completed"
    )


def _failed(copy: Rehearsal, evidence: Evidence) -> None:
    copy.up.run_in_release((*copy.stack.checks.fail, str(FAILED_LIMIT + 1)))
    answer = eventually(
        lambda: overall(copy),
        lambda a: said(a) == (200, "degraded") and total(a, "failed") > FAILED_LIMIT,
        f"degraded with more than {FAILED_LIMIT} failed",
        60,
    )
    evidence.note(f"with {total(answer, 'failed')} failed: {said(answer)}")


def post(copy: Rehearsal, path: UrlPath, body: str, times: int) -> None:
    """Put jobs into a queue."""
    one = copy.instances(copy.service()[0])[0]
    for _ in range(times):
        answer = copy.ask(one, path, method="POST", body=body.encode(), headers={"Content-Type": "application/json"})
        if answer.status not in range(200, 300):
            raise Unverifiable(f"POST {path} answers {answer} {answer.body[:200]!r}", "correct [checks]")


def queues_of(answer: Answer) -> dict[str, dict[str, Any]]:
    """The counts of each queue."""
    part = checks_of(answer).get("queues", {})
    found = part.get("queues") if isinstance(part, dict) else None
    return found if isinstance(found, dict) else {}


def total(answer: Answer, count: str) -> int:
    """A count over all queues."""
    return sum(int(counts.get(count, 0)) for counts in queues_of(answer).values())
