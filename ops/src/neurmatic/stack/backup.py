"""[backup]: what is kept of the database, where, for how long, and when it is made and proven."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from pydantic import Field

from neurmatic.stack.section import Section, Size
from neurmatic.stack.timer import Timer
from neurmatic.stack.tls import is_address

CLOCK = r"^([01]\d|2[0-3]):[0-5]\d$"
KEY = "BACKUP_KEY"
S3_KEY_ID, S3_SECRET = "BACKUP_S3_KEY_ID", "BACKUP_S3_SECRET"  # names of variables, no values
BACKUP_TIMER = "timer-backup"
WAIT_SECONDS = 4 * 3600
"""How long a scheduled run waits for another one's end."""


class S3(Section):
    """A bucket of any S3-compatible store. Its key stands in secrets.env, as BACKUP_S3_KEY_ID and BACKUP_S3_SECRET."""

    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", description="The bucket; it must exist.")
    prefix: str = Field(
        default="", pattern=r"^([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?$", description="Folder in the bucket."
    )
    endpoint: str = Field(
        default="", pattern=r"^(https?://[^\s/\"'\\]+)?$", description="URL of the store; empty: Amazon's own."
    )
    region: str = Field(default="us-east-1", pattern=r"^[a-z0-9-]+$", description="Region of the bucket.")
    path_style: bool = Field(default=False, description="Whether the bucket stands in the path, not in the host name.")
    ca: str = Field(
        default="", description="PEM file of the authorities its certificate comes from; empty: the system's."
    )
    storage_class: str = Field(
        default="STANDARD_IA",
        pattern=r"^[A-Z_]+$",
        description="Class of the dumps; STANDARD where a store has no other.",
    )
    days: int = Field(default=90, ge=1, le=3650, description="Days that backups are kept at hand here.")
    glacier_days: int = Field(
        default=365, ge=1, le=3650, description="Days after which dumps are gone; from `days` on they lie in Glacier."
    )


class Backup(Section):
    """Logical dumps, base backups and the archive of the WAL: encrypted with BACKUP_KEY of secrets.env.

    With this table every committed transaction is archived within `archive_seconds`, and timers of the stack's own make
    backups, restore them to prove them, and rehearse disasters.
    """

    folder: str = Field(
        default="",
        pattern=r"^(/[^\s\"'\\]+)?$",
        description="Folder of the local store, better on a disk of its own; empty: backups/ in the state folder.",
    )
    days: int = Field(default=30, ge=1, le=3650, description="Days that backups are kept in the folder.")
    s3: S3 | None = Field(default=None, description="A second store, on another machine.")
    at: str = Field(default="02:00", pattern=CLOCK, description="Time of day of the daily backups, UTC.")
    full_days: int = Field(
        default=7, ge=1, le=90, description="Days between full base backups; incremental ones between."
    )
    archive_seconds: int = Field(
        default=60, ge=1, le=3600, description="A WAL segment is archived after so many seconds, full or not."
    )
    archive_most: Size = Field(
        default="16GB",
        description="WAL that may wait while a store can't be reached; beyond it is dropped, and points in time are lost.",
    )
    processes: int = Field(default=2, ge=1, le=64, description="Processes of a base backup or its restore.")
    prove: bool = Field(
        default=True, description="Whether the daily run restores what it made to a scratch cluster and compares it."
    )
    late_hours: int = Field(
        default=26, ge=1, le=1000, description="Hours after which a backup that did not come is an alert."
    )

    @property
    def clock(self) -> tuple[int, int]:
        """Hour and minute of the daily backups."""
        hour, _, minute = self.at.partition(":")
        return int(hour), int(minute)

    def problems(self) -> Iterator[str]:
        """What can't work; each problem names its field."""
        if not (self.s3 and self.s3.endpoint):
            return
        url = urlsplit(self.s3.endpoint)
        if url.scheme != "https":
            yield "backup.s3.endpoint: must begin with https://: base backups and their keys go over TLS alone"
        elif is_address(url.hostname or ""):
            yield f"backup.s3.endpoint: {url.hostname} is an address; TLS needs the host's name"

    def timers(self) -> Iterator[Timer]:
        """What the stack does of its own accord, all times UTC."""
        hour, minute = self.clock
        wait = ("--wait", str(WAIT_SECONDS))
        yield Timer(BACKUP_TIMER, ("backup", "run", "--scheduled", *wait), (hour,), minute)
        yield Timer("timer-backup-watch", ("backup", "watch"), tuple(range(24)), (minute + 30) % 60)
        later = (hour + 2) % 24
        yield Timer("timer-drill", ("drill", "database", *wait), (later,), minute, days=(1,))
        yield Timer("timer-disaster", ("drill", "all", *wait), (later,), minute, days=(2,), months=(1, 4, 7, 10))
