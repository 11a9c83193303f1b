"""The figures of production, read back from what runs."""

from neurmatic.readiness.figures import (
    need_environment,
    see_cache,
    see_instances,
    see_limits,
    see_postgres,
    see_redis,
    see_slow,
)
from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Subject

QUICK = False


def check(subject: Subject, evidence: Evidence) -> None:
    need_environment(subject.live, "production")
    see_postgres(subject, evidence)
    see_redis(subject.live, evidence)
    see_instances(subject.live, evidence)
    see_cache(subject.live, evidence)
    see_slow(subject.rehearsal(), evidence)
    see_limits(subject, evidence)
