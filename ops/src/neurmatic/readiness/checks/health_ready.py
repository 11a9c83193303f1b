"""Readiness: 503 at start until what it needs answers, 503 in drain, 503 with PostgreSQL down; 200 otherwise."""

from neurmatic.probes.http import Answer
from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.subject import Rehearsal, Subject, eventually
from neurmatic.stack.instance import Instance

QUICK = False


def check(subject: Subject, evidence: Evidence) -> None:
    copy = subject.rehearsal()
    if copy.stack.postgres is None:
        raise Unverifiable("the stack has no [postgres], so nothing can make an instance unready", "add [postgres]")
    one = copy.instances(copy.service()[0])[0]
    ready = _ask(copy, one)
    evidence.expect(ready.status == 200, f"{one.name} answers ready with {ready}")
    _database_down(copy, one, evidence)
    drains(copy, one, evidence)


def _database_down(copy: Rehearsal, one: Instance, evidence: Evidence) -> None:
    copy.stop("postgres")
    answer = eventually(
        lambda: _ask(copy, one), lambda a: a.status == 503, "503 from readiness with PostgreSQL stopped", 10
    )
    evidence.note(f"with PostgreSQL stopped: {answer}")
    copy.stop(one.name)
    copy.start(one.name)
    answer = eventually(lambda: _ask(copy, one), lambda a: a.status > 0, "an answer of an instance that starts", 20)
    evidence.expect(answer.status == 503, f"started while PostgreSQL is down: {answer}")
    copy.start("postgres")
    answer = eventually(
        lambda: _ask(copy, one), lambda a: a.status == 200, "200 from readiness once PostgreSQL is back", 20
    )
    evidence.note("PostgreSQL back: 200 by itself")


def drains(copy: Rehearsal, one: Instance, evidence: Evidence) -> None:
    """Readiness ends at SIGTERM, with everything else well: nothing but the drain makes it."""
    pid = copy.up.runtime.inspect([one.name])[one.name].pid or 0
    copy.host.signal(pid, "TERM")
    answer = eventually(lambda: _ask(copy, one), lambda a: a.status in (0, 503), "an end of readiness after SIGTERM", 5)
    evidence.expect(answer.status == 503, f"after SIGTERM, before it stops listening: {answer}")
    copy.await_health(one.name)


def _ask(copy: Rehearsal, one: Instance) -> Answer:
    return copy.ask(one, copy.health_path("ready"))
