"""A deploy drops nothing: the whole of it, on a copy, under constant load."""

from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.rolling import judge, rolling
from neurmatic.readiness.subject import Subject

QUICK = False


def check(subject: Subject, evidence: Evidence) -> None:
    with rolling(subject) as one:
        before = one.instances()
        with one.load() as load:
            outcome = one.roll()
        after = one.instances()
        evidence.expect(
            not set(before) & set(after), f"{', '.join(before)} gave way to {', '.join(after)} of {outcome.release}"
        )
        judge(evidence, load, f"a deploy in {sum(outcome.seconds.values()):.1f} s")
        evidence.expect(
            outcome.measured.requests > 0 and not outcome.measured.failed,
            f"the deploy's own measurement: {outcome.measured.as_text()}",
        )
