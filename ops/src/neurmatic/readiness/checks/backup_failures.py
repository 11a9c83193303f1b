"""Backups that fail: each is an error, an event and an alert, and leaves earlier ones as they were."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from neurmatic.backups.catalog import chosen, listed
from neurmatic.backups.database import Connection
from neurmatic.backups.proof import verify
from neurmatic.backups.run import alone, run
from neurmatic.backups.setting import Setting
from neurmatic.backups.stores.base import Store
from neurmatic.readiness.backups import a_table, alerted, copy_setting, everything, fails, fails_in_mid_dump
from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.subject import Rehearsal, Subject
from neurmatic.stack.backup import S3, S3_KEY_ID, S3_SECRET
from neurmatic.stack.secret import Secret

QUICK = False
NOBODY_LISTENS = "https://127.0.0.1:9"
SMALL_DISK, NOISE_ROWS = "64k", 5000


def check(subject: Subject, evidence: Evidence) -> None:
    copy = subject.rehearsal()
    setting = copy_setting(copy)
    made = run(setting, ["logical"], setting.stores, 0)[0]
    before = _sums(setting)
    faults: dict[str, Callable[[], object]] = {
        "wrong password": lambda: _run(_with_secret(setting, "POSTGRES_SUPERUSER_PASSWORD", "wrong")),
        "missing database": lambda: _run(_with_database(setting, "not_there")),
        "upload refused": lambda: run(_with_bucket(setting), ["logical"], _with_bucket(setting).stores[1:], 0),
    }
    for what, act in faults.items():
        fails(evidence, what, act)
        alerted(setting, evidence, "backup.logical")
        evidence.expect(_sums(setting) == before, "earlier backups are byte for byte as they were")
        _run(setting)
        before = _sums(setting)
    _server_killed(copy, setting, evidence)
    _two_at_once(setting, evidence)
    verify(setting, chosen(listed(setting.stores), made.id))
    evidence.note(f"after all that {made.id} still restores, compared row by row")
    _disk_full(setting, evidence)


def _run(setting: Setting) -> object:
    return run(setting, ["logical"], setting.stores, 0)


def _server_killed(copy: Rehearsal, setting: Setting, evidence: Evidence) -> None:
    """PostgreSQL hangs before a dump, and is killed (-9) in the middle of one."""
    before, files = _sums(setting), everything(setting)
    copy.signal("postgres", "STOP")
    try:
        fails(evidence, "server suspended", lambda: _run(setting))
    finally:
        copy.signal("postgres", "CONT")
    _untouched(setting, before, files, evidence)

    def kill(_connection: Connection) -> None:
        copy.signal("postgres", "KILL")

    def run() -> None:
        nonlocal before, files
        before, files = _sums(setting), everything(setting)
        try:
            _run(setting)
        finally:
            copy.await_health("postgres")

    fails_in_mid_dump(evidence, "server killed in mid-dump", setting, kill, run)
    alerted(setting, evidence, "backup.logical")
    _untouched(setting, before, files, evidence)
    _run(setting)


def _untouched(setting: Setting, before: object, files: list[str], evidence: Evidence) -> None:
    evidence.expect(_sums(setting) == before, "earlier backups are byte for byte as they were")
    evidence.expect(everything(setting) == files, "and nothing partial lies beside them")


def _two_at_once(setting: Setting, evidence: Evidence) -> None:
    with alone(setting, "backup run", 0):
        fails(evidence, "two at once", lambda: _run(setting), "another command is at work")


def _disk_full(setting: Setting, evidence: Evidence) -> None:
    if not setting.host.is_root():
        raise Unverifiable("a full disk: only root may mount a small one", "run it as root; tests/backups does")
    with _small_disk(setting) as small:
        fails(evidence, "disk full", lambda: _run(small), "No space left")
        evidence.expect(not listed(small.stores), "nothing partial is listed there")
        left = small.host.run(["find", str(small.local.root), "-type", "f"], env={}).out
        evidence.expect(not left, f"nothing is left there: {left or 'no file'}")


@contextmanager
def _small_disk(setting: Setting) -> Iterator[Setting]:
    folder = setting.layout.state / "small"
    setting.host.make_folder(folder, mode=0o700)
    setting.host.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK},mode=700", "tmpfs", str(folder)], env={})
    try:
        if setting.user:
            setting.host.make_folder(folder, mode=0o700, owner=setting.user)
        backup = setting.backup.replace(folder=str(folder))
        with a_table(setting, "rehearsed_noise", NOISE_ROWS):
            yield replace(setting, stack=setting.stack.replace(backup=backup))
    finally:
        setting.host.run(["umount", str(folder)], env={})


def _with_secret(setting: Setting, name: str, text: str) -> Setting:
    return replace(setting, secrets={**setting.secrets, name: Secret(text)})


def _with_database(setting: Setting, name: str) -> Setting:
    return replace(setting, stack=setting.stack.replace(postgres=setting.postgres.replace(database=name)))


def _with_bucket(setting: Setting) -> Setting:
    bucket = S3(bucket="nowhere", endpoint=NOBODY_LISTENS, path_style=True)
    secrets = {**setting.secrets, S3_KEY_ID: Secret("key"), S3_SECRET: Secret("secret")}
    return replace(setting, stack=setting.stack.replace(backup=setting.backup.replace(s3=bucket)), secrets=secrets)


def _sums(setting: Setting) -> dict[str, str]:
    """Checksums of everything in the local store."""
    return {entry.key: _sum(setting.local, entry.key) for entry in setting.local.entries()}


def _sum(store: Store, key: str) -> str:
    with store.open(key) as file:
        return hashlib.sha256(file.read()).hexdigest()
