"""Instances go from one to eight and back with one command, under load, none dropped."""

from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.rolling import judge, rolling
from neurmatic.readiness.subject import Subject
from neurmatic.releases.scale import scale

QUICK = False
MOST = 8


def check(subject: Subject, evidence: Evidence) -> None:
    with rolling(subject) as one:
        name, service = one.copy.service()
        most = min(MOST, service.half)
        if most < 2:
            raise Unverifiable(f"services.{name}.ports has room for one instance only", "give it 16 ports")
        with one.load() as load:
            for count in (1, most, 1):
                scale(one.up, one.copy.stack, name, count)
                one.copy.await_requests()
                states = one.up.runtime.inspect(one.instances())
                running = [instance for instance, state in states.items() if state.state == "running"]
                evidence.expect(len(running) == count, f"{name}={count}: {len(running)} running")
        judge(evidence, load, f"from one to {most} and back")
        if most < MOST:
            raise Unverifiable(
                f"{'; '.join(evidence.seen)}; for {MOST} the pool of ports is too small",
                f"give services.{name}.ports {2 * MOST} ports",
            )
