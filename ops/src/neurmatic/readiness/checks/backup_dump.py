"""A logical dump: the connection comes first, what is stored is compressed and sealed, and a part of one is never seen."""

from dataclasses import replace
from pathlib import Path

from neurmatic.backups import logical
from neurmatic.backups.catalog import listed
from neurmatic.backups.database import Connection
from neurmatic.backups.manifest import LOGICAL
from neurmatic.backups.setting import Setting
from neurmatic.hosts.pipeline import Program
from neurmatic.readiness.backups import a_table, copy_setting, everything, fails, fails_in_mid_dump
from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Subject

QUICK = False
ROWS = 1000


def check(subject: Subject, evidence: Evidence) -> None:
    copy = subject.rehearsal()
    setting = copy_setting(copy)
    with a_table(setting, "rehearsed_rows", ROWS):
        manifest, _ = logical.dump(setting, setting.postgres.database, setting.stores)
    path = setting.local.root / manifest.dump_key
    evidence.expect(
        any(one.id == manifest.id for one in listed(setting.stores)),
        f"{manifest.id}: {manifest.contents.rows} rows, {manifest.size} bytes, listed with its manifest",
    )
    _opens(setting, path, evidence)
    nowhere = replace(setting, stack=setting.stack.replace(postgres=setting.postgres.replace(port=9)))
    before = everything(setting)
    fails(evidence, "no server at the port", lambda: logical.dump(nowhere, setting.postgres.database, setting.stores))
    evidence.expect(everything(setting) == before, "nothing was written before the connection")
    _cut_off(setting, evidence)


def _opens(setting: Setting, path: Path, evidence: Evidence) -> None:
    """What lies there is age around zstd around a dump, whatever its name says."""
    programs = [
        Program(["age", "--decrypt", "--identity", str(setting.identity_file)], user=setting.user),
        Program(["zstd", "--decompress", "--stdout", "--quiet"]),
        setting.program("pg_restore", "--file=-", password=False),
    ]
    with setting.host.reading(path) as file, setting.host.pipeline(programs, file) as stream:
        found = 0
        while chunk := stream.read():
            found += chunk.count(b"CREATE TABLE ")
    evidence.expect(found > 0, f"age, zstd and pg_restore open it: {found} tables")


def _cut_off(setting: Setting, evidence: Evidence) -> None:
    """pg_dump's connection is ended by the server while the store is being written."""
    seen: list[str] = []
    before: list[str] = []

    def dump() -> None:
        before[:], seen[:] = everything(setting), []
        logical.dump(setting, setting.postgres.database, setting.stores)

    def end_it(connection: Connection) -> None:
        seen.extend(entry.key for entry in setting.local.entries(LOGICAL))
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg_dump'")

    fails_in_mid_dump(evidence, "pg_dump's connection ended in mid-dump", setting, end_it, dump)
    partial = [key for key in seen if str(setting.local.root / key) not in before]
    evidence.expect(not partial, f"seen in the store meanwhile: {', '.join(partial) or 'nothing of it'}")
    evidence.expect(everything(setting) == before, "and no part of it is left in the store")
