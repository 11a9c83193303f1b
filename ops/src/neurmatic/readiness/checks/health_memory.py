"""Memory: use against the real limit (cgroup); over 90 % degraded, over 95 % an alert; the trend is reported."""

from collections.abc import Iterator
from contextlib import contextmanager

from neurmatic.errors import NeurmaticError
from neurmatic.hosts.cgroups import MemoryGroup
from neurmatic.readiness.checks.health_overall import checks_of, overall, said
from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.subject import Rehearsal, Subject, eventually

QUICK = False
LAX_BYTES = 2**30


def check(subject: Subject, evidence: Evidence) -> None:
    subject.need_processes("the engine gives each container its group itself")
    copy = subject.rehearsal()
    part = checks_of(overall(copy)).get("memory", {})
    evidence.expect(
        {"used_bytes", "limit_bytes", "used_percent", "growth_bytes_per_minute"} <= set(part), f"reports {part}"
    )
    with _limited(copy) as group:
        group.limit(LAX_BYTES)
        eventually(
            lambda: overall(copy),
            lambda a: checks_of(a).get("memory", {}).get("limit_bytes") == LAX_BYTES,
            f"the group's limit of {LAX_BYTES} bytes in the answer",
            10,
        )
        for share, words in ((0.92, "degraded"), (0.97, "alert")):
            used = int(checks_of(overall(copy))["memory"]["used_bytes"])
            group.limit(int(used / share))
            answer = eventually(
                lambda: overall(copy),
                lambda a, words=words: said(a) == (200, "degraded") and words in str(checks_of(a).get("memory")),  # type: ignore[misc]
                f"{words} at {share:.0%} of the group's limit",
                15,
            )
            part = checks_of(answer)["memory"]
            evidence.note(
                f"in a group with {part['limit_bytes']} bytes: {part['used_percent']} % used, {part['detail']}"
            )


@contextmanager
def _limited(copy: Rehearsal) -> Iterator[MemoryGroup]:
    """The first instance, started again inside a memory group of its own."""
    one = copy.instances(copy.service()[0])[0]
    try:
        group = MemoryGroup.create(f"neurmatic-{copy.stack.name}")
    except NeurmaticError as error:
        raise Unverifiable(
            f"no memory group can be made here: {error}", "run `neurmatic verify health.memory` as root"
        ) from None
    try:
        copy.stop(one.name)
        group.add(copy.up.runtime.supervisor_pid(one.name))
        copy.start(one.name)
        copy.await_health(one.name)
        yield group
    finally:
        group.unlimit()
        copy.stop(one.name)
        group.remove(copy.up.runtime.supervisor_pid(one.name))
        copy.start(one.name)
