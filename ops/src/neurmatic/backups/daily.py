"""The daily run: make what is due, prove it, clear away what is old, and see that all of it stands well."""

from datetime import UTC, datetime

from neurmatic.backups.alarm import alarmed
from neurmatic.backups.catalog import chosen, listed
from neurmatic.backups.manifest import Manifest
from neurmatic.backups.proof import verify_on_record
from neurmatic.backups.prune import prune
from neurmatic.backups.run import alone, run
from neurmatic.backups.schedule import due, lateness
from neurmatic.backups.setting import Setting
from neurmatic.errors import NeurmaticError


def daily(setting: Setting, wait: float) -> list[Manifest]:
    """One scheduled run. Each part is tried whatever became of the one before.

    Raises:
        NeurmaticError: a part failed; each was an event and an alert of its own.
    """
    now = datetime.now(UTC)
    if late := lateness(setting.backup, now):
        expected = due(setting.backup, now).isoformat(timespec="seconds")
        setting.reporter.say(
            f"the run of {expected} was missed: made up for {late.total_seconds() / 60:.0f} minutes late"
        )
        setting.events.write("backup", "late", due=expected, minutes=round(late.total_seconds() / 60))
    failed: list[NeurmaticError] = []
    made: list[Manifest] = []
    try:
        made = run(setting, ["logical", "physical"], setting.stores, wait)
    except NeurmaticError as error:
        failed.append(error)
    with alone(setting, "backup run", wait):
        if setting.backup.prove:
            failed += _proved(setting, now)
        try:
            with alarmed(setting, "backup.prune"):
                prune(setting, dry_run=False)
        except NeurmaticError as error:
            failed.append(error)
    if failed:
        raise NeurmaticError("; ".join(str(error) for error in failed), failed[0].hint)
    return made


def _proved(setting: Setting, since: datetime) -> list[NeurmaticError]:
    """Prove what was made since, each backup in the first store that has it."""
    failed: list[NeurmaticError] = []
    backups = listed(setting.stores)
    for name in dict.fromkeys(one.id for one in backups if one.made >= since.replace(microsecond=0)):
        kept = chosen(backups, name)
        try:
            proof = verify_on_record(setting, kept)
        except NeurmaticError as error:
            failed.append(error)
        else:
            setting.reporter.say(f"{kept.id} is proven: {proof.rows} rows, restored in {proof.restore_s:.1f} s")
    return failed
