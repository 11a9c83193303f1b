"""The security headers, each exactly once, on every kind of answer: whatever a service sends itself, and when none answers."""

from neurmatic.readiness.answers import kinds
from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Subject

QUICK = False
HTTPS_ONLY = "Strict-Transport-Security"  # RFC 6797, 7.2: not over plain HTTP


def check(subject: Subject, evidence: Evidence) -> None:
    copy = subject.rehearsal()
    wanted = dict(copy.stack.edge.headers.items())
    seen = []
    for kind, answer, is_secure in kinds(copy):
        wrong = [
            f"{name} {answer.every(name) or 'missing'}"
            for name, value in wanted.items()
            if answer.every(name) != ([value] if is_secure or name != HTTPS_ONLY else [])
        ]
        evidence.expect(answer.status > 0 and not wrong, f"{kind} ({answer.status}): {', '.join(wrong) or 'complete'}")
        seen.append(answer.status)
    evidence.expect({2, 3, 4, 5} <= {status // 100 for status in seen}, f"statuses seen: {sorted(set(seen))}")
    evidence.note(f"each exactly once: {', '.join(wanted)}; {HTTPS_ONLY} over HTTPS only")
