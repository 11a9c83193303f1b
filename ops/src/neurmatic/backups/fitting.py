"""What must hold before a backup is restored, to whatever place: said before anything is read or made."""

from pathlib import Path

from neurmatic.backups.catalog import Kept
from neurmatic.backups.setting import Setting
from neurmatic.errors import NeurmaticError

ROOM = 1.1
"""Of what the database took when it was backed up."""


def check_key(setting: Setting, kept: Kept) -> None:
    """The stack's key must be the one that opens it.

    Raises:
        NeurmaticError: it isn't.
    """
    if kept.manifest.key_id != setting.key_id:
        raise NeurmaticError(
            f"{kept.id} was encrypted for another key, {kept.manifest.key_id}",
            "put that key into secrets.env as BACKUP_KEY and run `neurmatic up`",
        )


def check_space(setting: Setting, kept: Kept, folder: Path) -> None:
    """There must be room in this folder for what the backup becomes, and a tenth more.

    Raises:
        NeurmaticError: there isn't.
    """
    needed, free = int(kept.manifest.database_bytes * ROOM), setting.host.free_bytes(folder)
    if free < needed:
        raise NeurmaticError(
            f"{folder} has {free // 1024**2} MB free; restoring {kept.id} needs {needed // 1024**2} MB beside what is there",
            "free some space, or drop what earlier restores kept: `neurmatic restore --kept`",
        )


def check_version(setting: Setting, kept: Kept) -> None:
    """The stack's PostgreSQL reads dumps of its own version and of older ones, and data folders of its own only.

    Raises:
        NeurmaticError: this one is of another.
    """
    said = setting.host.run([str(setting.postgres_bin / "postgres"), "--version"], env={}).out
    major = int(said.split()[2].partition(".")[0])
    made = int(kept.manifest.server_version.partition(".")[0])
    if major < made or (kept.manifest.kind == "physical" and major != made):
        raise NeurmaticError(
            f"{kept.id} comes from PostgreSQL {kept.manifest.server_version}; this server is {major}",
            "restore it to a server of that version" + (" or a newer one" if kept.manifest.kind == "logical" else ""),
        )
