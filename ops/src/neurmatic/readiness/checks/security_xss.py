"""A policy without unsafe-inline on every kind of answer; what a page makes of stored text, only a browser shows."""

from neurmatic.readiness.answers import kinds
from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.policy import holes
from neurmatic.readiness.subject import Subject

QUICK = False
HEADER = "Content-Security-Policy"


def check(subject: Subject, evidence: Evidence) -> None:
    policies = set()
    for kind, answer, _ in kinds(subject.rehearsal()):
        sent = answer.every(HEADER)
        evidence.expect(len(sent) == 1, f"{kind} ({answer.status}): {len(sent)} of {HEADER}: {sent}")
        found = holes(sent[0])
        evidence.expect(not found, f"its policy: {', '.join(found) or 'nothing foreign runs'}", "[edge.headers]")
        policies |= {sent[0]}
    evidence.note(f"as sent: {', or '.join(sorted(policies))}")
    raise Unverifiable(
        "whether stored text is shown inert: the tool knows neither this application's pages nor how text gets into them",
        "show it in a real browser, as `make test-browser` does for this repository's site",
    )
