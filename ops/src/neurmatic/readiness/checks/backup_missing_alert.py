"""A backup that did not happen is an alert, once; it is over when one is made."""

from datetime import UTC, datetime, timedelta

from neurmatic.backups.alarm import raised
from neurmatic.backups.run import run
from neurmatic.backups.setting import Setting
from neurmatic.backups.watch import watch
from neurmatic.readiness.backups import copy_setting
from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Subject

QUICK = False
NAMES = ("backup.missing.logical.local", "backup.missing.physical.local")


def check(subject: Subject, evidence: Evidence) -> None:
    setting = copy_setting(subject.rehearsal())
    run(setting, ["logical", "physical"], setting.stores, 0)
    watch(setting)
    for name in NAMES:
        evidence.expect(name not in raised(setting), f"after a backup there is no {name}")
    before = {name: _count(setting, name) for name in NAMES}
    hours = setting.backup.late_hours + 1
    late = datetime.now(UTC) + timedelta(hours=hours)
    for _ in range(2):
        watch(setting, now=late)
    for name in NAMES:
        said = raised(setting).get(name)
        evidence.expect(said is not None, f"{hours} h without one: {said or f'no {name}'}")
        count = _count(setting, name) - before[name]
        evidence.expect(count == 1, f"raised {count} times in two looks")
    watch(setting)
    still = [name for name in NAMES if name in raised(setting)]
    evidence.expect(not still, f"over when the newest is young again; still there: {', '.join(still) or 'none'}")


def _count(setting: Setting, name: str) -> int:
    """How often this alert was ever raised."""
    events = setting.events.read()
    return sum(one["action"] == "alert" and one["result"] == "raised" and one["subject"] == name for one in events)
