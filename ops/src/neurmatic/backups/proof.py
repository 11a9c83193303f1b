"""Verify: restore a backup to a scratch cluster, compare it with its manifest, and keep what was found as its proof."""

import time
from datetime import UTC, datetime

from neurmatic.backups.alarm import alarmed
from neurmatic.backups.catalog import Kept
from neurmatic.backups.contents import differences, read_contents
from neurmatic.backups.database import value
from neurmatic.backups.fitting import check_key, check_space
from neurmatic.backups.logical import create_database, load
from neurmatic.backups.manifest import Proof
from neurmatic.backups.scratch import new_cluster
from neurmatic.backups.setting import Setting
from neurmatic.errors import NeurmaticError


class NotProvenError(NeurmaticError):
    """A backup does not restore, or not to what was backed up."""


def verify_on_record(setting: Setting, kept: Kept) -> Proof:
    """Prove one backup as `verify` does, on the record: an event in any case, and an alert when it fails."""
    with (
        alarmed(setting, f"proof.{kept.manifest.kind}"),
        setting.events.recorded("verify", id=kept.id, store=kept.store),
    ):
        return verify(setting, kept)


def verify(setting: Setting, kept: Kept) -> Proof:
    """Prove one backup. The proof is written to its store, whatever it says.

    Raises:
        NotProvenError: it does not hold.
        NeurmaticError: it could not be tried, such as for want of space, of a store or of its key; an earlier proof stays.
    """
    check_key(setting, kept)
    check_space(setting, kept, setting.layout.scratch)
    begun = time.monotonic()
    try:
        proof = _proved(setting, kept, begun)
    except NeurmaticError as error:
        proof = _proof(kept, begun, found=(f"it did not restore: {error}",))
    setting.store(kept.store).put_text(kept.manifest.proof_key, proof.text())
    if not proof.holds:
        raise NotProvenError(
            f"backup {kept.id} in {kept.store} is NOT good: " + "; ".join(proof.differences[:5]),
            "make another one with `neurmatic backup run`, and see what damaged this one",
        )
    return proof


def _proved(setting: Setting, kept: Kept, begun: float) -> Proof:
    if kept.manifest.kind == "physical":
        from neurmatic.backups.recovery import prove  # noqa: PLC0415  for one of two kinds

        return prove(setting, kept)
    return prove_dump(setting, kept, begun)


def prove_dump(setting: Setting, kept: Kept, begun: float) -> Proof:
    """Restore a dump to a new scratch cluster and compare it."""
    manifest = kept.manifest
    with new_cluster(setting) as scratch:
        create_database(setting, scratch.address, manifest.database)
        address = scratch.address.to(manifest.database)
        load(setting, setting.store(kept.store), manifest, address)
        restored = time.monotonic()
        with address.connected() as connection:
            found = read_contents(connection)
            size = value(connection, "SELECT pg_database_size(current_database())")
    wrong = tuple(differences(manifest.contents, found))
    return _proof(kept, begun, restored=restored, rows=found.rows, size=size, found=wrong)


def _proof(  # noqa: PLR0913  what was seen, by name
    kept: Kept, begun: float, *, restored: float = 0, rows: int = 0, size: int = 0, found: tuple[str, ...] = ()
) -> Proof:
    return Proof(
        id=kept.id,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        restore_s=round(max(0.0, restored - begun), 3),
        total_s=round(time.monotonic() - begun, 3),
        rows=rows,
        database_bytes=size,
        differences=found,
    )
