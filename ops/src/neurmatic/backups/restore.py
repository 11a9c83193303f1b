"""`restore`: which backup answers the request, and which way it goes."""

from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from neurmatic.backups import catalog, restore_cluster, restore_dump
from neurmatic.backups.catalog import Kept
from neurmatic.backups.forget import forget
from neurmatic.backups.manifest import Kind
from neurmatic.backups.restored import Confirm, Restored
from neurmatic.backups.setting import Setting
from neurmatic.errors import ConfigurationError
from neurmatic.releases.events import actor


@dataclass(frozen=True)
class Request:
    """What the operator asked for.

    Attributes:
        name: a backup's id, or ``latest``.
        at: the state at this moment.
        into: a new database's name; empty: in place.
    """

    name: str = "latest"
    at: datetime | None = None
    kind: Kind | None = None
    store: str | None = None
    into: str = ""
    safety_copy: bool = True


@dataclass(frozen=True)
class Chosen:
    """A backup, and the point in time that is asked of it.

    Attributes:
        follows: whether the WAL since is applied, up to `at` or to its end.
        seconds: how long it may take, by its last proof; None when it was never proven.
    """

    request: Request
    kept: Kept
    follows: bool
    seconds: float | None

    @property
    def id(self) -> str:
        return self.kept.id

    @property
    def store(self) -> str:
        return self.kept.store

    def sentences(self) -> list[str]:
        """What would be restored, for the operator."""
        manifest = self.kept.manifest
        hours = self.kept.age_hours(datetime.now(UTC))
        what = f"{manifest.kind} backup {self.id} from {self.store}, made {manifest.ended} ({hours:.1f} h ago), {self.kept.standing}"
        lines = [what]
        if self.follows:
            until = f"up to {self.request.at.isoformat(sep=' ')}" if self.request.at else "to the end of the archive"
            lines.append(f"with the WAL since, {until}")
        size = f"{manifest.database_bytes / 1e6:.0f} MB"
        known = (
            f"about {self.seconds:.0f} s, as its last proof took" if self.seconds else "not known: it was never proven"
        )
        return [*lines, f"{size} when restored; time: {known}"]

    def as_json(self) -> dict[str, Any]:
        manifest = asdict(self.kept.manifest)
        manifest.pop("contents")
        return {"backup": manifest, "store": self.store, "standing": self.kept.standing, "seconds": self.seconds}


def choose(setting: Setting, request: Request) -> Chosen:
    """The backup that answers the request.

    Raises:
        ConfigurationError: there is none.
    """
    backups = catalog.listed(setting.stores)
    kind = request.kind
    if request.at:
        if kind == "logical":
            raise ConfigurationError("a dump has one state only: --at needs base backups", "leave --kind logical out")
        kind = "physical"
        backups = [one for one in backups if one.made <= request.at]
        if not any(one.manifest.kind == "physical" for one in backups):
            raise ConfigurationError(
                f"no base backup was complete at {request.at.isoformat(sep=' ')}",
                "`neurmatic backup list` shows from when on any second can be restored",
            )
    elif request.name == "latest" and kind is None and any(one.manifest.kind == "physical" for one in backups):
        kind = "physical"  # with the WAL it reaches to the last minute
    kept = catalog.chosen(backups, request.name, kind, request.store)
    follows = kept.manifest.kind == "physical" and (bool(request.at) or request.name == "latest")
    return Chosen(request, kept, follows, kept.proof.restore_s if kept.proof and kept.proof.holds else None)


def carry_out(setting: Setting, chosen: Chosen, confirm: Confirm) -> Restored:
    """Restore; `confirm` is asked before anything is swapped.

    Raises:
        NeurmaticError: it failed or was not confirmed; the live database is as it was.
    """
    request, kept = chosen.request, chosen.kept
    if kept.manifest.kind == "physical":
        point = restore_cluster.Point(request.at, to_end=chosen.follows and request.at is None)
        if request.into:
            return restore_cluster.into(setting, kept, point, request.into)
        with _locked(setting):
            done = restore_cluster.in_place(setting, kept, point, confirm)
    elif request.into:
        return restore_dump.into(setting, kept, request.into)
    else:
        with _locked(setting):
            done = restore_dump.in_place(setting, kept, confirm, safety_copy=request.safety_copy)
    forget(setting)
    _note_schema(setting, kept)
    return done


def _locked(setting: Setting) -> AbstractContextManager[None]:
    """Nobody starts, stops or deploys anything while databases change places."""
    return setting.host.locked(setting.layout.lock, f"neurmatic restore by {actor()}")


def _note_schema(setting: Setting, kept: Kept) -> None:
    """What was restored may be of an older schema than the release that runs: then the next `up` migrates it."""
    runs = setting.release
    if kept.manifest.release != runs:
        setting.host.remove(setting.layout.migrated)
        setting.reporter.say(
            f"the backup is of release {kept.manifest.release or 'unknown'}, {runs} runs: `neurmatic up` migrates the schema"
        )
