"""How long it takes to be back: as the last drill measured it, and what that makes of the present size."""

from datetime import UTC, datetime

from neurmatic.backups.drill import last_drill
from neurmatic.backups.standing import GB
from neurmatic.backups.watch import look
from neurmatic.readiness.backups import live_setting
from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Subject

QUICK = False
PROMISED_SECONDS = 4 * 3600
DRILL_DAYS = 35


def check(subject: Subject, evidence: Evidence) -> None:
    setting = live_setting(subject)
    drill = last_drill(setting, "database")
    evidence.expect(
        drill is not None,
        "a drill of a lost database was made" if drill else "no drill was ever made",
        "neurmatic drill database",
    )
    assert drill is not None  # noqa: S101  as was just seen
    days = (datetime.now(UTC) - datetime.fromisoformat(drill["at"])).total_seconds() / 86400
    evidence.expect(days <= DRILL_DAYS, f"{days:.1f} days ago", "neurmatic drill database")
    size = drill["database_bytes"]
    per_gb = drill["rto_s"] / (size / GB)
    evidence.note(f"RTO {drill['rto_s']:.1f} s for {size / 1e6:.1f} MB: {per_gb:.1f} s a GB")
    now = look(setting).database_bytes
    projected = per_gb * now / GB
    for factor in (1, 10):
        evidence.note(f"projected {projected * factor:.0f} s for {now * factor / GB:.2f} GB")
    evidence.expect(projected <= PROMISED_SECONDS, f"promised are {PROMISED_SECONDS} s")
