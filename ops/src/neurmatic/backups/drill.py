"""The four disasters, each acted out on a scratch copy, with what it took: RTO and RPO as measured, kept as a record.

Production is asked for its backups and touched in no other way.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from neurmatic.backups import archive, catalog, damage, recovery
from neurmatic.backups.contents import differences, read_contents
from neurmatic.backups.database import Address, cluster_bytes
from neurmatic.backups.logical import live
from neurmatic.backups.scratch import scratch_folder, started
from neurmatic.backups.server import rehearse_loss
from neurmatic.backups.setting import Setting, setting_of
from neurmatic.backups.standing import GB
from neurmatic.errors import NeurmaticError
from neurmatic.releases.rehearsal import rehearse
from neurmatic.releases.up import Up

Scenario = Literal["database", "api", "server", "corruption"]
SCENARIOS: tuple[Scenario, ...] = get_args(Scenario)
FOLDER = "drills/"


@dataclass
class Record:
    """What a drill did.

    Attributes:
        rto_s: seconds from the disaster until everything was there again.
        rpo_s: seconds of changes that would have been lost; None where that could not be measured.
        database_bytes: size of what was restored.
        steps: seconds of each step.
        seen: what was seen, a sentence each.
    """

    scenario: Scenario
    at: str
    rto_s: float = 0
    rpo_s: float | None = 0
    database_bytes: int = 0
    steps: dict[str, float] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    @property
    def seconds_per_gb(self) -> float | None:
        return self.rto_s / (self.database_bytes / GB) if self.database_bytes else None

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Note how long the block took."""
        begun = time.monotonic()
        yield
        self.steps[name] = round(time.monotonic() - begun, 3)


def drill(setting: Setting, up: Up, scenario: Scenario) -> Record:
    """Act out one disaster.

    Raises:
        NeurmaticError: what was to come back did not. An event says so, and production is as it was.
    """
    record = Record(scenario, datetime.now(UTC).isoformat(timespec="seconds"))
    acts: dict[Scenario, Callable[[Setting, Up, Record], None]] = {
        "database": _database,
        "api": _api,
        "server": _server,
        "corruption": _corruption,
    }
    try:
        acts[scenario](setting, up, record)
    except BaseException as error:
        setting.events.write("drill", "failed", **_brief(record), reason=str(error) or type(error).__name__)
        raise
    setting.events.write("drill", "done", **_brief(record))
    for store in setting.stores:
        store.put_text(f"{FOLDER}{record.at}-{scenario}.json", json.dumps(asdict(record), indent=1) + "\n")
    return record


def last_drill(setting: Setting, scenario: Scenario) -> dict[str, Any] | None:
    """The event of the last drill of this scenario that came to its end well; None when there was none."""
    events = (event for event in reversed(setting.events.read()) if event["action"] == "drill")
    return next((one for one in events if one["result"] == "done" and one["scenario"] == scenario), None)


def _brief(record: Record) -> dict[str, Any]:
    kept = ("scenario", "rto_s", "rpo_s", "database_bytes", "steps")
    return {name: one for name, one in asdict(record).items() if name in kept}


def _database(setting: Setting, _up: Up, record: Record) -> None:
    """The data folder is gone: the newest base backup, and the WAL to its end."""
    record.rpo_s = archive.lag(setting).seconds
    kept = catalog.chosen(catalog.listed(setting.stores), "latest", "physical")
    with scratch_folder(setting, "drill") as data:
        begun = time.monotonic()
        with record.step("recover"):
            recovered = recovery.recover(setting, data, at=None, kept=kept)
        with started(setting, data, {}) as scratch:
            record.rto_s = round(time.monotonic() - begun, 3)
            with record.step("read every row"), scratch.address.to(setting.postgres.database).connected() as one:
                found = read_contents(one)
            record.database_bytes = _cluster_bytes(scratch.address)
    record.seen.append(
        f"{kept.id} from {kept.store} and the WAL up to {recovered.reached.lsn}: {found.rows} rows of {len(found.tables)} tables"
    )
    if not found.tables:
        raise NeurmaticError("the recovered database has no table")


def _corruption(setting: Setting, _up: Up, record: Record) -> None:
    """A block of a table is overwritten: found by its checksum, and answered by the state of a second before."""
    kept = catalog.chosen(catalog.listed(setting.stores), "latest", "physical")
    with scratch_folder(setting, "drill") as data:
        recovery.recover(setting, data, at=None, kept=kept, exact=True)
        database = setting.postgres.database
        with started(setting, data, {}, keep=True) as scratch, scratch.address.to(database).connected() as one:
            wanted = read_contents(one)
            table, path = damage.largest_table(one)
        damage.overwrite(setting, data / path)
        begun = time.monotonic()
        with record.step("find the damage"):
            record.seen.append(damage.found(setting, data, table))
        setting.host.rename(data, data.with_name("damaged"))
        with record.step("recover"):
            recovery.recover(setting, data, at=None, kept=kept, exact=True)
        with started(setting, data, {}) as scratch:
            with scratch.address.to(database).connected() as one:
                wrong = list(differences(wanted, read_contents(one)))
            record.rto_s = round(time.monotonic() - begun, 3)
            record.database_bytes = _cluster_bytes(scratch.address)
    if wrong:
        raise NeurmaticError(f"what came back is not what was there before: {'; '.join(wrong[:5])}")
    record.seen.append(f"{kept.id} from {kept.store} brought back every row of {len(wanted.tables)} tables")


def _api(setting: Setting, up: Up, record: Record) -> None:
    """Every instance of the services that the edge leads to is killed at once."""
    with rehearse(setting.host, setting.layout, setting.stack.replace(backup=None), up.user) as copy:
        names = [one.name for one in copy.stack.instances() if one.service in copy.stack.routed()]
        begun = time.monotonic()
        for name in names:
            copy.runtime.signal(name, "KILL")
        with record.step("healthy again"):
            for name in names:
                copy.gate.await_health(copy.instances[name])
        record.rto_s = round(time.monotonic() - begun, 3)
    record.seen.append(f"{', '.join(names)} killed (-9) at once, healthy again without anybody's doing")


def _server(setting: Setting, up: Up, record: Record) -> None:
    """Nothing is left but the stack file, the secrets and the stores."""
    record.rpo_s = archive.lag(setting).seconds
    begun = time.monotonic()
    with rehearse_loss(setting, up) as (copy, done):
        record.rto_s = round(time.monotonic() - begun, 3)
        record.steps.update(done.seconds)
        record.database_bytes = _cluster_bytes(live(setting_of(copy), "postgres"))
        record.seen.append(
            f"{done.id} from {done.store}, the release and {len(copy.stack.instances())} instances, all healthy"
        )
    if done.store == "local":
        record.seen.append("from the local store, since there is no other: had this server been lost, it had been, too")


def _cluster_bytes(server: Address) -> int:
    with server.connected() as connection:
        return cluster_bytes(connection)
