"""pgBackRest, run for one store at a time: its commands, what it says of its repository, and its lock."""

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from neurmatic.backups.database import value
from neurmatic.backups.logical import live
from neurmatic.backups.setting import Setting
from neurmatic.errors import BusyError, CommandError, NeurmaticError
from neurmatic.hosts.base import Result
from neurmatic.hosts.pipeline import Pipeline, Program
from neurmatic.render.backup import STANZA, local_folder

REPOSITORIES = {"local": 1, "s3": 2}
"""pgBackRest's numbers of the stores."""
LOCK_SECONDS = 60
_MINUTES = 600
_LOCKED = 50
"""How it ends when another one has its lock."""
_TELL_SECONDS = 5
_PERCENT = re.compile(r" (\d+)(?:\.\d+)?%\)")
_STANZA_IS_THERE = (0, 2)  # ok; no backup yet
_STANZA_IS_MISSING = (1, 3)  # nothing; files without what describes them
_SOON = "--io-timeout=5"
"""It tries for four times as long to reach a store: so `up` isn't kept for minutes by one that is gone."""
_LOGGED = re.compile(r"^P\d\d +(DETAIL|INFO|WARN|ERROR): *")
_ABOUT_ALL = re.compile(r"^P00 +(INFO|WARN)")
_LABEL = re.compile(r"new backup label = (\S+)")
_VERIFIED = re.compile(
    r"archiveId: \S+, total WAL checked: (\d+), total valid WAL: (\d+)"
    r"|backup: \S+, status: valid, total files checked: (\d+), total valid files: (\d+)"
)
_FINE = re.compile(
    rf"stanza: {STANZA}|status: ok|missing: 0, checksum invalid: 0, size invalid: 0, other: 0"
    r"|backup: \S+, status: in-progress, total files checked: 0, total valid files: 0"
    r"|backup '\S+' appears to be in progress, skipping"
    r"|verify command (begin|end: completed successfully).*"
    r"|archiveId: \S+, wal start: \w+, wal stop: \w+"
)
_NO_MANIFEST = re.compile(r"unable to open missing file '.*/([^/]+)/backup\.manifest' for read")


class NotSetUpError(NeurmaticError):
    """A store can be reached and has never been used for base backups."""


@dataclass(frozen=True)
class BaseBackup:
    """A base backup as pgBackRest lists it. Sizes are in bytes.

    Attributes:
        damaged: whether pages were found whose checksum was wrong already on the server.
        size: what it added to the repository.
        archive: the folder of its WAL in the archive.
    """

    label: str
    type: str
    prior: str
    damaged: bool
    size: int
    database_bytes: int
    start_lsn: str
    stop_lsn: str
    wal_start: str
    wal_stop: str
    archive: str


@dataclass(frozen=True)
class Stored:
    """A file of the repository."""

    size: int
    time: datetime


