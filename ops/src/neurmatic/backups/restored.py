"""What a restore says before it takes something away, and what it did."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from neurmatic.backups.manifest import Contents


@dataclass(frozen=True)
class Loss:
    """What a restore in place takes away: told before anything is swapped.

    Attributes:
        restored_to: the moment that the restored database stands at.
        minutes: from that moment until now.
        tables: a sentence for each table that differs, as rows now and rows then.
        kept: where the present state will still be found.
    """

    restored_to: datetime
    minutes: float
    tables: tuple[str, ...]
    kept: str


Confirm = Callable[[Callable[[], Loss]], bool]
"""Whether to go on. What would be lost is found out only when it is asked for: it takes a reading of every live row."""


@dataclass
class Restored:
    """What a restore did.

    Attributes:
        reached: the last moment whose changes are in it, where the WAL says it; else empty.
        kept: the name under which the state before was put aside.
        seconds: how long each phase took.
        unwell: a sentence for each instance that hasn't found its way back to the database in place.
    """

    id: str
    store: str
    database: str
    rows: int = 0
    reached: str = ""
    kept: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    unwell: tuple[str, ...] = ()

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Note how long the block took."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds[phase] = round(time.monotonic() - begun, 3)


def rows_changed(live: Contents, restored: Contents) -> Iterator[str]:
    """A sentence for each table whose rows are not the same now and then."""
    for name in sorted({*live.tables, *restored.tables}):
        now, then = live.tables.get(name), restored.tables.get(name)
        if now == then:
            continue
        if now is None:
            yield f"{name}: not there now, {then.rows if then else 0} rows then"
        elif then is None:
            yield f"{name}: {now.rows} rows now, not there then"
        elif now.rows != then.rows:
            yield f"{name}: {now.rows} rows now, {then.rows} then"
        else:
            yield f"{name}: {now.rows} rows now and then, some of them changed"
