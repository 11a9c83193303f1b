"""Which backups there are: what the stores' manifests and proofs say."""

from collections.abc import Container, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from neurmatic.backups.manifest import LOGICAL, PHYSICAL, Kind, Manifest, Proof
from neurmatic.backups.stores.base import Store
from neurmatic.errors import ConfigurationError, NeurmaticError

MANIFEST, PROOF = ".json", ".proof.json"
AT_ONCE = 8
"""Manifests that are read at the same time: from a bucket, each takes as long as its answer is on the way."""
AHEAD = timedelta(minutes=6)
"""A backup dated further ahead than this was made by a clock that was wrong."""
SAME_RUN = timedelta(hours=6)
"""Backups of one kind that were made no further apart belong to one run, which goes from store to store."""


@dataclass(frozen=True)
class Kept:
    """A backup in one store, with the last proof of it."""

    store: str
    manifest: Manifest
    proof: Proof | None = None

    @property
    def id(self) -> str:
        return self.manifest.id

    @property
    def made(self) -> datetime:
        return datetime.fromisoformat(self.manifest.ended)

    @property
    def proven(self) -> bool:
        return self.proof is not None and self.proof.holds

    @property
    def standing(self) -> str:
        """In one word: proven, failed or unproven."""
        if self.proof is None:
            return "unproven"
        return "proven" if self.proof.holds else "failed"

    def age_hours(self, now: datetime | None = None) -> float:
        return ((now or datetime.now(UTC)) - self.made).total_seconds() / 3600


def listed(stores: Iterable[Store], folders: Sequence[str] = (LOGICAL, PHYSICAL)) -> list[Kept]:
    """Every backup that has a manifest, oldest first; those of one kind, if its folder alone is given.

    Raises:
        StoreError: a store can't be asked.
        NeurmaticError: a manifest can't be read.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = [kept for store in stores for folder in folders for kept in _in(store, folder, pool)]
    return sorted(found, key=lambda kept: (kept.manifest.ended, kept.store))


def _in(store: Store, folder: str, pool: Executor) -> Iterator[Kept]:
    keys = {entry.key for entry in store.entries(folder)}
    wanted = [key for key in sorted(keys) if key.endswith(MANIFEST) and not key.endswith(PROOF)]
    return (one for one in pool.map(lambda key: _read(store, key, keys), wanted) if one)


def _read(store: Store, key: str, keys: Container[str]) -> Kept | None:
    try:
        manifest = Manifest.read(store.text(key) or "")
    except (ValueError, TypeError, KeyError) as error:
        raise NeurmaticError(
            f"{store.name} holds a manifest that can't be read: {key}: {error}",
            "remove that file if the backup is of no use, and see who wrote it",
        ) from None
    if manifest.kind == "logical" and manifest.dump_key not in keys:
        return None  # a prune that was cut off: the dump is gone
    proof = store.text(manifest.proof_key) if manifest.proof_key in keys else None
    return Kept(store.name, manifest, Proof.read(proof) if proof else None)


def chosen(backups: list[Kept], name: str, kind: Kind | None = None, store: str | None = None) -> Kept:
    """The backup of this id, or the latest; where two stores have one of the same run, the local one.

    What is dated in the future is not the latest while there is another one: a clock was wrong, and its state is older
    than it says.

    Raises:
        ConfigurationError: there is none.
    """
    fitting = [
        one
        for one in backups
        if name in ("latest", one.id) and kind in (None, one.manifest.kind) and store in (None, one.store)
    ]
    if not fitting:
        what = "there is no backup" + (f" {name}" if name != "latest" else "") + (f" of kind {kind}" if kind else "")
        raise ConfigurationError(
            what + (f" in {store}" if store else ""),
            "`neurmatic backup list` shows what there is; `backup run` makes one",
        )
    now = datetime.now(UTC) + AHEAD
    past = [one for one in fitting if one.made <= now] or fitting
    newest = max(past, key=lambda one: one.made)
    here = [one for one in past if one.store == "local" and newest.made - one.made < SAME_RUN]
    return max(here, key=lambda one: one.made) if here else newest
