"""Every service has a health check, and nothing starts before what it needs is healthy."""

import threading

from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Rehearsal, Subject

QUICK = False


def check(subject: Subject, evidence: Evidence) -> None:
    copy = subject.rehearsal()
    # A timer sleeps until its time: whether it waits for the right one is for backup.schedule and edge.certificates.
    asked = [one for one in copy.up.instances.values() if one.kind != "timer"]
    blind = [one.name for one in asked if copy.up.gate.probe(one).state == "unknown"]
    evidence.expect(
        not blind,
        f"every instance answers a health check{': not ' + ', '.join(blind) if blind else ''}",
        "give it ports and health.ready",
    )
    _order(copy, evidence)
    needing = next((n for n, s in copy.stack.services.items() if "postgres" in s.needs), None)
    if needing:
        _waits(copy, evidence, copy.instances(needing)[0].name)


def _order(copy: Rehearsal, evidence: Evidence) -> None:
    """The first start in the event log: each instance became healthy after everything that its service needs."""
    started: list[str] = []
    for event in copy.events.read():
        if event["action"] == "start" and event["result"] == "done" and event["instance"] not in started:
            started.append(event["instance"])
    for name in started:
        one = copy.up.instances[name]
        needed = [other.name for other in copy.up.instances.values() if other.service in copy.stack.needs(one.service)]
        late = [other for other in needed if other not in started[: started.index(name)]]
        evidence.expect(
            not late, f"{name} after {', '.join(needed) or 'nothing'}" + (f", but not after {late}" if late else "")
        )


def _waits(copy: Rehearsal, evidence: Evidence, dependent: str) -> None:
    """With PostgreSQL suspended, `up` does not start the dependent; it says what it waits for, and goes on after."""
    copy.stop(dependent)
    known = len(copy.events.read())
    copy.signal("postgres", "STOP")
    wake = threading.Timer(4, copy.signal, ("postgres", "CONT"))
    wake.start()
    copy.up.up()
    wake.join()
    new = [e for e in copy.events.read()[known:] if e.get("instance") == dependent]
    actions = [event["action"] for event in new]
    evidence.expect(
        actions[:2] == ["wait", "start"],
        f"PostgreSQL suspended: the log says of {dependent}: {', '.join(actions) or 'nothing'}",
    )
    evidence.note(f"it waited for {new[0].get('needs')} ({new[0].get('reason')})")
