"""A backup counts once it was restored and compared: what is truncated, empty or a table short is caught."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

from neurmatic.backups import logical
from neurmatic.backups.catalog import Kept, chosen, listed
from neurmatic.backups.manifest import Contents, Manifest, Table
from neurmatic.backups.proof import verify
from neurmatic.backups.setting import Setting
from neurmatic.readiness.backups import a_table, copy_setting, fails
from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Subject

QUICK = False
ROWS = 1000


def check(subject: Subject, evidence: Evidence) -> None:
    setting = copy_setting(subject.rehearsal())
    with a_table(setting, "rehearsed_rows", ROWS):
        manifest, _ = logical.dump(setting, setting.postgres.database, setting.stores)
    kept = _listed(setting, manifest.id)
    evidence.expect(not kept.proven, f"{manifest.id} is {kept.standing} when it is made")
    proof = verify(setting, kept)
    evidence.expect(
        _listed(setting, manifest.id).proven,
        f"proven when restored: {proof.rows} rows, {len(manifest.contents.tables)} tables and "
        f"{len(manifest.contents.definitions)} definitions compared",
    )
    path = setting.local.root / manifest.dump_key
    whole = _bytes(setting, manifest)
    spoilt: dict[str, Callable[[Manifest], tuple[Manifest, bytes]]] = {
        "one table short": lambda one: (replace(one, contents=_with_a_table(one.contents)), whole),
        "a row short": lambda one: (replace(one, contents=_with_another_row(one.contents)), whole),
        "a constraint short": lambda one: (replace(one, contents=_with_a_constraint(one.contents)), whole),
        "a row of another value": lambda one: (replace(one, contents=_with_another_sum(one.contents)), whole),
        "truncated": lambda one: (one, whole[: len(whole) * 2 // 3]),
        "empty": lambda one: (one, b""),
        "a byte flipped": lambda one: (one, _flipped(whole)),
        "truncated, and its manifest agrees": lambda one: _agreeing(one, whole[: len(whole) * 2 // 3]),
    }
    for what, spoil in spoilt.items():
        bad, data = spoil(replace(manifest, id=f"{manifest.id}-bad"))
        with setting.host.writing(path.with_name(f"{bad.id}.dump.zst.age"), mode=0o600, owner=setting.user) as file:
            file.write(data)
        setting.local.put_text(bad.key, bad.text())
        one = _listed(setting, bad.id)
        fails(evidence, what, lambda one=one: verify(setting, one), "NOT good")  # type: ignore[misc]
        evidence.expect(_listed(setting, bad.id).standing == "failed", "and it counts as failed")


def _listed(setting: Setting, name: str) -> Kept:
    return chosen(listed(setting.stores), name)


def _bytes(setting: Setting, manifest: Manifest) -> bytes:
    with setting.local.open(manifest.dump_key) as file:
        return file.read()


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _agreeing(manifest: Manifest, data: bytes) -> tuple[Manifest, bytes]:
    return replace(manifest, size=len(data), sha256=hashlib.sha256(data).hexdigest()), data


def _with_a_table(contents: Contents) -> Contents:
    return replace(contents, tables=contents.tables | {"public.that_was_there": Table(7, "1")})


def _with_another_row(contents: Contents) -> Contents:
    name, table = max(contents.tables.items(), key=lambda one: one[1].rows)
    return replace(contents, tables=contents.tables | {name: replace(table, rows=table.rows + 1)})


def _with_a_constraint(contents: Contents) -> Contents:
    lost = "constraint public.notes that_was_there CHECK (true)"
    return replace(contents, definitions=(*contents.definitions, lost))


def _with_another_sum(contents: Contents) -> Contents:
    name, table = max(contents.tables.items(), key=lambda one: one[1].rows)
    return replace(contents, tables=contents.tables | {name: replace(table, checksum=table.checksum + "1")})
