"""Login has a limit of its own, for each client and minute, whatever way its address is written."""

from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.refusals import expect_bucket
from neurmatic.readiness.subject import Subject

QUICK = False


def check(subject: Subject, evidence: Evidence) -> None:
    copy = subject.rehearsal()
    credentials = copy.stack.edge.limits.credentials
    if "login" not in credentials:
        raise Unverifiable("the stack file names no address for login", "add [edge.limits.credentials] login")
    expect_bucket(copy, evidence, "login", credentials["login"])
