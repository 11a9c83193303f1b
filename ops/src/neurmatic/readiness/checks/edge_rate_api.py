"""So many requests a second for each client, with a burst: the first refusal comes where it is promised."""

import time

from neurmatic.probes.http import Answer
from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.refusals import expect_refusal
from neurmatic.readiness.subject import Subject
from neurmatic.render.locations import rated_paths

QUICK = False


def check(subject: Subject, evidence: Evidence) -> None:
    copy = subject.rehearsal()
    limits, paths = copy.stack.edge.limits, rated_paths(copy.stack)
    if not paths:
        raise Unverifiable("the rate is counted nowhere", "name URL prefixes in [edge.limits] paths")
    path = f"{paths[0].rstrip('/')}/neurmatic-nowhere"
    client = copy.new_client()
    begun = time.monotonic()
    most = limits.burst + 1
    answers: list[Answer] = []
    while len(answers) < 20 * most:
        answers.append(copy.get(path, source=client))
        if answers[-1].status == 429:
            break
    seconds = time.monotonic() - begun
    let_through = len(answers) - 1
    allowed = most + int(limits.rate * seconds) + 1
    evidence.expect(
        most <= let_through <= allowed and answers[-1].status == 429,
        f"one client, as fast as it can: {let_through} let through in {seconds:.2f} s (promised {most} at once and {limits.rate} a second), then {answers[-1]}",
    )
    expect_refusal(evidence, answers[-1])
    another = copy.new_client()
    # As many as a shared count could not let through in the time they take: it frees one place every 1/rate seconds.
    others = [copy.get(path, source=another) for _ in range(most // 2)]
    refused = sum(one.status == 429 for one in others)
    evidence.expect(not refused, f"another client meanwhile: {len(others)} requests, {refused} refused")
    time.sleep(1.2 / limits.rate)
    evidence.expect(copy.get(path, source=client).status != 429, "the first one again, when a request has become free")
