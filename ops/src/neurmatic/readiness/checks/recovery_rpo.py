"""What a loss of the server would take now: the age of the oldest commit that is not in the archive."""

from neurmatic.backups import archive
from neurmatic.backups.physical import base_backups
from neurmatic.readiness.backups import live_setting
from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Subject

QUICK = False
PROMISED_SECONDS = 24 * 3600


def check(subject: Subject, evidence: Evidence) -> None:
    setting = live_setting(subject)
    lag = archive.lag(setting)
    evidence.expect(
        lag.failing_since is None,
        f"archiving {f'has failed since {lag.failing_since:%Y-%m-%d %H:%M:%S} UTC: {lag.error}' if lag.failing_since else 'works'}",
        "neurmatic backup status",
    )
    for store in setting.stores:
        backups = base_backups(store)
        evidence.expect(bool(backups), f"base backups in {store.name}: {len(backups)}", "neurmatic backup run")
        missing = archive.missing(setting, store.name, backups[-1])
        evidence.expect(
            not missing,
            f"the WAL since {backups[-1].id} in {store.name}: {missing[0] if missing else 'without a gap'}",
            "neurmatic backup run",
        )
    evidence.expect(
        lag.seconds <= PROMISED_SECONDS,
        f"RPO now {lag.seconds:.1f} s; promised are {PROMISED_SECONDS} s",
        "neurmatic backup status",
    )
