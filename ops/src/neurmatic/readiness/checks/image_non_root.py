"""Every running container is an unprivileged account's, without capabilities, on a root that can't be written to."""

from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.images import container_problems
from neurmatic.readiness.subject import Subject

QUICK = True


def check(subject: Subject, evidence: Evidence) -> None:
    for name, said in subject.need_containers().containers().items():
        problems = container_problems(said)
        evidence.expect(not problems, f"{name}: {', '.join(problems) or 'runs as ' + said['Config']['User']}")
