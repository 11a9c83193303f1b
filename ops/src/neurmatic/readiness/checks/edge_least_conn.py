"""The instance with the fewest connections gets the next request; failures take one out; connections are kept and reused."""

import time
from concurrent.futures import ThreadPoolExecutor

from neurmatic.readiness.finding import Evidence, Refuted, Unverifiable
from neurmatic.readiness.subject import Rehearsal, Subject
from neurmatic.render.locations import locations
from neurmatic.render.nginx import CONFIG

QUICK = False
REQUESTS = 24
BURST = 12
PAUSE_SECONDS = 0.1
STUCK_SECONDS = 0.4


def check(subject: Subject, evidence: Evidence) -> None:
    copy = subject.rehearsal()
    ones = copy.instances(copy.service()[0])
    if len(ones) < 2:
        raise Unverifiable("there is one instance only", "set instances = 2")
    with copy.unlimited() as free:
        free.await_requests()
        _reuse(free, evidence)
        _fewest(free, evidence)
        _failures(free, evidence)
    _configured(copy, evidence)


def _ports(copy: Rehearsal) -> list[int]:
    return [one.port or 0 for one in copy.instances(copy.service()[0])]


def _reuse(copy: Rehearsal, evidence: Evidence) -> None:
    """Every kind of location, many times over: a few connections to the instances serve all of it."""
    paths = [one.path for one in locations(copy.stack) if one.match != "~*" and not one.websocket]
    answers, opened = [], {}
    copy.signal("guard", "STOP")  # it asks the instances itself, each time by another connection
    try:
        for path in paths:
            known = copy.host.connections_to(_ports(copy))
            answers += [copy.get(f"{path}?neurmatic={number}") for number in range(REQUESTS)]
            opened[path] = len(copy.host.connections_to(_ports(copy)) - known)
    finally:
        copy.signal("guard", "CONT")
    used = {one for answer in answers for one in copy.logged(answer)["upstream"].split(", ") if one}
    evidence.expect(
        len(used) == len(_ports(copy)), f"{len(answers)} requests to {len(paths)} locations, answered by {sorted(used)}"
    )
    most = max(opened, key=lambda path: opened[path])
    evidence.expect(
        opened[most] <= REQUESTS // 2,  # each of nginx's processes has its own to each instance, and ends idle ones
        f"connections opened for {REQUESTS} requests to one location: {opened[most]} at most, at {most}",
    )


def _configured(copy: Rehearsal, evidence: Evidence) -> None:
    edge, config = copy.stack.edge, copy.host.read(copy.layout.state / CONFIG) or ""
    lists = copy.host.read(copy.layout.upstream(copy.service()[0])) or ""
    limits = f"max_fails={edge.max_fails} fail_timeout={edge.fail_timeout:g}s"
    evidence.expect(
        f"keepalive {edge.keepalive};" in config and limits in lists and "least_conn;" in config,
        f"configured: least_conn, {edge.keepalive} kept, {edge.max_fails} failures in {edge.fail_timeout:g} s",
    )


def _fewest(copy: Rehearsal, evidence: Evidence) -> None:
    """One instance suspended for a moment: it has a request pending, so the next ones go elsewhere."""
    path = copy.health_path("ready")
    slow = copy.instances(copy.service()[0])[0]
    with ThreadPoolExecutor(BURST) as pool:
        copy.signal(slow.name, "STOP")
        try:
            asked = []
            for _ in range(BURST):
                asked.append(pool.submit(copy.get, path))
                time.sleep(PAUSE_SECONDS)
        finally:
            copy.signal(slow.name, "CONT")
        stuck = sum(1 for one in asked if one.result().seconds > STUCK_SECONDS or not one.result().status)
    evidence.expect(
        1 <= stuck <= BURST // 4,
        f"one of {len(_ports(copy))} suspended for {BURST * PAUSE_SECONDS:g} s: {stuck} of {BURST} requests went to it",
    )
    copy.await_health(slow.name)


def _failures(copy: Rehearsal, evidence: Evidence) -> None:
    """An instance that refuses connections is tried no more often than its failures allow."""
    name = copy.service()[0]
    victim = copy.instances(name)[0]
    copy.stop(victim.name)
    tries = 0
    for _ in range(REQUESTS):
        answer = copy.get(copy.health_path("ready"))
        if answer.status != 200:
            raise Refuted(f"one of {len(_ports(copy))} stopped, a request: {answer}")
        tries += "," in copy.logged(answer)["upstream"]
    evidence.expect(
        tries <= copy.stack.edge.max_fails, f"one stopped: {REQUESTS} requests answered, {tries} tried it first"
    )
    copy.start(victim.name)
    copy.await_health(victim.name)
