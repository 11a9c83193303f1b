"""Logical dumps: pg_dump, compressed by zstd, encrypted by age, streamed to the store; and the way back.

Each is a program of its own, so that a dump can be opened without this tool:
``age -d -i KEY < ID.dump.zst.age | zstd -d | pg_restore --dbname NAME``.
"""

import secrets as csprng
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from neurmatic.backups.contents import read_contents
from neurmatic.backups.database import Address, Connection, named, value
from neurmatic.backups.manifest import Manifest, dump_key
from neurmatic.backups.progress import Progress
from neurmatic.backups.setting import Setting
from neurmatic.backups.stores.base import Metered, Store, StoreError
from neurmatic.errors import NeurmaticError
from neurmatic.hosts.pipeline import Program

LEVEL = "-1"
"""Of zstd: a level more costs more time than it saves size (bench/results.md)."""


class DamagedError(NeurmaticError):
    """A backup can't be what was made: other bytes, another key, an end too early."""


@dataclass(frozen=True)
class Identity:
    """What a database says of itself before it is dumped."""

    identity: str
    server_version: str
    revision: str
    database_bytes: int


def identify(setting: Setting, connection: Connection, database: str) -> Identity:
    """Which database this is."""
    system = value(connection, "SELECT system_identifier FROM pg_control_system()")
    return Identity(
        f"{system}/{database}",
        value(connection, "SHOW server_version").split()[0],
        revision(setting, connection),
        value(connection, "SELECT pg_database_size(current_database())"),
    )


def revision(setting: Setting, connection: Connection) -> str:
    """The migrations' last revision, as the stack file asks for it; empty when it doesn't, or when none has run yet."""
    query = setting.postgres.revision
    if not query:
        return ""
    with connection.transaction():
        return str(value(connection, query) or "")


def dump(setting: Setting, database: str, stores: tuple[Store, ...]) -> tuple[Manifest, dict[str, NeurmaticError]]:
    """Make one dump and put it into every store.

    The first store that takes it gets it as it is made; each further one gets a copy of that. The manifest comes last:
    without one, no dump counts.

    Returns:
        The manifest, and what went wrong with some of the stores.

    Raises:
        NeurmaticError: no store has it.
    """
    failed: dict[str, NeurmaticError] = {}
    made: tuple[Manifest, Store] | None = None
    for store in stores:
        try:
            if made is None:
                made = _made(setting, database, store), store
            else:
                _copied(made[0], made[1], store)
        except NeurmaticError as error:
            failed[store.name] = error
    if made is None:
        if len(failed) == 1:
            raise next(iter(failed.values()))
        hint = next((error.hint for error in failed.values() if error.hint), "")
        raise NeurmaticError("; ".join(f"{name}: {error}" for name, error in failed.items()), hint)
    return made[0], failed


def live(setting: Setting, database: str) -> Address:
    """The stack's own server."""
    password = setting.secrets["POSTGRES_SUPERUSER_PASSWORD"]
    return Address(setting.postgres.port, database, password, host=setting.places.of("postgres"))


def _made(setting: Setting, database: str, store: Store) -> Manifest:
    address = live(setting, database)
    begun, clock = datetime.now(UTC), time.monotonic()
    name = f"{begun:%Y%m%dT%H%M%SZ}-{csprng.token_hex(2)}"
    # One snapshot for both, so that the manifest says what the dump holds, whatever is written meanwhile.
    with address.connected(autocommit=False) as connection, ThreadPoolExecutor(1) as beside:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        snapshot = value(connection, "SELECT pg_export_snapshot()")
        one = identify(setting, connection, database)
        counted = beside.submit(read_contents, connection)
        try:
            with setting.host.pipeline(_dump_programs(setting, address, snapshot)) as stream:
                source = Metered(Progress(stream, 0, "dumping", setting.reporter), at_end=counted.result)
                _put(
                    store,
                    dump_key(name),
                    source,
                    {"time": begun.isoformat(timespec="seconds"), "key-id": setting.key_id},
                )
        except NeurmaticError:
            if counted.done() and (cause := counted.exception()):
                raise cause from None  # with it the snapshot is gone, which is all that pg_dump knows
            raise
        contents = counted.result()
    manifest = Manifest(
        id=name,
        kind="logical",
        identity=one.identity,
        database=database,
        begun=begun.isoformat(timespec="seconds"),
        ended=datetime.now(UTC).isoformat(timespec="seconds"),
        duration_s=round(time.monotonic() - clock, 3),
        server_version=one.server_version,
        release=setting.release,
        revision=one.revision,
        key_id=setting.key_id,
        size=source.size,
        sha256=source.sha256,
        database_bytes=one.database_bytes,
        contents=contents,
    )
    _note(store, manifest)
    return manifest


