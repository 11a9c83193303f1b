"""`backup prune`: clears away what retention says may go, and what killed runs left."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from neurmatic.backups.catalog import MANIFEST, PROOF, listed
from neurmatic.backups.manifest import LOGICAL, dump_key
from neurmatic.backups.retention import Decision, decide
from neurmatic.backups.setting import Setting
from neurmatic.backups.stores.base import Store
from neurmatic.errors import NeurmaticError

if TYPE_CHECKING:
    from neurmatic.backups.stores.s3 import S3Store

DUMP = dump_key("").removeprefix(LOGICAL)
ORPHAN_AGE = timedelta(days=1)


def prune(setting: Setting, dry_run: bool, now: datetime | None = None) -> list[Decision]:
    """Remove what may go, having said what it is; whoever calls holds the lock (`run.alone`) and raises alerts.

    A dump's manifest goes first, so that a run which is cut off leaves no broken backup in the list; a later run removes
    what it left. One store's failure doesn't keep the other from being cleared. A dry run changes nothing at all.

    Returns:
        A decision on every backup, oldest first.

    Raises:
        NeurmaticError: some store failed. What stays is whole.
    """
    decisions: list[Decision] = []
    failed: dict[str, NeurmaticError] = {}
    for store in setting.stores:
        try:
            if dry_run:
                decisions += _Pruning(setting, store, dry_run=True).decided(now)
            else:
                decisions += _Pruning(setting, store, dry_run=False).run(now)
        except NeurmaticError as error:
            failed[store.name] = error
    if failed:
        hint = next((error.hint for error in failed.values() if error.hint), "run it again; what stays is whole")
        raise NeurmaticError("; ".join(f"{name}: {error}" for name, error in failed.items()), hint)
    return sorted(decisions, key=lambda one: (one.kept.manifest.ended, one.kept.store))


class _Pruning:
    """One store's."""

    def __init__(self, setting: Setting, store: Store, *, dry_run: bool) -> None:
        self._setting, self._store = setting, store
        self._ruled, self._installed = _with_rules(setting, store, dry_run=dry_run)
        self._marks: list[Decision] = []

    def decided(self, now: datetime | None) -> list[Decision]:
        """What goes and what stays, having said whatever is notable and new."""
        ruled = [self._store.name] if self._ruled else []
        decisions = decide(listed([self._store]), self._setting.backup, now or datetime.now(UTC), ruled)
        retired = [one for one in decisions if one.action == "retire"]
        self._marks = [one for one in retired if not self._is_marked(one)]
        for one in decisions:
            if one.notable and (one.action != "retire" or one in self._marks):
                self._setting.reporter.say(str(one))
        return decisions

    def run(self, now: datetime | None) -> list[Decision]:
        """Decide, and do it."""
        decisions = self.decided(now)
        going = [one for one in decisions if one.action == "remove"]
        retired, removed = ([one.kept.id for one in some] for some in (self._marks, going))
        with self._setting.events.recorded("prune", store=self._store.name, removed=removed, retired=retired):
            self._set_marks(decisions)
            self._remove(going)
            self._clear()
        return decisions

    def _is_marked(self, one: Decision) -> bool:
        if self._ruled is None or not self._installed:
            return False
        from neurmatic.backups.stores import lifecycle  # noqa: PLC0415  its library is slow to import

        return lifecycle.is_marked(self._ruled, one.kept.manifest.dump_key)

    def _set_marks(self, decisions: Sequence[Decision]) -> None:
        """Leave superseded dumps to the store's rules, and take back what is superseded no more."""
        if self._ruled is None:
            return
        from neurmatic.backups.stores import lifecycle  # noqa: PLC0415  as above

        for one in decisions:
            if one.action == "keep" and one.notable and one.kept.manifest.kind == "logical":
                lifecycle.unmark(self._ruled, one.kept.manifest.dump_key)
        for one in self._marks:
            lifecycle.mark(self._ruled, one.kept.manifest.dump_key)

    def _remove(self, going: Sequence[Decision]) -> None:
        bases = [one.kept.id for one in going if one.kept.manifest.kind == "physical"]
        if bases:
            from neurmatic.backups import physical  # noqa: PLC0415  for one of two kinds

            physical.expire(self._setting, self._store, bases)
        for one in going:
            manifest = one.kept.manifest
            if manifest.kind == "logical":
                for key in (manifest.key, manifest.proof_key, manifest.dump_key):
                    self._store.remove(key)

    def _clear(self) -> None:
        for key in orphans(self._store):
            self._setting.reporter.say(f"remove {key} from {self._store.name}: nothing belongs to it any more")
            self._store.remove(key)
        count = self._store.clear_leftovers()
        if count:
            self._setting.reporter.say(f"removed what {count} unfinished transfers left in {self._store.name}")


def orphans(store: Store) -> list[str]:
    """Dumps without a manifest, manifests whose dump is gone, proofs of neither; those older than a day.

    A run that was cut off leaves them, or the store's own rules. Younger ones may be about to be completed, or not be in
    the list yet.
    """
    entries = store.entries(LOGICAL)
    keys = {entry.key for entry in entries}
    before = datetime.now(UTC) - ORPHAN_AGE
    return [entry.key for entry in entries if entry.modified < before and not _belongs(entry.key, keys)]


def _belongs(key: str, keys: set[str]) -> bool:
    """Whether the other half is there, too; what has a name of another kind is not ours to judge."""
    for end in (PROOF, MANIFEST, DUMP):
        if key.endswith(end):
            name = key.removesuffix(end)
            return name + (MANIFEST if end == DUMP else DUMP) in keys
    return True


def _with_rules(setting: Setting, store: Store, *, dry_run: bool) -> "tuple[S3Store | None, bool]":
    """The store, if its own rules remove superseded dumps; and whether they do already.

    They are installed here, unless this is a dry run: that goes by what would be.
    """
    s3 = setting.backup.s3
    if s3 is None or store.name != "s3":
        return None, False
    from neurmatic.backups.stores import lifecycle  # noqa: PLC0415  its library is slow to import
    from neurmatic.backups.stores.s3 import S3Store  # noqa: PLC0415  the same

    assert isinstance(store, S3Store)  # noqa: S101  by its name
    try:
        rules = lifecycle.look(store) if dry_run else lifecycle.install(store, s3)
    except lifecycle.NoLifecycleError as error:
        setting.reporter.say(f"{error}; so prune itself removes dumps after {s3.days} days")
        return None, False
    return store, rules is not None
