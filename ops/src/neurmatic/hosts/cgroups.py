"""A memory group of the kernel, of either version: a real limit around a real process."""

from dataclasses import dataclass
from pathlib import Path

from neurmatic.errors import NeurmaticError

V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class MemoryGroup:
    """One group; whoever is added takes along the children it starts from then on."""

    folder: Path
    limit_file: str

    @classmethod
    def create(cls, name: str) -> "MemoryGroup":
        """Make the group.

        Raises:
            NeurmaticError: the kernel or this account's rights don't allow it.
        """
        old = V1.is_dir()
        group = cls((V1 if old else V2) / name, "memory.limit_in_bytes" if old else "memory.max")
        try:
            group.folder.mkdir(exist_ok=True)
            group.unlimit()
        except OSError as error:
            raise NeurmaticError(f"{group.folder}: {error.strerror}") from None
        return group

    def add(self, pid: int) -> None:
        """Move a process into the group."""
        (self.folder / "cgroup.procs").write_text(str(pid))

    def limit(self, limit_bytes: int) -> None:
        """Set the group's limit."""
        (self.folder / self.limit_file).write_text(str(limit_bytes))

    def unlimit(self) -> None:
        """Take the limit away."""
        (self.folder / self.limit_file).write_text("-1" if self.limit_file == "memory.limit_in_bytes" else "max")

    def remove(self, *pids: int) -> None:
        """Move these processes back to the group above and remove this one; all others must have ended."""
        for pid in pids:
            (self.folder.parent / "cgroup.procs").write_text(str(pid))
        self.folder.rmdir()
