"""Body, header and time limits answer with the right status and the edge's own error body."""

from neurmatic.probes.http import Answer
from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.subject import Rehearsal, Subject
from neurmatic.stack.section import nginx_bytes

QUICK = False
HURRIED_SECONDS = 5.0


def check(subject: Subject, evidence: Evidence) -> None:
    copy = subject.rehearsal()
    edge = copy.stack.edge
    route = copy.service()[1].routes[0]
    largest = nginx_bytes(edge.body_size)
    long = "x" * (nginx_bytes(edge.limits.header_size) + 1000)
    _expect(
        evidence,
        f"a body of {largest + 1} bytes",
        copy.get(route, method="POST", body=b"x" * (largest + 1), timeout=20),
        413,
    )
    answer = copy.get(route, method="POST", body=b"x" * min(largest, 100_000), timeout=20)
    evidence.expect(answer.status not in (0, 413), f"a smaller one: {answer.status}")
    _expect(evidence, f"a header of {len(long)} bytes", copy.get(route, headers={"X-Long": long}), 431)
    _expect(evidence, f"an address of {len(long)} bytes", copy.get(f"{route}{long}"), 414)
    _time(copy, evidence)


def _time(copy: Rehearsal, evidence: Evidence) -> None:
    """Every instance suspended: 504 within the read time limit, which is shortened for this."""
    if copy.stack.edge.read_timeout <= 0:
        raise Unverifiable("there is no time limit on answers", "set [edge] read_timeout")
    route = copy.service()[1].routes[0]
    failover = copy.stack.edge.failover.replace(hung_seconds=0)
    with copy.changed(read_timeout=1.0, failover=failover) as hurried:
        names = [one.name for one in hurried.instances(hurried.service()[0])]
        for name in names:
            hurried.signal(name, "STOP")
        try:
            answer = hurried.get(f"{route}neurmatic-nowhere", timeout=20)
        finally:
            for name in names:
                hurried.signal(name, "CONT")
        _expect(evidence, "every instance suspended, a read time limit of 1 s", answer, 504)
        evidence.expect(answer.seconds < HURRIED_SECONDS, f"after {answer.seconds:.1f} s, each instance asked once")
    for name in names:
        copy.stop(name)
    _expect(evidence, "every instance stopped", copy.get(f"{route}neurmatic-nowhere", timeout=20), 502)


def _expect(evidence: Evidence, words: str, answer: Answer, status: int) -> None:
    body = answer.json()
    ours = (
        isinstance(body, dict)
        and body.get("status") == status
        and body.get("request_id") == answer.headers.get("x-request-id")
    )
    evidence.expect(
        answer.status == status and ours,
        f"{words}: {answer.status or answer.error}, {answer.headers.get('content-type')}{'' if ours else ', not the error body of the edge'}",
    )
