"""`backup watch` and `backup status`: look at everything, and turn what is wrong into alerts, and back."""

from datetime import UTC, datetime

from neurmatic.backups import logical
from neurmatic.backups.alarm import clear_alert, raise_alert, raised
from neurmatic.backups.archive import lag, missing
from neurmatic.backups.catalog import Kept, listed
from neurmatic.backups.database import DatabaseError, cluster_bytes
from neurmatic.backups.schedule import scheduled
from neurmatic.backups.setting import Setting
from neurmatic.backups.standing import Archive, Standing, stand
from neurmatic.errors import NeurmaticError

WATCHED = (
    "backup.missing.",
    "backup.proof.",
    "backup.unproven.",
    "backup.archive",
    "backup.clock.",
    "backup.timer",
    "backup.store.",
)
"""Beginnings of the names of alerts that are raised and cleared by looking."""


def look(setting: Setting, now: datetime | None = None) -> Standing:
    """How backups stand now, or will at another time."""
    problems: dict[str, str] = {}
    backups = []
    for store in setting.stores:
        try:
            backups += listed([store])
        except NeurmaticError as error:
            problems[f"backup.store.{store.name}"] = str(error)
    names = [store.name for store in setting.stores if f"backup.store.{store.name}" not in problems]
    standing = stand(
        setting.backup,
        backups,
        names,
        _archive(setting, backups),
        database_bytes=_size(setting),
        now=now or datetime.now(UTC),
    )
    standing.problems.update(problems)
    if missing := [one.name for one in scheduled(setting) if not one.installed]:
        standing.problems["backup.timer"] = (
            f"not running: {', '.join(missing)}; `neurmatic backup schedule` starts them"
        )
    return standing


def watch(setting: Setting, now: datetime | None = None) -> Standing:
    """Look, raise an alert for each problem that has none yet, and clear those that are over."""
    standing = look(setting, now)
    before = raised(setting)
    for name, reason in standing.problems.items():
        if name not in before:
            raise_alert(setting, name, reason)
    for name in before:
        if name.startswith(WATCHED) and name not in standing.problems:
            clear_alert(setting, name)
    return standing


def _archive(setting: Setting, backups: list[Kept]) -> Archive:
    try:
        found = lag(setting)
    except DatabaseError as error:
        return Archive(None, f"the archive's lag is not known: {error}")
    if found.failing_since:
        since = f"{found.failing_since:%Y-%m-%d %H:%M:%S} UTC"
        return Archive(found.seconds, f"archiving has failed since {since}: {found.error}")
    for store in setting.stores:
        ours = [one for one in backups if one.store == store.name and one.manifest.kind == "physical"]
        try:
            if ours and (found_gaps := missing(setting, store.name, max(ours, key=lambda one: one.made))):
                return Archive(found.seconds, f"{store.name}: {found_gaps[0]}; a new base backup mends it")
        except NeurmaticError as error:
            return Archive(found.seconds, f"the archive in {store.name} can't be read: {error}")
    return Archive(found.seconds)


def _size(setting: Setting) -> int:
    """Of the whole cluster; 0 when it doesn't answer."""
    try:
        with logical.live(setting, "postgres").connected() as connection:
            return cluster_bytes(connection)
    except DatabaseError:
        return 0
