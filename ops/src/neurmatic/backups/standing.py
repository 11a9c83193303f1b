"""How backups stand: the age of the last proven one, RPO and RTO as measured, and what is wrong. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from neurmatic.backups.catalog import AHEAD, Kept
from neurmatic.backups.manifest import Kind, Proof
from neurmatic.stack.backup import Backup

KINDS: tuple[Kind, ...] = ("logical", "physical")
PROOF_DAYS = 35
"""A proof older than a month and the days that a missed drill may take to be made up for."""
ARCHIVE_MINUTES = 15
"""WAL that waits longer than this to be archived is an alert."""
GB = 1e9


@dataclass(frozen=True)
class Archive:
    """The WAL's archive: seconds of changes that a loss of the server would take now, and what is wrong with it."""

    lag_seconds: float | None
    problem: str = ""


@dataclass(frozen=True)
class Latest:
    """The newest backup of one kind in one store, and the newest that was proven; ages in hours."""

    kind: Kind
    store: str
    id: str = ""
    age_hours: float | None = None
    standing: str = ""
    proven: str = ""
    proven_age_hours: float | None = None
    proof_age_hours: float | None = None


@dataclass(frozen=True)
class Standing:
    """Everything that `backup status` says.

    Attributes:
        rpo_seconds: changes that a loss of the server would take now; None when that is not known.
        rto_seconds: how long a restore of the present database would take, by the last proof; None without one.
        rto_per_gb: seconds for each GB (10^9 bytes) of that proof.
        database_bytes: the present size.
        problems: what makes it red, a sentence each, by the name of its alert.
    """

    latest: tuple[Latest, ...]
    rpo_seconds: float | None
    rto_seconds: float | None
    rto_per_gb: float | None
    database_bytes: int
    problems: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """The answer of `neurmatic backup status --json`."""
        return asdict(self)


def stand(  # noqa: PLR0913  what is looked at; the last two by name
    backup: Backup, backups: list[Kept], stores: Iterable[str], archive: Archive, *, database_bytes: int, now: datetime
) -> Standing:
    """Judge what there is."""
    latest = tuple(_latest(backups, kind, store, now) for kind in KINDS for store in stores)
    proof = _last_proof(backups)
    per_gb = proof.restore_s / (proof.database_bytes / GB) if proof and proof.database_bytes else None
    return Standing(
        latest=latest,
        rpo_seconds=archive.lag_seconds,
        rto_seconds=per_gb * database_bytes / GB if per_gb is not None else None,
        rto_per_gb=per_gb,
        database_bytes=database_bytes,
        problems=dict(_problems(backup, latest, archive)),
    )


def _latest(backups: list[Kept], kind: Kind, store: str, now: datetime) -> Latest:
    ours = [one for one in backups if one.manifest.kind == kind and one.store == store]
    if not ours:
        return Latest(kind, store)
    newest = max(ours, key=lambda one: one.made)
    proven = max((one for one in ours if one.proven), key=lambda one: one.made, default=None)
    return Latest(
        kind,
        store,
        id=newest.id,
        age_hours=newest.age_hours(now),
        standing=newest.standing,
        proven=proven.id if proven else "",
        proven_age_hours=proven.age_hours(now) if proven else None,
        proof_age_hours=_hours(proven.proof.at, now) if proven and proven.proof else None,
    )


def _hours(moment: str, now: datetime) -> float:
    return (now - datetime.fromisoformat(moment)).total_seconds() / 3600


def _last_proof(backups: list[Kept]) -> Proof | None:
    """Of a base backup if there is one: that is what a disaster is answered with."""
    proofs = [(one.manifest.kind == "physical", one.proof.at, one.proof) for one in backups if one.proof and one.proven]
    return max(proofs, key=lambda one: one[:2])[2] if proofs else None


def _problems(backup: Backup, latest: tuple[Latest, ...], archive: Archive) -> Iterator[tuple[str, str]]:
    for one in latest:
        yield from _problems_of(backup, one)
    for kind in KINDS:
        hours = [one.proof_age_hours for one in latest if one.kind == kind and one.proof_age_hours is not None]
        if not hours:
            hint = f"`neurmatic backup verify latest --kind {kind}`"
            yield f"backup.unproven.{kind}", f"no {kind} backup was ever proven: {hint}"
        elif min(hours) > PROOF_DAYS * 24:
            yield f"backup.unproven.{kind}", f"the last proof of a {kind} backup is {min(hours) / 24:.0f} days old"
    if archive.problem:
        yield "backup.archive", archive.problem
    elif archive.lag_seconds is not None and archive.lag_seconds > ARCHIVE_MINUTES * 60:
        yield "backup.archive", f"{archive.lag_seconds:.0f} s of changes wait to be archived"


def _problems_of(backup: Backup, one: Latest) -> Iterator[tuple[str, str]]:
    name, what = f"{one.kind}.{one.store}", f"the newest {one.kind} backup in {one.store}"
    if one.age_hours is None:
        yield f"backup.missing.{name}", f"there is no {one.kind} backup in {one.store}"
    elif one.age_hours > backup.late_hours:
        late = f"{one.age_hours:.0f} h old, expected within {backup.late_hours}"
        yield f"backup.missing.{name}", f"{what} is {late}"
    elif one.age_hours < -AHEAD.total_seconds() / 3600:
        yield f"backup.clock.{name}", f"{what} is dated in the future: a clock was moved"
    if one.standing == "failed":
        yield f"backup.proof.{name}", f"{what} failed its proof"
