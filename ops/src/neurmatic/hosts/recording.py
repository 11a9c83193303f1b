"""A host in memory: what is written can be read, what is run is recorded and answered as told."""

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from neurmatic.errors import BusyError, CommandError
from neurmatic.hosts.base import Result
from neurmatic.hosts.pipeline import Pipeline, Program, Source

FREE = 10**12


@dataclass
class RecordingHost:
    """Stands in for a machine in tests of whoever extends the tool; it has every method of Host.

    Attributes:
        files: text of each file by its path.
        answers: result of each command, by its first words; without one, a command ends well and says nothing.
        commands: what was run, in order.
        ports: who listens where.
    """

    files: dict[Path, str] = field(default_factory=dict)
    modes: dict[Path, int] = field(default_factory=dict)
    answers: dict[tuple[str, ...], Result] = field(default_factory=dict)
    commands: list[tuple[str, ...]] = field(default_factory=list)
    environments: list[Mapping[str, str] | None] = field(default_factory=list)
    signals: list[tuple[int, str]] = field(default_factory=list)
    programs: dict[str, str] = field(default_factory=dict)
    processes: dict[int, str] = field(default_factory=dict)
    ports: dict[int, str] = field(default_factory=dict)
    lock_holders: dict[Path, list[int]] = field(default_factory=dict)
    accounts: set[str] = field(default_factory=set)
    root: bool = False
    locked_by: str = ""

    def run(  # noqa: PLR0913  as Host.run
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,  # noqa: ARG002  as below: a machine's business
        user: str | None = None,  # noqa: ARG002
        stdin: str = "",  # noqa: ARG002
        timeout: float = 60,  # noqa: ARG002
        check: bool = True,
    ) -> Result:
        words = tuple(argv)
        self.commands.append(words)
        self.environments.append(env)
        found = next(
            (self.answers[words[:n]] for n in range(len(words), 0, -1) if words[:n] in self.answers), Result(0, "", "")
        )
        if check and not found.ok:
            raise CommandError(f"{words[0]} ended with {found.code}")
        return found

    def pipeline(
        self, programs: Sequence[Program], source: Source | None = None
    ) -> contextlib.AbstractContextManager[Pipeline]:
        """A pipeline moves a machine's own bytes; there is none in memory."""
        raise NotImplementedError

    @contextlib.contextmanager
    def reading(self, path: Path) -> Iterator[BinaryIO]:
        yield io.BytesIO(self.files[path].encode())

    @contextlib.contextmanager
    def writing(self, path: Path, *, mode: int, owner: str | None = None) -> Iterator[BinaryIO]:
        file = io.BytesIO()
        yield file
        self.write(path, file.getvalue().decode(), mode=mode, owner=owner)

    def spawn(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> None:  # noqa: ARG002
        self.commands.append(tuple(argv))
        self.environments.append(env)

    def read(self, path: Path) -> str | None:
        return self.files.get(path)

    def tail(self, path: Path, most: int) -> str:
        text = self.files.get(path, "")
        return text if len(text) <= most else text[-most:].partition("\n")[2]

    def modified(self, path: Path) -> float | None:
        return 0.0 if path in self.files else None

    def write(self, path: Path, text: str, *, mode: int = 0o644, owner: str | None = None) -> None:  # noqa: ARG002
        self.files[path] = text
        self.modes[path] = mode

    def append(self, path: Path, text: str, *, mode: int = 0o600) -> None:
        self.files[path] = self.files.get(path, "") + text
        self.modes.setdefault(path, mode)

    def exists(self, path: Path) -> bool:
        return path in self.files or any(path in file.parents for file in self.files)

    def is_folder(self, path: Path) -> bool:
        return any(path in one.parents for one in self.files)

    def size(self, path: Path) -> int:
        return len(self.files.get(path, "").encode())

    def names(self, path: Path) -> list[str]:
        return sorted({file.relative_to(path).parts[0] for file in self.files if path in file.parents})

    def make_folder(self, path: Path, *, mode: int = 0o755, owner: str | None = None) -> None: ...

    def copy(self, source: Path, target: Path) -> None:
        for file in self._below(source):
            self.files[target / file.relative_to(source)] = self.files[file]

    def rename(self, source: Path, target: Path) -> None:
        for file in self._below(source):
            self.files[target / file.relative_to(source)] = self.files.pop(file)

    def link(self, target: Path, path: Path) -> None:
        self.files[path] = f"-> {target}"

    def remove(self, path: Path) -> None:
        for file in self._below(path):
            del self.files[file]

    def _below(self, path: Path) -> list[Path]:
        return [file for file in self.files if file == path or path in file.parents]

    def folder_bytes(self, path: Path) -> int:
        return sum(len(self.files[file]) for file in self._below(path))

    def digest(self, path: Path) -> str:
        import hashlib  # noqa: PLC0415  nothing else here needs it

        return hashlib.sha256(repr(sorted((str(f), self.files[f]) for f in self._below(path))).encode()).hexdigest()

    def free_bytes(self, path: Path) -> int:  # noqa: ARG002
        return FREE

    def disk_used_percent(self, path: Path) -> float:  # noqa: ARG002
        return 0.0

    def memory_bytes(self) -> tuple[int, int]:
        return FREE, FREE

    def which(self, program: str) -> str | None:
        return self.programs.get(program)

    def is_root(self) -> bool:
        return self.root

    def account(self, user: str | None) -> str:
        return f"{user or 'self'}:{user or 'self'}"

    def account_exists(self, user: str) -> bool:
        return user in self.accounts

    def can_enter(self, path: Path, user: str) -> bool:  # noqa: ARG002
        return True

    def alive(self, pid: int) -> bool:
        return pid in self.processes

    def command_line(self, pid: int) -> str:
        return self.processes.get(pid, "")

    def signal(self, pid: int, name: str, *, tree: bool = False) -> None:  # noqa: ARG002
        self.signals.append((pid, name))

    def free_ports(self, count: int) -> int:
        return next(b for b in range(20000, 30000, count) if not any(b + n in self.ports for n in range(count)))

    def process_memory(self, pid: int) -> int:
        return 1024 if pid in self.processes else 0

    def holders(self, path: Path) -> list[int]:
        return self.lock_holders.get(path, [])

    def port_owner(self, port: int) -> str | None:
        return self.ports.get(port)

    def addresses(self) -> list[str]:
        return []

    def accepts(self, address: str, port: int) -> bool:  # noqa: ARG002
        return port in self.ports

    def connections_to(self, ports: Sequence[int]) -> set[tuple[int, int]]:  # noqa: ARG002
        return set()

    @contextlib.contextmanager
    def locked(self, path: Path, holder: str) -> Iterator[None]:
        if self.locked_by:
            raise BusyError(f"another command is at work on this stack: {self.locked_by}")
        self.files[path] = holder
        yield
