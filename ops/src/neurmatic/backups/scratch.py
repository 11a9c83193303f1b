"""Scratch clusters: servers of an hour, beside the data, to restore a backup to and look at it."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from neurmatic.backups.database import Address
from neurmatic.backups.setting import SUPERUSER, Setting
from neurmatic.errors import CommandError, NeurmaticError

THROWN_AWAY = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
"""Nothing is flushed to the disk: for data that nobody wants afterwards."""
_SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "unix_socket_directories": "''",
    "archive_mode": "off",
    "archive_command": "''",
    "autovacuum": "off",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1h",
    "log_timezone": "'UTC'",
    "timezone": "'UTC'",
}
_SHUTDOWN_SECONDS = 3600
_BEGIN_SECONDS = 20
_LEFTOVER_SECONDS = 60
_FIRM = ("port", "listen_addresses", "unix_socket_directories", "hba_file", "archive_mode", "archive_command")


@dataclass(frozen=True)
class Scratch:
    """A scratch cluster's data folder and, while it runs, where it answers."""

    data: Path
    address: Address


@contextmanager
def scratch_folder(setting: Setting, name: str) -> Iterator[Path]:
    """A place for a scratch cluster's data folder; a server left in it is ended, and all of it removed, at the end."""
    folder = setting.layout.scratch / name
    setting.host.make_folder(setting.layout.scratch, mode=0o700, owner=setting.user)
    clear_scratch(setting)
    setting.host.make_folder(folder, mode=0o700, owner=setting.user)
    try:
        yield folder / "data"
    finally:
        _end(setting, folder)


def clear_scratch(setting: Setting) -> None:
    """End and remove what killed runs left; the backup lock is held, so nobody else is at work in there."""
    for name in setting.host.names(setting.layout.scratch):
        _end(setting, setting.layout.scratch / name)


@contextmanager
def new_cluster(setting: Setting) -> Iterator[Scratch]:
    """An empty cluster, made to be thrown away: nothing of it is flushed to the disk."""
    with scratch_folder(setting, "logical") as data:
        password = data.with_name("password")
        superuser = setting.secrets["POSTGRES_SUPERUSER_PASSWORD"].reveal()
        setting.host.write(password, superuser + "\n", mode=0o600, owner=setting.user)
        _run(
            setting,
            "initdb",
            *("--pgdata", str(data), "--username", SUPERUSER, "--pwfile", str(password), "--no-sync"),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8"),
            timeout=120,
        )
        setting.host.remove(password)
        settings = {**THROWN_AWAY, "wal_level": "minimal", "max_wal_senders": "0"}
        with started(setting, data, settings) as scratch:
            yield scratch


@contextmanager
def started(setting: Setting, data: Path, settings: Mapping[str, str], *, keep: bool = False) -> Iterator[Scratch]:
    """Start a server on this data folder, on a port that is free; at the end it is stopped.

    Args:
        setting: whose backups.
        data: its data folder.
        settings: beside those that every scratch cluster has.
        keep: whether the data is wanted afterwards: then it is shut down in order.

    Raises:
        NeurmaticError: it does not come up; the message gives the end of its log.
    """
    config = data.with_name("postgresql.conf")
    access = data.with_name("pg_hba.conf")
    log = data.with_name("log")
    port = setting.host.free_ports(1)
    text = {**_SETTINGS, **settings, "hba_file": f"'{access}'", "port": str(port)}
    lines = "".join(f"{name} = {value}\n" for name, value in text.items())
    setting.host.write(config, lines, owner=setting.user)
    setting.host.write(access, "host all all 127.0.0.1/32 scram-sha-256\n", owner=setting.user)
    # What ALTER SYSTEM set in the data folder would win over a file, but not over these: no port or archive of the
    # live server's is ever taken.
    firm = {"config_file": f"'{config}'", "data_directory": f"'{data}'"} | {name: text[name] for name in _FIRM}
    options = " ".join(f"-c {name}={said}" for name, said in firm.items())
    # -W: recovery may take its time; whether it answers is for `wait` to see.
    _run(setting, "pg_ctl", "start", "-W", "-D", str(data), "-l", str(log), "-o", options)
    address = Address(port, "postgres", setting.secrets["POSTGRES_SUPERUSER_PASSWORD"])
    try:
        _wait(setting, data, address, log)
        yield Scratch(data, address)
    finally:
        _stop(setting, data, keep=keep)


def _wait(setting: Setting, data: Path, address: Address, log: Path) -> None:
    """Until it answers; a server that has ended says why in its log."""
    status = [str(setting.postgres_bin / "pg_ctl"), "status", "-D", str(data)]
    begun = time.monotonic()
    while not address.answers():
        if setting.host.run(status, env={}, user=setting.user, check=False).ok:
            continue
        words = setting.host.tail(log, 3000).strip().splitlines()[-12:]
        if words or time.monotonic() > begun + _BEGIN_SECONDS:
            raise CommandError("the restored server ended:\n  " + "\n  ".join(words))
        time.sleep(0.1)  # on a busy machine it may not even have begun: its number is noted before its first word


def _stop(setting: Setting, data: Path, *, keep: bool) -> None:
    """Raises NeurmaticError where data that is wanted can't be shut down in order."""
    most = _SHUTDOWN_SECONDS if keep else 60
    words = ("stop", "-D", str(data), "-m", "fast" if keep else "immediate", "-t", str(most))
    with nullcontext() if keep and setting.host.exists(data / "postmaster.pid") else suppress(NeurmaticError):
        _run(setting, "pg_ctl", *words, timeout=most + 60)


def _end(setting: Setting, folder: Path) -> None:
    data = folder / "data"
    if setting.host.exists(data / "postmaster.pid"):
        with suppress(NeurmaticError):
            _run(setting, "pg_ctl", "stop", "-D", str(data), "-m", "immediate")
    until = time.monotonic() + _LEFTOVER_SECONDS
    while True:
        try:
            setting.host.remove(folder)
            break
        except NeurmaticError:  # a killed run's helper still writes into it, until it finds that nobody listens
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def _run(setting: Setting, program: str, *words: str, timeout: float = 60) -> None:
    setting.host.run(
        [str(setting.postgres_bin / program), *words],
        env={"LANG": "C.UTF-8"},
        cwd=Path("/"),
        user=setting.user,
        timeout=timeout,
    )
