"""The quick rollback, executed on a copy with the release before; and what a rollback of the database would lose, said first."""

from neurmatic.errors import NeurmaticError
from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.rolling import judge, previous, rolling
from neurmatic.readiness.subject import Subject
from neurmatic.releases.deployed import read_deployed
from neurmatic.releases.schema import NoWayBackError, way_back

QUICK = False


def check(subject: Subject, evidence: Evidence) -> None:
    before = previous(subject)
    _schema(subject, evidence, before)
    with rolling(subject) as one:
        with one.load() as load:
            outcome = one.roll(release=before, back=True)
        evidence.expect(
            one.deployed.release == before, f"{outcome.release} serves again, in the place of {outcome.before}"
        )
        evidence.expect(one.deployed.held, "`up` stays with it")
        judge(evidence, load, f"a rollback in {sum(outcome.seconds.values()):.1f} s")
    if subject.live.stack.backup:
        _database(subject, evidence, before)


def _schema(subject: Subject, evidence: Evidence, before: str) -> None:
    live = subject.live
    try:
        unknown = way_back(live.host, live.layout, read_deployed(live.host, live.layout), before)
    except NoWayBackError as error:
        evidence.note(f"without its database it is refused: {error}")
    else:
        evidence.note(f"{before} on today's schema: {unknown or 'nothing that it needs was taken away'}")


def _database(subject: Subject, evidence: Evidence, before: str) -> None:
    from neurmatic.backups.way_back import before_migrations  # noqa: PLC0415  for stacks with backups
    from neurmatic.readiness.backups import live_setting  # noqa: PLC0415  as above

    try:
        chosen = before_migrations(live_setting(subject), before)
    except NeurmaticError as error:
        evidence.note(f"with its database: {error}")
    else:
        evidence.note("with its database: " + ", ".join(chosen.sentences()))
