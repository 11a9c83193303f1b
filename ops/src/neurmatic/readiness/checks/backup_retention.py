"""Retention, with the clock moved over two years: what goes, and that the last proven backup never does."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from neurmatic.backups import logical
from neurmatic.backups.catalog import chosen, listed
from neurmatic.backups.manifest import Manifest
from neurmatic.backups.proof import verify
from neurmatic.backups.prune import prune
from neurmatic.backups.setting import Setting
from neurmatic.backups.stores.s3 import S3Store
from neurmatic.readiness.backups import copy_setting, live_setting
from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.subject import Subject

QUICK = False
DAYS, REMOTE_DAYS, GONE_DAYS = 30, 90, 365
AGES = (0, 10, 29, 31, 45, 100, 400)


def check(subject: Subject, evidence: Evidence) -> None:
    days = live_setting(subject).backup.days
    evidence.expect(days == DAYS, f"local backups are kept for {days} days, claimed are {DAYS}")
    setting = copy_setting(subject.rehearsal())
    manifest, _ = logical.dump(setting, setting.postgres.database, setting.stores)
    _unproven_stays(setting, manifest, evidence)
    verify(setting, chosen(listed(setting.stores), manifest.id))
    aged = {age: _aged(setting, manifest, age) for age in AGES if age}
    prune(setting, dry_run=False)
    left = {one.id for one in listed(setting.stores)}
    kept = sorted(age for age, name in aged.items() if name in left)
    evidence.expect(
        kept == [age for age in AGES if 0 < age <= days],
        f"of dumps {', '.join(map(str, sorted(aged)))} days old, those of {', '.join(map(str, kept))} were kept",
    )
    prune(setting, dry_run=False, now=datetime.now(UTC) + timedelta(days=730))
    left = {one.id for one in listed(setting.stores)}
    evidence.expect(
        manifest.id in left,
        f"two years later the last proven one {'is still there' if manifest.id in left else 'was deleted'}",
    )
    _remote(subject, evidence)


def _unproven_stays(setting: Setting, manifest: Manifest, evidence: Evidence) -> None:
    prune(setting, dry_run=False, now=datetime.now(UTC) + timedelta(days=730))
    left = {one.id for one in listed(setting.stores)}
    evidence.expect(manifest.id in left, "while nothing is proven, nothing is deleted, however old")


def _aged(setting: Setting, manifest: Manifest, days: int) -> str:
    """The same dump again, as if it had been made so many days ago and proven then."""
    before = timedelta(days=days)
    begun, ended = (datetime.fromisoformat(text) - before for text in (manifest.begun, manifest.ended))
    name = f"{manifest.id}-{days}"
    old = replace(manifest, id=name, begun=begun.isoformat(), ended=ended.isoformat())
    store = setting.local
    with store.open(manifest.dump_key) as file:
        store.put(old.dump_key, file)
    store.put_text(old.key, old.text())
    return old.id


def _remote(subject: Subject, evidence: Evidence) -> None:
    setting = live_setting(subject)
    section = setting.backup.s3
    if section is None:
        raise Unverifiable("the 90 and 365 days of a bucket: this stack has no [backup.s3]", "name a bucket there")
    from neurmatic.backups.stores import lifecycle  # noqa: PLC0415  its library is slow to import

    store = setting.store("s3")
    assert isinstance(store, S3Store)  # noqa: S101  by its name
    asked = (section.days, section.glacier_days)
    evidence.expect(
        asked == (REMOTE_DAYS, GONE_DAYS),
        f"in the bucket: at hand for {asked[0]} days, gone after {asked[1]}; claimed are {REMOTE_DAYS} and {GONE_DAYS}",
    )
    try:
        rules = lifecycle.look(store)
    except lifecycle.NoLifecycleError:
        raise Unverifiable(
            f"the store of {section.bucket} has no lifecycle rules: `backup prune` deletes after {section.days} days instead",
            "nothing to do, unless the store should have them",
        ) from None
    evidence.expect(
        rules is not None and (rules.glacier_days, rules.gone_days) == asked,
        f"lifecycle read back: {rules or 'the rules for dumps are not there, or switched off'}",
        "neurmatic backup prune",
    )
