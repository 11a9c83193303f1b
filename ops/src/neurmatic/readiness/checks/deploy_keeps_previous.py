"""Clean-up never removes what a rollback needs: a rollback, on a copy, to what is left after it."""

from datetime import UTC, datetime, timedelta

from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.rolling import judge, previous, rolling
from neurmatic.readiness.subject import Subject
from neurmatic.releases.deployed import read_deployed
from neurmatic.releases.keeping import made, to_remove

QUICK = False
LATER = timedelta(days=3650)


def check(subject: Subject, evidence: Evidence) -> None:
    live = subject.live
    before = previous(subject)
    deployed = read_deployed(live.host, live.layout)
    found = made(live.host, live.layout, deployed)
    doomed = {one.name for one in to_remove(found, deployed, live.stack.deploy, datetime.now(UTC) + LATER)}
    kept = [one.name for one in found if one.name not in doomed]
    evidence.expect(
        {before, deployed.release} <= set(kept),
        f"of {len(found)} releases {len(kept)} would be left in ten years: {', '.join(kept)}",
    )
    with rolling(subject) as one:
        with one.load() as load:
            outcome = one.roll(release=before, back=True)
        judge(evidence, load, f"a rollback to {outcome.release}")
