"""`neurmatic health --json`: all six parts, exit 0 when all are well, and 1 with each broken in turn."""

from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Rehearsal, Subject
from neurmatic.releases.health import PARTS, Report, examine

QUICK = False


def check(subject: Subject, evidence: Evidence) -> None:
    copy = subject.rehearsal()
    report = _examine(copy)
    parts = set(report.as_json()["checks"])
    evidence.expect(parts == set(PARTS), f"reports {', '.join(sorted(parts))}")
    evidence.expect(report.ok, f"everything up: {report.red() or 'all green'}")
    for part, instances in {
        "api": [one.name for one in copy.instances(copy.service()[0])],
        "postgres": ["postgres"],
        "redis": ["redis"],
        "frontend": ["edge"],
    }.items():
        for name in instances:
            if name in copy.up.instances:
                copy.stop(name)
        report = _examine(copy)
        evidence.expect(part in report.red(), f"{', '.join(instances)} stopped: red are {', '.join(report.red())}")
        for name in instances:
            if name in copy.up.instances:
                copy.start(name)
        copy.await_health()
    # Neither a full disk nor a full memory is produced on a machine that serves: the limits are moved instead.
    report = _examine(copy, disk=0, memory=100)
    evidence.expect({"disk", "memory"} <= set(report.red()), "with limits of 0 % disk and 100 % memory: both red")


def _examine(copy: Rehearsal, disk: float | None = None, memory: float | None = None) -> Report:
    watch = copy.stack.watch
    changed = watch.replace(
        disk_used_percent=watch.disk_used_percent if disk is None else disk,
        memory_free_percent=watch.memory_free_percent if memory is None else memory,
    )
    return examine(copy.host, copy.layout, copy.stack.replace(watch=changed))
