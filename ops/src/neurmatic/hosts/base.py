"""What a host offers: run a command, put and get a file, look at processes. Local today; SSH fits behind it."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from neurmatic.hosts.pipeline import Pipeline, Program, Source


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        return self.code == 0


class Host(Protocol):
    """The one door to a machine. Paths are absolute; commands are lists of arguments, never text for a shell."""

    def run(  # noqa: PLR0913  a command has this many aspects; all but the first are by keyword
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        stdin: str = "",
        timeout: float = 60,
        check: bool = True,
    ) -> Result:
        """Run to the end within `timeout` seconds; with `check`, any exit code but 0 raises CommandError."""
        ...

    def pipeline(self, programs: Sequence[Program], source: Source | None = None) -> AbstractContextManager[Pipeline]:
        """Run programs in a row, the first reading `source`; none is left when the context ends."""
        ...

    def reading(self, path: Path) -> AbstractContextManager[BinaryIO]:
        """The file's bytes."""
        ...

    def writing(self, path: Path, *, mode: int, owner: str | None = None) -> AbstractContextManager[BinaryIO]:
        """Bytes of a file that appears, on disk, when the context ends well, and never otherwise."""
        ...

    def spawn(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> None:
        """Start a process that outlives this one, in a session of its own, its output appended to `log`."""
        ...

    def read(self, path: Path) -> str | None:
        """The file's text; None when there is no such file."""
        ...

    def tail(self, path: Path, most: int) -> str:
        """Whole lines from the end of the file, of `most` bytes at most; empty when there is no such file."""
        ...

    def modified(self, path: Path) -> float | None:
        """When the file was written last, in seconds of the epoch; None when there is no such file."""
        ...

    def write(self, path: Path, text: str, *, mode: int = 0o644, owner: str | None = None) -> None:
        """Replace the file's content as a whole: readers see the old text or the new, never a part."""
        ...

    def append(self, path: Path, text: str, *, mode: int = 0o600) -> None:
        """Add to the end of the file, on disk when this returns."""
        ...

    def exists(self, path: Path) -> bool: ...

    def is_folder(self, path: Path) -> bool: ...

    def size(self, path: Path) -> int:
        """Bytes of a file; 0 when there is none."""
        ...

    def names(self, path: Path) -> list[str]:
        """Names in a folder, sorted; empty when there is no such folder."""
        ...

    def make_folder(self, path: Path, *, mode: int = 0o755, owner: str | None = None) -> None:
        """Make the folder and its parents; an existing one gets this mode and owner."""
        ...

    def copy(self, source: Path, target: Path) -> None:
        """Copy a file or a folder with all that is in it."""
        ...

    def rename(self, source: Path, target: Path) -> None: ...

    def link(self, target: Path, path: Path) -> None:
        """Make `path` a symbolic link to `target`."""
        ...

    def remove(self, path: Path) -> None:
        """Remove a file, a link, or a folder with all that is in it; nothing there is fine."""
        ...

    def folder_bytes(self, path: Path) -> int: ...

    def digest(self, path: Path) -> str:
        """SHA-256 over the names and contents of a file, or of all files below a folder."""
        ...

    def free_bytes(self, path: Path) -> int: ...

    def disk_used_percent(self, path: Path) -> float:
        """How full the disk is, as its unprivileged users see it."""
        ...

    def memory_bytes(self) -> tuple[int, int]:
        """(available, total) memory of the machine."""
        ...

    def which(self, program: str) -> str | None: ...

    def is_root(self) -> bool: ...

    def account(self, user: str | None) -> str:
        """The numbers of an account and its group, such as 998:998; None: those of this process."""
        ...

    def account_exists(self, user: str) -> bool: ...

    def can_enter(self, path: Path, user: str) -> bool:
        """Whether the account may read this folder, every folder above it included."""
        ...

    def alive(self, pid: int) -> bool: ...

    def command_line(self, pid: int) -> str:
        """The process's words, separated by blanks; empty when it is gone."""
        ...

    def signal(self, pid: int, name: str, *, tree: bool = False) -> None:
        """Send a signal such as ``TERM``, with `tree` to its descendants too; a process that is gone already is fine."""
        ...

    def free_ports(self, count: int) -> int:
        """The first of `count` consecutive TCP ports that are free on loopback now."""
        ...

    def process_memory(self, pid: int) -> int:
        """Bytes a process and its descendants hold: shared pages counted once (PSS) where it may be read, else RSS."""
        ...

    def holders(self, path: Path) -> list[int]:
        """Process ids that have this file open."""
        ...

    def port_owner(self, port: int) -> str | None:
        """Who listens on this TCP port (``nginx, pid 12``); None when nobody does."""
        ...

    def addresses(self) -> list[str]:
        """The machine's own addresses but loopback and link-local ones."""
        ...

    def accepts(self, address: str, port: int) -> bool:
        """Whether somebody accepts a TCP connection there."""
        ...

    def connections_to(self, ports: Sequence[int]) -> set[tuple[int, int]]:
        """(port, client's port) of every connection on loopback to one of these ports, those closed within the last minute too."""
        ...

    def locked(self, path: Path, holder: str) -> AbstractContextManager[None]:
        """Hold a lock that ends with this process, however it ends; BusyError names who holds it now."""
        ...