@dataclass(frozen=True)
class PgBackRest:
    """pgBackRest on one store of a stack."""

    setting: Setting
    store: str

    @property
    def number(self) -> int:
        return REPOSITORIES[self.store]

    def words(self, command: str, *options: str) -> list[str]:
        """The command line; without a password, which libpq finds in the environment."""
        return [
            *("pgbackrest", f"--config={self.setting.layout.backup_config}", f"--stanza={STANZA}"),
            *(command, f"--repo={self.number}", *options),
        ]

    def run(self, command: str, *options: str, check: bool = True, timeout: float = _MINUTES) -> Result:
        """Run one of its short commands."""
        return _run(self.setting, self.words(command, *options), check=check, timeout=timeout)

    def follow(self, command: str, *options: str) -> str:
        """Run one of its long commands to the end and tell the operator how far it is.

        Returns:
            The lines of its log but those about single files.

        Raises:
            CommandError: it did not end well.
        """
        words = self.words(command, "--log-level-console=detail", "--no-log-timestamp", *options)
        with _started(self.setting, words) as stream:
            told, rest, log = time.monotonic(), "", list[str]()
            while chunk := stream.read(4096):
                lines = (rest + chunk.decode(errors="replace")).split("\n")
                rest = lines.pop()
                log += [line for line in lines if _ABOUT_ALL.match(line)]
                done = [found.group(1) for line in lines if (found := _PERCENT.search(line))]
                if done and time.monotonic() > told + _TELL_SECONDS:
                    told = time.monotonic()
                    self.setting.reporter.say(f"{command}, {self.store}: {done[-1]} %")
        return "\n".join(log)

    def back_up(self, *options: str) -> str:
        """Make a base backup, and return its label.

        Raises:
            CommandError: it did not end well, or did not say what it made.
        """
        made = _LABEL.search(self.follow("backup", *options))
        if made is None:
            raise CommandError(f"pgBackRest ended well, and named no new backup in {self.store}")
        return made.group(1)

    def info(self, *options: str) -> dict[str, Any]:
        """What it says of the repository."""
        # Not strict: 2.45 writes a line's end within a message as it is.
        said = json.loads(self.run("info", "--output=json", *options).out, strict=False)
        return dict(said[0])

    def backups(self) -> list[BaseBackup]:
        """Every base backup that is whole, oldest first."""
        said = self.info()
        self.must_be_there(said)
        archives = {one["database"]["id"]: one["id"] for one in said["archive"]}
        return [_read(one, archives.get(one["database"]["id"], "")) for one in said["backup"]]

    @property
    def archive(self) -> str:
        """The archive's folder of the cluster that writes to it now."""
        said = self.info()
        self.must_be_there(said)
        return archive_of(said)

    def must_be_there(self, said: Mapping[str, Any]) -> None:
        """Raises NeurmaticError where archiving was never begun in the store, or where it can't be reached."""
        for one in said["repo"]:
            code, message = one["status"]["code"], one["status"]["message"]
            if code not in _STANZA_IS_THERE:
                error = NotSetUpError if code in _STANZA_IS_MISSING else NeurmaticError
                raise error(
                    f"{self.store} can't take base backups: {message}",
                    "see that the store can be reached, and run `neurmatic up`",
                )

    def files(self, folder: str, only: str = "") -> dict[str, Stored]:
        """Files below a folder of the repository by their paths in it; with `only`, those that match it."""
        said = self.run("repo-ls", "--output=json", "--recurse", *([f"--filter={only}"] if only else []), f"{folder}")
        return {
            name: Stored(one["size"], datetime.fromtimestamp(one["time"], UTC))
            for name, one in json.loads(said.out).items()
            if one["type"] == "file"
        }

    def text(self, path: str) -> str:
        """A small file of the repository, decrypted."""
        return self.run("repo-get", path).out

    def verify(self) -> list[str]:
        """What is wrong with any file of the repository, a sentence each: each is read and its checksum compared.

        pgBackRest ends with 0 whatever it found, and misses a segment that isn't there: see `archive.gaps`.
        """
        options = ("--output=text", "--verbose", "--log-level-console=detail", "--no-log-timestamp")
        said = self.run("verify", *options, check=False, timeout=24 * 3600)
        return verify_findings(said.out + said.err, said.code)

    def free_lock(self) -> None:
        """Wait for whoever runs pgBackRest on this stack; end what a killed run has left, which still holds its lock.

        Raises:
            BusyError: another one is at work, such as one that an operator started by hand.
        """
        host, path = self.setting.host, self.setting.layout.run / "pgbackrest" / f"{STANZA}-backup.lock"
        until = time.monotonic() + LOCK_SECONDS
        while holders := [pid for pid in host.holders(path) if self._is_ours(pid)]:
            try:
                owner = int(json.loads(host.read(path) or "{}").get("pid", 0))
            except ValueError:
                owner = 0
            if owner and not host.alive(owner):  # its helpers go on compressing for nobody
                for pid in holders:
                    host.signal(pid, "KILL")
            if time.monotonic() > until:
                raise BusyError(f"pgBackRest is at work on this stack, pid {owner or holders[0]}", "wait for its end")
            time.sleep(0.2)

    def _is_ours(self, pid: int) -> bool:
        line = self.setting.host.command_line(pid)
        return "pgbackrest" in line and f"--config={self.setting.layout.backup_config}" in line


def archive_of(said: Mapping[str, Any]) -> str:
    """The archive's folder of the cluster that writes to it now, from `info`."""
    return str(said["archive"][-1]["id"])


def prepare(setting: Setting, stores: Iterable[str] | None = None) -> dict[str, NeurmaticError]:
    """Make the folders and, in these stores or else in all, what archiving begins with; what is there already stays.

    Returns:
        What went wrong, by store. A store that can't be reached now keeps no other from being used.
    """
    make_folders(setting)
    failed = _unusable(setting, tuple(stores or (REPOSITORIES if setting.backup.s3 else ("local",))))
    new = tuple(store for store, error in failed.items() if isinstance(error, NotSetUpError))
    if not new:
        return failed
    # It knows no --repo and goes through the stores in their order: so each is asked how it stands afterwards.
    words = ["pgbackrest", f"--config={setting.layout.backup_config}", f"--stanza={STANZA}", "stanza-create", _SOON]
    until = time.monotonic() + LOCK_SECONDS
    while (done := _run(setting, words, check=False, timeout=_MINUTES)).code == _LOCKED and time.monotonic() < until:
        time.sleep(0.2)  # it wants the archiver's lock, too, which that one has for as long as a segment takes
    said = " ".join(done.err.split())
    still = {store: NeurmaticError(f"{error}: {said}", error.hint) for store, error in _unusable(setting, new).items()}
    return {store: error for store, error in failed.items() if store not in new} | still


