"""The bucket: the newest dump has its storage class and its metadata there, and read back it is what was made."""

import hashlib

from neurmatic.backups.stores.s3 import S3Store
from neurmatic.readiness.backups import live_setting, newest
from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.subject import Subject

QUICK = False
CLAIMED = "STANDARD_IA"
CHUNK = 1 << 20


def check(subject: Subject, evidence: Evidence) -> None:
    setting = live_setting(subject)
    section = setting.backup.s3
    if section is None:
        raise Unverifiable(
            "this stack has no [backup.s3]", "name a bucket there; tests/backups does it with real servers"
        )
    store = setting.store("s3")
    kept = newest(setting, "logical", "s3")
    evidence.expect(
        kept is not None,
        f"the newest dump in {section.bucket}: {kept.id if kept else 'there is none'}",
        "neurmatic backup run",
    )
    assert kept is not None  # noqa: S101  as was just seen
    assert isinstance(store, S3Store)  # noqa: S101  by its name
    manifest = kept.manifest
    found = store.storage_class_of(manifest.dump_key)
    evidence.expect(found == section.storage_class, f"storage class {found}, wanted {section.storage_class}")
    # Size and checksum of a dump that was streamed there were not known when its upload began: the manifest beside it
    # carries them.
    beside = store.metadata(manifest.key)
    about = {name: beside.get(name) for name in ("size", "sha256")} | dict(store.metadata(manifest.dump_key))
    wanted = {"time": manifest.begun, "size": str(manifest.size), "sha256": manifest.sha256}
    wrong = [f"{name} is {about.get(name)}" for name, text in wanted.items() if about.get(name) != text]
    evidence.expect(not wrong, f"metadata: {', '.join(wrong) or ', '.join(wanted)}")
    total = hashlib.sha256()
    with store.open(manifest.dump_key) as file:
        while chunk := file.read(CHUNK):
            total.update(chunk)
    evidence.expect(
        total.hexdigest() == manifest.sha256,
        f"read back: sha256 {total.hexdigest()[:16]}…, made as {manifest.sha256[:16]}…",
        "neurmatic backup run",
    )
    if section.storage_class != CLAIMED:
        raise Unverifiable(
            f"class {CLAIMED}: this stack asks its store for {section.storage_class}",
            f'set [backup.s3] storage_class to "{CLAIMED}" if the store has it',
        )
