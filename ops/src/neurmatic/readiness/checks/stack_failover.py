"""An instance that dies, hangs or reports not-ready stops getting requests, none of them fails, and it gets them again when well."""

import time
from collections.abc import Callable

from neurmatic.probes.ledger import summarize
from neurmatic.probes.load import Background, Load
from neurmatic.probes.stub import unwell
from neurmatic.readiness.finding import Evidence, Refuted, Unverifiable
from neurmatic.readiness.subject import Rehearsal, Subject
from neurmatic.stack.instance import Instance

QUICK = False
RATE = 50
LIMIT_SECONDS = 5.0
BEFORE_SECONDS, AFTER_SECONDS = 1.0, 6.0
RETURN_SECONDS = 40.0


def check(subject: Subject, evidence: Evidence) -> None:
    subject.need_processes("nothing else can stand at a container's address and say that it isn't ready")
    copy = subject.rehearsal()
    if len(copy.instances(copy.service()[0])) < 2:
        raise Unverifiable("there is one instance only", "set instances = 2")
    with copy.unlimited() as free:
        free.await_requests()
        victim = free.instances(free.service()[0])[0]
        _fault(free, evidence, victim, "killed", lambda: free.signal(victim.name, "KILL"))
        if free.service()[1].health.live and free.stack.edge.failover.hung_seconds:
            _fault(free, evidence, victim, "suspended", lambda: free.signal(victim.name, "STOP"))
        else:
            evidence.note(
                "a hung instance is not killed: [services] health.live or [edge.failover] hung_seconds is not set"
            )
        _unready(free, evidence, victim)
        _once(free, evidence, victim)


def _load(copy: Rehearsal, seconds: float) -> Background:
    health = copy.service()[1].health
    path = health.live or health.ready
    ca = copy.layout.trust
    return Background(Load(copy.stack.url + path, rate=RATE, seconds=seconds, ca=ca, address=copy.address))


def _judge(evidence: Evidence, load: Background, words: str) -> None:
    seen = summarize(load.ledger)
    slowest = (seen.latency_ms["max"] or 0) / 1000
    evidence.expect(
        seen.ok and slowest <= LIMIT_SECONDS,
        f"{words}, {RATE} requests a second: {seen.due} sent, {seen.due - seen.good} failed, "
        f"the slowest {slowest:.2f} s, the longest gap {seen.longest_gap_ms:.0f} ms",
    )


def _fault(copy: Rehearsal, evidence: Evidence, victim: Instance, words: str, strike: Callable[[], None]) -> None:
    with _load(copy, 60) as load:
        time.sleep(BEFORE_SECONDS)
        strike()
        time.sleep(AFTER_SECONDS)
    _judge(evidence, load, f"{victim.name} {words}")
    evidence.note(f"back in {_returned(copy, victim):.1f} s later")


def _unready(copy: Rehearsal, evidence: Evidence, victim: Instance) -> None:
    """Something else stands at its port, answers everything, and says that it isn't ready."""
    health = copy.service()[1].health
    copy.stop(victim.name)
    with unwell(victim.port or 0, ready=health.ready, live=health.live), _load(copy, 60) as load:
        time.sleep(LIMIT_SECONDS)
        before = _tries(copy, victim)
        time.sleep(2.0)
        late = _tries(copy, victim) - before
    evidence.expect(
        not late, f"{victim.name} answers 503 from readiness: {late} requests led to it {LIMIT_SECONDS:g} s later"
    )
    if health.live:
        _judge(evidence, load, f"{victim.name} not ready")
    copy.start(victim.name)
    copy.await_health(victim.name)
    evidence.note(f"back in {_returned(copy, victim):.1f} s after it was well")


def _once(copy: Rehearsal, evidence: Evidence, victim: Instance) -> None:
    """A POST that breaks off after it was sent may have been executed: it goes nowhere else, and fails."""
    health, route = copy.service()[1].health, copy.service()[1].routes[0]
    copy.stop(victim.name)
    until = time.monotonic() + 2 * RETURN_SECONDS
    with unwell(victim.port or 0, ready=health.ready, live=health.live, breaks_off=True) as stub:
        _returned(copy, victim)
        answer = copy.get(health.ready)
        while not stub.reached["POST"] and time.monotonic() < until:  # on a busy machine the guard may lead around it
            answer = copy.get(f"{route}neurmatic-nowhere", method="POST", body=b"{}")
    ports = copy.logged(answer)["upstream"].split(", ")
    evidence.expect(
        stub.reached["POST"] == 1 and len(ports) == 1 and answer.status == 502,
        f"a POST broken off by {victim.name}: {answer.status}, executed {stub.reached['POST']} time, led to {len(ports)} instance",
    )
    copy.start(victim.name)
    copy.await_health(victim.name)


def _tries(copy: Rehearsal, victim: Instance) -> int:
    """Requests that the edge's log says went to the instance."""
    text = copy.host.read(copy.layout.logs / "edge" / "current") or ""
    address = f"{copy.places.of(victim.name)}:{victim.port}"
    return text.count(f'{address}"') + text.count(f"{address},")


def _returned(copy: Rehearsal, victim: Instance) -> float:
    """Ask until the instance gets a request again; how long that took in seconds."""
    begun, before = time.monotonic(), _tries(copy, victim)
    while _tries(copy, victim) == before:
        if time.monotonic() - begun > RETURN_SECONDS:
            raise Refuted(f"{victim.name} got no request within {RETURN_SECONDS:g} s after it was well again")
        copy.get(copy.health_path("ready"))
        time.sleep(0.05)
    return time.monotonic() - begun