def _unusable(setting: Setting, stores: tuple[str, ...]) -> dict[str, NeurmaticError]:
    failed: dict[str, NeurmaticError] = {}
    for store in stores:
        try:
            if store == "s3":
                _check_authorities(setting)
            check_owner(setting, PgBackRest(setting, store))
        except NeurmaticError as error:
            failed[store] = error
    return failed


def _check_authorities(setting: Setting) -> None:
    """Raises NeurmaticError where the account can't read the bucket's CA: pgBackRest has no words for that."""
    section = setting.backup.s3
    if section and section.ca:
        path = (setting.layout.project / section.ca).resolve()
        if not setting.host.run(["test", "-r", str(path)], env={}, cwd=Path("/"), user=setting.user, check=False).ok:
            account = setting.user or "this account"
            raise NeurmaticError(
                f"backup.s3.ca: {path} is not there, or {account} can't read it",
                "put it where that account can read it, such as beside the stack file",
            )


def check_owner(setting: Setting, engine: PgBackRest) -> dict[str, Any]:
    """What `info` says of a store that takes this server's WAL.

    Raises:
        NeurmaticError: it doesn't, or can't be reached.
    """
    said = engine.info(_SOON)
    engine.must_be_there(said)
    with live(setting, "postgres").connected() as connection:
        system = value(connection, "SELECT system_identifier FROM pg_control_system()")
    if said["db"][-1]["system-id"] != system:
        raise NeurmaticError(
            f"{engine.store} holds base backups of another cluster, {said['db'][-1]['system-id']}, and takes none of {system}",
            "bring that one back with `neurmatic restore`, or give this stack another folder or prefix",
        )
    return said


def make_folders(setting: Setting) -> None:
    """Make what pgBackRest expects to be there."""
    layout = setting.layout
    for folder in (
        *(layout.run / "pgbackrest", layout.run / "archive", layout.logs / "backup"),
        local_folder(setting.backup, layout) / "physical",
    ):
        if not setting.host.exists(folder.parent):
            setting.host.make_folder(folder.parent, mode=0o700, owner=setting.user)
        setting.host.make_folder(folder, mode=0o700, owner=setting.user)


def verify_findings(said: str, code: int = 0) -> list[str]:
    """What `pgbackrest verify` found wrong. Whatever is not known to be fine counts as wrong.

    Args:
        said: its output, verbose and with its log in detail, without times.
        code: how it ended.
    """
    lines = [_LOGGED.sub("", line.strip()).strip() for line in said.splitlines() if line.strip()]
    unfinished = {one.group(1) for line in lines if (one := re.match(r"backup: (\S+), status: in-progress", line))}
    found = [line for line in lines if not _is_fine(line, unfinished)]
    if "status: ok" not in lines and not found:
        found.append("it did not say that all is well")
    if code:
        found.append(f"it ended with {code}")
    return list(dict.fromkeys(found))


def _is_fine(line: str, unfinished: set[str]) -> bool:
    if counted := _VERIFIED.fullmatch(line):
        checked, valid = (number for number in counted.groups() if number is not None)
        return checked == valid
    if absent := _NO_MANIFEST.fullmatch(line):
        return PurePosixPath(absent.group(1)).name in unfinished
    return bool(_FINE.fullmatch(line))


def _read(one: Mapping[str, Any], archive: str) -> BaseBackup:
    return BaseBackup(
        label=one["label"],
        type=one["type"],
        prior=one["prior"] or "",
        damaged=bool(one["error"]),
        # Newer versions leave this out of a backup of blocks.
        size=one["info"]["repository"].get("delta", 0),
        database_bytes=one["info"]["size"],
        start_lsn=one["lsn"]["start"],
        stop_lsn=one["lsn"]["stop"],
        wal_start=one["archive"]["start"],
        wal_stop=one["archive"]["stop"],
        archive=archive,
    )


def _environment(setting: Setting) -> dict[str, str]:
    # The server has no socket; libpq, which pgBackRest asks it with, takes its host from here.
    password = setting.secrets["POSTGRES_SUPERUSER_PASSWORD"].reveal()
    return {"LANG": "C.UTF-8", "PGHOST": setting.places.of("postgres"), "PGPASSWORD": password}


def _run(setting: Setting, words: list[str], *, check: bool, timeout: float) -> Result:
    return setting.host.run(
        words, env=_environment(setting), cwd=Path("/"), user=setting.user, timeout=timeout, check=check
    )


@contextmanager
def _started(setting: Setting, words: list[str]) -> Iterator[Pipeline]:
    """Run it in a pipe: when this process is killed, it ends at the next line it writes."""
    with setting.host.pipeline([Program(words, _environment(setting), setting.user)]) as stream:
        yield stream
