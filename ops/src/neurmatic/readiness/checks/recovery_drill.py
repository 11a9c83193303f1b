"""Drills: a restore each month and a disaster each quarter, by the clock, with a record of what they took."""

from datetime import UTC, datetime

from neurmatic.backups.drill import last_drill
from neurmatic.backups.schedule import scheduled
from neurmatic.probes.health import next_run
from neurmatic.readiness.backups import live_setting, times_of
from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Subject

QUICK = False
TIMERS = {"timer-drill": ("monthly", 31), "timer-disaster": ("quarterly", 92)}
"""How often, and within how many days the next one comes."""
DAYS = {"database": 35, "server": 100}


def check(subject: Subject, evidence: Evidence) -> None:
    setting = live_setting(subject)
    timers = {one.name: one for one in scheduled(setting)}
    for name, (often, most) in TIMERS.items():
        one = timers[name]
        evidence.expect(one.installed, f"{often}: {one.when}, {one.state}", "neurmatic backup schedule")
        coming = next_run(setting.host, times_of(setting, name))
        evidence.expect(
            bool(coming) and _days_until(coming) <= most,
            f"the scheduler's own next run is {coming or 'not known'}, due within {most} days",
            "neurmatic up",
        )
    for scenario, days in DAYS.items():
        record = last_drill(setting, scenario)  # type: ignore[arg-type]
        evidence.expect(
            record is not None, f"drill {scenario}: {'made' if record else 'never made'}", f"neurmatic drill {scenario}"
        )
        assert record is not None  # noqa: S101  as was just seen
        age = (datetime.now(UTC) - datetime.fromisoformat(record["at"])).total_seconds() / 86400
        evidence.expect(
            age <= days,
            f"{age:.1f} days ago: RTO {record['rto_s']:.1f} s, RPO {record['rpo_s']:.1f} s",
            f"neurmatic drill {scenario}",
        )


def _days_until(moment: str) -> float:
    at = datetime.strptime(moment, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
    return (at - datetime.now(UTC)).total_seconds() / 86400
