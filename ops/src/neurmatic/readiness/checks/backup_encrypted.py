"""Sealed at rest: without the key nothing opens, the key lies in no store, and both are for one account's eyes."""

from pathlib import Path

from neurmatic.backups import logical
from neurmatic.backups.manifest import LOGICAL
from neurmatic.backups.setting import Setting
from neurmatic.hosts.pipeline import Program
from neurmatic.readiness.backups import copy_setting, fails, live_setting, newest
from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Subject
from neurmatic.stack.backup import KEY

QUICK = False
OWNER_ALONE = ("600", "700")
AGE = b"age-encryption.org/v1"
DUMP = ".dump.zst.age"


def check(subject: Subject, evidence: Evidence) -> None:
    live = live_setting(subject)
    _modes(live, evidence)
    setting = copy_setting(subject.rehearsal())
    manifest, _ = logical.dump(setting, setting.postgres.database, setting.stores)
    dump = setting.local.root / manifest.dump_key
    other = setting.layout.run / "another.key"
    key = setting.host.run(["age-keygen"], env={}).out
    setting.host.write(other, key, mode=0o600, owner=setting.user)
    fails(evidence, "a dump opened with another key", lambda: _open(setting, dump, other))
    _open(setting, dump, setting.identity_file)
    evidence.note("with its own it opens")
    _sealed(live, evidence)
    kept = newest(live, "physical", "local")
    if kept:
        label = f"physical/backup/main/{kept.id}/backup.manifest"
        text = live.host.run(["head", "-c", "4096", str(live.local.root / label)], env={}, check=False).out
        evidence.expect(bool(text) and "[backup]" not in text, f"the manifest of {kept.id} is no readable text")
    _not_beside(live, evidence)


def _modes(setting: Setting, evidence: Evidence) -> None:
    for path in (setting.layout.secrets, setting.layout.backup_key, setting.layout.backup_config):
        mode = setting.host.run(["stat", "-c", "%a", str(path)], env={}).out.strip()
        evidence.expect(mode == "600", f"{path.name} has mode {mode}")
    root = setting.local.root
    # What is in physical/ is pgBackRest's, behind a folder that nobody else can enter.
    words = ["find", str(root), "-not", "-path", f"{root}/physical*", "-printf", "%m %u %p\n"]
    owner = setting.host.run(["stat", "-c", "%U", str(setting.layout.backup_key)], env={}).out.strip()
    lines = setting.host.run(words, env={}, check=False).out.splitlines()
    loose = [line for line in lines if line.split()[0] not in OWNER_ALONE or line.split()[1] != owner]
    evidence.expect(bool(lines) and not loose, f"{root}: {', '.join(loose[:3]) or 'for its owner alone'}")


def _sealed(setting: Setting, evidence: Evidence) -> None:
    """Each dump that lies in the running stack's own store, by its first words."""
    keys = [entry.key for entry in setting.local.entries(LOGICAL) if entry.key.endswith(DUMP)]
    plain = []
    for key in keys:
        with setting.local.open(key) as file:
            if file.read(len(AGE)) != AGE:
                plain.append(key)
    evidence.expect(not plain, f"{len(keys)} dumps are sealed, not so: {', '.join(plain[:3]) or 'none'}")


def _not_beside(setting: Setting, evidence: Evidence) -> None:
    secret = setting.secrets[KEY].reveal()
    # The pattern comes by a file: in an argument everybody could read it.
    words = ["grep", "--recursive", "--files-with-matches", "--fixed-strings", f"--file={setting.layout.backup_key}"]
    found = setting.host.run([*words, str(setting.local.root)], env={}, check=False, timeout=3600)
    evidence.expect(
        bool(secret) and not found.out,
        f"the key lies in the store: {found.out[:200]}" if found.out else "the key lies in no file of the store",
    )


def _open(setting: Setting, dump: Path, key: Path) -> None:
    programs = [
        Program(["age", "--decrypt", "--identity", str(key)], user=setting.user),
        Program(["zstd", "--test", "--quiet"]),
    ]
    with setting.host.reading(dump) as file, setting.host.pipeline(programs, file) as stream:
        stream.drain()
