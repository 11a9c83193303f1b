"""What of the backups goes, and why. Pure: it asks neither clock nor store."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from neurmatic.backups.catalog import Kept
from neurmatic.stack.backup import Backup

Action = Literal["keep", "remove", "retire"]


@dataclass(frozen=True)
class Decision:
    """What becomes of one backup in one store.

    Attributes:
        action: "retire" leaves a dump to the store's own rules, which move it to Glacier and remove it in the end.
        why: in a few words.
        notable: whether an operator should hear of it: everything that goes, and what is kept for another reason than
            its age.
    """

    kept: Kept
    action: Action
    why: str
    notable: bool = True

    def __str__(self) -> str:
        manifest = self.kept.manifest
        return f"{self.action} {manifest.kind} {manifest.id} of {manifest.database} in {self.kept.store}: {self.why}"


def decide(backups: Sequence[Kept], section: Backup, now: datetime, ruled: Collection[str] = ()) -> list[Decision]:
    """What goes of these backups, in their order.

    Backups go by their age: past `days` of the store that they are in. But counted for each database, kind and store by
    itself, the last proven one and the newest one stay, and so does whatever a backup that stays needs. Where none is
    proven, all stay. A backup that is dated in the future stays, and makes no other one superfluous: some clock was
    wrong, and nobody knows when it was made. `ruled` names the stores whose own rules remove dumps.
    """
    groups: dict[tuple[str, str, str], list[Kept]] = defaultdict(list)
    for one in backups:
        groups[one.store, one.manifest.identity, one.manifest.kind].append(one)
    decided = {
        (one.kept.store, one.kept.id): one for group in groups.values() for one in _group(group, section, now, ruled)
    }
    for found in _needed(decided):
        decided[found.store, found.id] = Decision(found, "keep", "a backup that is kept needs it")
    return [decided[one.store, one.id] for one in backups]


def _group(group: list[Kept], section: Backup, now: datetime, ruled: Collection[str]) -> Iterator[Decision]:
    """Decisions on one database's backups of one kind in one store."""
    days = _days(group[0], section)
    sane = [one for one in group if one.made <= now]
    newest = max(sane, key=_order, default=None)
    proven = max((one for one in sane if one.proven), key=_order, default=None)
    for one in group:
        if one.made > now:
            yield Decision(one, "keep", f"it is dated in the future: {one.manifest.ended}; see to the clock")
        elif now - one.made <= timedelta(days=days):
            yield Decision(one, "keep", f"younger than {days} days", notable=False)
        elif proven is None:
            yield Decision(one, "keep", "no backup of its kind and database is proven here, so all are kept")
        elif one is proven:
            yield Decision(one, "keep", "the last one that is proven")
        elif one is newest:
            yield Decision(one, "keep", "the newest one")
        elif one.store in ruled and one.manifest.kind == "logical":
            yield Decision(one, "retire", f"older than {days} days; the store's own rules move and remove it")
        else:
            yield Decision(one, "remove", f"older than {days} days")


def _needed(decided: dict[tuple[str, str], Decision]) -> list[Kept]:
    """What would go although a backup that stays, or that one of these needs, can't be restored without it."""
    found: list[Kept] = []
    asking = [one.kept for one in decided.values() if one.action == "keep"]
    while asking:
        one = asking.pop()
        for name in one.manifest.needs:
            needed = decided.get((one.store, name))
            if needed and needed.action != "keep" and needed.kept not in found:
                found.append(needed.kept)
                asking.append(needed.kept)
    return found


def _days(one: Kept, section: Backup) -> int:
    return section.s3.days if one.store == "s3" and section.s3 else section.days


def _order(one: Kept) -> tuple[datetime, str]:
    return one.made, one.id
