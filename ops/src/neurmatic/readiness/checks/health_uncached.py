"""Probes are neither cached, limited nor redirected, and with dead backends they say so."""

import time

from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Subject

QUICK = False
IN_A_ROW = 300


def check(subject: Subject, evidence: Evidence) -> None:
    copy = subject.rehearsal()
    paths = [copy.health_path("live"), copy.health_path("ready"), copy.health_path("overall")]
    for path in paths:
        answers = [copy.get(path) for _ in range(IN_A_ROW)]
        statuses = {answer.status for answer in answers}
        evidence.expect(statuses == {200}, f"{path} {IN_A_ROW} times in a row: {sorted(statuses)}")
        stored = {a.headers.get("x-cache", "").upper() for a in answers} & {"HIT", "STALE", "UPDATING"}
        aged = any("age" in a.headers for a in answers)
        storable = {a.headers.get("cache-control", "") for a in answers} != {"no-store"}
        evidence.expect(not stored and not aged and not storable, f"{path} says no-store, and none came from a cache")
    first = copy.get(paths[2]).json()
    time.sleep(1.1)  # an answer may be shared for a second
    second = copy.get(paths[2]).json()
    evidence.expect(first != second, "a second later the answer is a new one")

    for one in copy.instances(copy.service()[0]):
        copy.stop(one.name)
    for path in paths:
        answer = copy.get(path)
        evidence.expect(answer.status >= 500, f"with every instance stopped, {path}: {answer}")