def _copied(manifest: Manifest, made: Store, store: Store) -> None:
    with made.open(manifest.dump_key) as file:

        def same() -> None:
            if source.sha256 != manifest.sha256:
                raise StoreError(
                    f"{manifest.dump_key} has changed since it was made: sha256 {source.sha256}, not {manifest.sha256}"
                )

        source = Metered(file, at_end=same)
        _put(store, manifest.dump_key, source, manifest.about())
    _note(store, manifest)


def _put(store: Store, key: str, source: Metered, about: Mapping[str, str]) -> None:
    """Store it, and see that as many bytes lie there as were read.

    Raises:
        StoreError: they don't; nothing is left there.
    """
    entry = store.put(key, source, about)
    if entry.size != source.size:
        store.remove(key)
        raise StoreError(f"{store.name} holds {entry.size} bytes of {key}, not the {source.size} that were sent")


def _note(store: Store, manifest: Manifest) -> None:
    """With the manifest, the dump counts. It carries as metadata, too, what of a stream is known only at its end."""
    store.put_text(manifest.key, manifest.text(), manifest.about())


def _dump_programs(setting: Setting, address: Address, snapshot: str) -> list[Program]:
    words = ("--format=custom", "--compress=0", f"--snapshot={snapshot}", *address.words())
    return [
        setting.program("pg_dump", *words),
        Program(["zstd", "-T0", LEVEL, "--check", "--stdout", "--quiet"], user=setting.user),
        Program(["age", "--encrypt", "--identity", str(setting.identity_file)], user=setting.user),
    ]


def load(setting: Setting, store: Store, manifest: Manifest, target: Address) -> None:
    """Restore a dump into this database, which is there and empty. Every byte is checked on its way.

    Raises:
        DamagedError: what lies in the store is not what was put there, or the key doesn't open it.
        NeurmaticError: anything else; what was restored so far is of no use.
    """
    with store.open(manifest.dump_key) as file:

        def whole() -> None:
            if (source.size, source.sha256) != (manifest.size, manifest.sha256):
                raise DamagedError(
                    f"{store.name} holds {source.size} bytes of {manifest.id} with sha256 {source.sha256[:12]}…, "
                    f"not {manifest.size} with {manifest.sha256[:12]}…",
                    "use another backup: `neurmatic backup list`",
                )

        source = Metered(Progress(file, manifest.size, "restoring", setting.reporter), at_end=whole)
        programs = [
            Program(["age", "--decrypt", "--identity", str(setting.identity_file)], user=setting.user),
            Program(["zstd", "--decompress", "--stdout", "--quiet"], user=setting.user),
            setting.program("pg_restore", "--exit-on-error", *target.words()),
        ]
        with setting.host.pipeline(programs, source) as stream:
            stream.drain()
        while source.read(1 << 20):  # what a reader left unread is part of the sum, too
            pass


def transfer(setting: Setting, source: Address, target: Address) -> None:
    """Copy one database into another, which is there and empty, without a file between."""
    programs = [
        setting.program("pg_dump", "--format=custom", "--compress=0", *source.words()),
        setting.program("pg_restore", "--exit-on-error", *target.words()),
    ]
    with setting.host.pipeline(programs) as stream:
        stream.drain()


def create_database(setting: Setting, address: Address, name: str) -> None:
    """Make an empty database like the application's own, with its role, on this server; it must not be there yet."""
    with address.connected() as connection:
        owner = setting.postgres.user
        if not value(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", owner):
            connection.execute(named("CREATE ROLE {} LOGIN", owner))
        connection.execute(named("CREATE DATABASE {} OWNER {} TEMPLATE template0", name, owner))
