"""Registration and every other address that takes a credential have limits of their own."""

from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.refusals import expect_bucket
from neurmatic.readiness.subject import Subject

QUICK = False


def check(subject: Subject, evidence: Evidence) -> None:
    copy = subject.rehearsal()
    others = {name: one for name, one in copy.stack.edge.limits.credentials.items() if name != "login"}
    if "register" not in others:
        raise Unverifiable("the stack file names no address for registration", "add [edge.limits.credentials] register")
    for name, one in others.items():
        expect_bucket(copy, evidence, name, one)
