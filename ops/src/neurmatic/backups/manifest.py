"""What a backup says of itself, and what a proof says of a backup; both lie beside it in its store, as JSON."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

Kind = Literal["logical", "physical"]
LOGICAL, PHYSICAL = "logical/", "base-backups/"
"""Folders of a store: dumps with their manifests; manifests of the base backups, which pgBackRest keeps in physical/."""
FORMAT = 1


def dump_key(name: str) -> str:
    """Where the dump with this id lies in its store."""
    return f"{LOGICAL}{name}.dump.zst.age"


@dataclass(frozen=True)
class Table:
    """Rows of one table, and a checksum over all of them that depends on no order."""

    rows: int
    checksum: str


@dataclass(frozen=True)
class Contents:
    """What is in a database.

    Attributes:
        tables: by their names with schema.
        definitions: a line for each constraint, index, sequence, view, function, trigger and extension.
    """

    tables: dict[str, Table]
    definitions: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables.values())


@dataclass(frozen=True)
class Manifest:
    """One backup. Times are ISO 8601 in UTC; sizes are in bytes.

    Attributes:
        id: of a dump its time and four random digits, of a base backup pgBackRest's label.
        identity: the cluster's system identifier and the database: what belongs together in retention.
        revision: the migrations' last revision, as [postgres] revision asks for it; empty where that is not set.
        key_id: the public half of the key that opens it.
        size: bytes in the store.
        sha256: of the object as stored; empty for a base backup, whose files pgBackRest checks one by one.
        database_bytes: size of the database or the cluster on its server.
        contents: of a dump, in the very snapshot that was dumped; of a base backup, definitions alone.
        type: of a base backup: full, diff or incr.
        needs: ids of the backups that this one can't be restored without.
        start_lsn, stop_lsn, wal_start, wal_stop: of a base backup, where the WAL begins and ends that it needs.
        restore_point: of a base backup, the named point right after it.
    """

    id: str
    kind: Kind
    identity: str
    database: str
    begun: str
    ended: str
    duration_s: float
    server_version: str
    release: str
    revision: str
    key_id: str
    size: int
    database_bytes: int
    sha256: str = ""
    contents: Contents = field(default_factory=lambda: Contents({}))
    type: str = ""
    needs: tuple[str, ...] = ()
    start_lsn: str = ""
    stop_lsn: str = ""
    wal_start: str = ""
    wal_stop: str = ""
    restore_point: str = ""
    format: int = FORMAT

    @property
    def folder(self) -> str:
        return LOGICAL if self.kind == "logical" else PHYSICAL

    @property
    def key(self) -> str:
        """Where the manifest lies in its store."""
        return f"{self.folder}{self.id}.json"

    @property
    def dump_key(self) -> str:
        """Where a dump lies in its store."""
        return dump_key(self.id)

    @property
    def proof_key(self) -> str:
        return f"{self.folder}{self.id}.proof.json"

    def about(self) -> dict[str, str]:
        """What a dump's objects carry as metadata."""
        return {"time": self.begun, "size": str(self.size), "sha256": self.sha256, "key-id": self.key_id}

    def text(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def read(cls, text: str) -> Self:
        """From `text()`.

        Raises:
            ValueError: it is none, or of another format.
        """
        data: dict[str, Any] = json.loads(text)
        if data.get("format") != FORMAT:
            raise ValueError(f"its format is {data.get('format')}, not {FORMAT}")
        contents = data.pop("contents")
        tables = {name: Table(**one) for name, one in contents["tables"].items()}
        data["needs"] = tuple(data["needs"])
        return cls(**data, contents=Contents(tables, tuple(contents["definitions"])))


@dataclass(frozen=True)
class Proof:
    """That a backup was restored to a scratch cluster and compared.

    Attributes:
        at: when.
        restore_s: seconds until the restored database answered.
        total_s: seconds with the comparison.
        rows: that were compared.
        database_bytes: size of what was restored.
        differences: what was not as the manifest says; empty when it was proven.
    """

    id: str
    at: str
    restore_s: float
    total_s: float
    rows: int
    database_bytes: int
    differences: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return not self.differences

    def text(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def read(cls, text: str) -> Self:
        """From `text()`; ValueError or TypeError where it is none."""
        data: dict[str, Any] = json.loads(text)
        data["differences"] = tuple(data["differences"])
        return cls(**data)
