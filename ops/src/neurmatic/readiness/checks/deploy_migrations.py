"""Migrations run once, in the new release, before its first request; the release before still works on the new schema."""

from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.rolling import judge, previous, rolling
from neurmatic.readiness.subject import Subject
from neurmatic.releases.events import EventLog

QUICK = False


def check(subject: Subject, evidence: Evidence) -> None:
    if not subject.live.stack.release.migrate:
        raise Unverifiable("this stack has no migrations", "name their command in [release] migrate")
    before = previous(subject)
    with rolling(subject) as one:
        release = one.deployed.release
        one.roll()  # the same release once more: nothing is left to run
        log = EventLog(one.copy.host, one.copy.layout).read()
        ran = [n for n, event in enumerate(log) if (event["action"], event["result"]) == ("migrate", "done")]
        evidence.expect(len(ran) == 1, f"in two deploys of {release} its migrations ran {len(ran)} times")
        services = tuple(f"{name}-" for name in one.copy.stack.services)
        started = [
            n
            for n, event in enumerate(log)
            if event["action"] == "start" and str(event.get("instance")).startswith(services)
        ]
        evidence.expect(ran[0] < min(started), "before the first of its instances started")
        with one.load() as load:
            one.roll(release=before, back=True)
        judge(evidence, load, f"{before}, which served before, runs on the schema of {release}")
