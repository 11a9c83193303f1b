"""The four disasters, each acted out here and now on scratch copies, by the drill's own command."""

from neurmatic.backups import logical
from neurmatic.backups.drill import SCENARIOS, Record, drill, last_drill
from neurmatic.backups.run import alone
from neurmatic.backups.setting import Setting
from neurmatic.readiness.backups import live_setting, newest
from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Subject
from neurmatic.releases.project import Quiet
from neurmatic.releases.up import Up

QUICK = False


def check(subject: Subject, evidence: Evidence) -> None:
    setting = live_setting(subject)
    kept = newest(setting, "physical")
    evidence.expect(
        kept is not None, f"a base backup to come back from: {kept.id if kept else 'none'}", "neurmatic backup run"
    )
    live = subject.live
    up = Up(live.host, live.layout, live.stack, Quiet(), subject.user)
    subject.close()  # the copy of the other checks would be a second one beside the drill's
    production = _as_it_stands(setting)
    with alone(setting, "drill", 600):
        for scenario in SCENARIOS:
            record = drill(setting, up, scenario)
            evidence.expect(
                record.scenario == scenario
                and record.rto_s > 0
                and bool(record.seen)
                and _is_recorded(setting, record),
                f"{scenario}: acted out and recorded, {len(record.seen)} things seen",
            )
            now = _as_it_stands(setting)
            changed = [name for name in {*production, *now} if production.get(name) != now.get(name)]
            evidence.expect(not changed, f"production meanwhile: {', '.join(changed) or 'untouched'}")
            rpo = "" if record.rpo_s is None else f", RPO {record.rpo_s:.1f} s"
            evidence.note(f"{scenario}: RTO {record.rto_s:.1f} s{rpo} ({'; '.join(record.seen)})")


def _is_recorded(setting: Setting, record: Record) -> bool:
    found = last_drill(setting, record.scenario)
    return found is not None and found["rto_s"] == record.rto_s and found["at"] >= record.at


def _as_it_stands(setting: Setting) -> dict[str, object]:
    """What a drill that touched production would change: processes of instances, and the server's databases."""
    names = [one.name for one in setting.stack.instances() if one.kind != "timer"]
    found: dict[str, object] = {name: one.pid for name, one in setting.runtime.inspect(names).items()}
    with logical.live(setting, "postgres").connected() as connection:
        for name, number in connection.execute("SELECT datname, oid FROM pg_database").fetchall():
            found[f"database {name}"] = number
    return found
