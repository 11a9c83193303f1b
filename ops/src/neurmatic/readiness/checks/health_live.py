"""Liveness answers 200 whenever the process serves, whatever else is down."""

from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Subject

QUICK = False


def check(subject: Subject, evidence: Evidence) -> None:
    copy = subject.rehearsal()
    path = copy.health_path("live")
    servers = [name for name in ("redis", "postgres") if name in copy.up.instances]
    for name in servers:
        copy.stop(name)
    for one in copy.instances(copy.service()[0]):
        answer = copy.ask(one, path)
        evidence.expect(
            answer.status == 200, f"with {' and '.join(servers)} stopped, {one.name} answers live with {answer}"
        )
    answer = copy.get(path)
    evidence.expect(answer.status == 200, f"through the edge with {answer}")
