"""This machine, as a host."""

import contextlib
import errno
import fcntl
import hashlib
import os
import pwd
import shutil
import signal as signals
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from neurmatic.errors import BusyError, CommandError, NeurmaticError
from neurmatic.hosts import processes
from neurmatic.hosts.base import Result
from neurmatic.hosts.interrupts import are_held_back
from neurmatic.hosts.pipeline import Pipeline, Program, Source, pipeline
from neurmatic.stack.layout import SYSTEM_PATH


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the system refuses into a sentence that says what to do."""
    try:
        yield
    except OSError as error:
        hints = {
            errno.ENOSPC: "free some space and run the command again; nothing was half written",
            errno.EACCES: "run as the account that owns the folder, or as root",
            errno.EROFS: "choose another state folder with --state",
        }
        raise NeurmaticError(f"{path}: {error.strerror}", hints.get(error.errno or 0, "")) from error


class LocalHost:
    """The machine this process runs on."""

    def run(  # noqa: PLR0913  as Host.run
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
        account = pwd.getpwnam(user) if user and self.is_root() else None
        try:
            done = subprocess.run(
                list(argv),
                env=None if env is None else {"PATH": SYSTEM_PATH, **env},
                cwd=cwd,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
                input=stdin,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
                process_group=0 if are_held_back() else None,
            )
        except FileNotFoundError as error:
            raise CommandError(
                f"{error.filename}: not found", f"install it, or correct the command: {' '.join(argv)}"
            ) from None
        except PermissionError as error:
            raise CommandError(f"{error.filename}: not allowed for {user or 'this account'}") from None
        except subprocess.TimeoutExpired:
            raise CommandError(f"{argv[0]} did not end within {timeout:g} s") from None
        result = Result(done.returncode, done.stdout, done.stderr)
        if check and not result.ok:
            said = (result.err.strip() or result.out.strip()).splitlines()[-12:]
            raise CommandError(f"{' '.join(argv[:3])} … ended with {result.code}:\n  " + "\n  ".join(said))
        return result

    def pipeline(
        self, programs: Sequence[Program], source: Source | None = None
    ) -> contextlib.AbstractContextManager[Pipeline]:
        return pipeline(programs, source)

    @contextlib.contextmanager
    def reading(self, path: Path) -> Iterator[BinaryIO]:
        with _explained(path), path.open("rb") as file:
            yield file

    @contextlib.contextmanager
    def writing(self, path: Path, *, mode: int, owner: str | None = None) -> Iterator[BinaryIO]:
        with _explained(path), self._replacing(path, mode, owner) as descriptor, os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())

    def spawn(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> None:
        with log.open("ab") as output:
            subprocess.Popen(  # it outlives this process on purpose
                list(argv),
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def read(self, path: Path) -> str | None:
        with _explained(path):
            try:
                return path.read_text(encoding="utf-8")
            except (FileNotFoundError, NotADirectoryError):
                return None

    def tail(self, path: Path, most: int) -> str:
        with _explained(path):
            try:
                with path.open("rb") as file:
                    begin = max(0, file.seek(0, os.SEEK_END) - most)
                    file.seek(max(0, begin - 1))
                    if begin:
                        file.readline()  # to the end of the line that begins before
                    return file.read(most).decode(errors="replace")
            except FileNotFoundError:
                return ""

    def modified(self, path: Path) -> float | None:
        with _explained(path):
            try:
                return path.stat().st_mtime
            except FileNotFoundError:
                return None

    def write(self, path: Path, text: str, *, mode: int = 0o644, owner: str | None = None) -> None:
        with self.writing(path, mode=mode, owner=owner) as file:
            file.write(text.encode())

    @contextlib.contextmanager
    def _replacing(self, path: Path, mode: int, owner: str | None) -> Iterator[int]:
        """A descriptor of a file that takes this place at the end."""
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600 until the end
        try:
            yield descriptor
            self._own(Path(temporary), owner)
            Path(temporary).chmod(mode)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def append(self, path: Path, text: str, *, mode: int = 0o600) -> None:
        with _explained(path):
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, mode)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())

    def exists(self, path: Path) -> bool:
        with _explained(path):
            return path.exists()

    def is_folder(self, path: Path) -> bool:
        with _explained(path):
            return path.is_dir()

    def size(self, path: Path) -> int:
        with _explained(path):
            return path.stat().st_size if path.exists() else 0

    def names(self, path: Path) -> list[str]:
        with _explained(path):
            return sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []

    def make_folder(self, path: Path, *, mode: int = 0o755, owner: str | None = None) -> None:
        with _explained(path):
            path.mkdir(parents=True, exist_ok=True)
            if stat.S_IMODE(path.stat().st_mode) != mode:
                path.chmod(mode)
            self._own(path, owner)

    def copy(self, source: Path, target: Path) -> None:
        with _explained(source):
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info"))
            else:
                shutil.copy2(source, target)

    def rename(self, source: Path, target: Path) -> None:
        with _explained(target):
            source.rename(target)

    def link(self, target: Path, path: Path) -> None:
        with _explained(path):
            path.symlink_to(target)

    def remove(self, path: Path) -> None:
        with _explained(path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def folder_bytes(self, path: Path) -> int:
        total = 0
        for folder, _, names in os.walk(path):
            for name in names:
                with contextlib.suppress(OSError):
                    total += (Path(folder) / name).lstat().st_size
        return total

    def digest(self, path: Path) -> str:
        total = hashlib.sha256()
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file() and not _derived(p))
        for file in files:
            with _explained(file):
                total.update(f"{file.relative_to(path)}\0".encode())
                total.update(hashlib.sha256(file.read_bytes()).digest())
        return total.hexdigest()

    def free_bytes(self, path: Path) -> int:
        while not path.exists():
            path = path.parent
        return shutil.disk_usage(path).free

    def disk_used_percent(self, path: Path) -> float:
        usage = shutil.disk_usage(path)
        return 100 * usage.used / (usage.used + usage.free)

    def memory_bytes(self) -> tuple[int, int]:
        return processes.machine_memory()

    def which(self, program: str) -> str | None:
        return shutil.which(program, path=SYSTEM_PATH)

    def is_root(self) -> bool:
        return os.geteuid() == 0

    def account(self, user: str | None) -> str:
        if user is None:
            return f"{os.geteuid()}:{os.getegid()}"
        one = pwd.getpwnam(user)
        return f"{one.pw_uid}:{one.pw_gid}"

    def account_exists(self, user: str) -> bool:
        try:
            pwd.getpwnam(user)
        except KeyError:
            return False
        return True

    def can_enter(self, path: Path, user: str) -> bool:
        return self.run(
            ["test", "-r", str(path), "-a", "-x", str(path)], user=user, check=False, env={}, cwd=Path("/")
        ).ok

    def alive(self, pid: int) -> bool:
        return processes.is_alive(pid)

    def command_line(self, pid: int) -> str:
        return processes.command_line(pid)

    def signal(self, pid: int, name: str, *, tree: bool = False) -> None:
        for one in processes.tree(pid) if tree else [pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signals.Signals[f"SIG{name}"])

    def free_ports(self, count: int) -> int:
        return processes.free_ports(count)

    def process_memory(self, pid: int) -> int:
        return sum(processes.memory_bytes(one) for one in processes.tree(pid))

    def holders(self, path: Path) -> list[int]:
        return processes.holders(path)

    def port_owner(self, port: int) -> str | None:
        return processes.listener(port)

    def addresses(self) -> list[str]:
        return processes.addresses()

    def accepts(self, address: str, port: int) -> bool:
        return processes.accepts(address, port)

    def connections_to(self, ports: Sequence[int]) -> set[tuple[int, int]]:
        return processes.connections_to(ports)

    @contextlib.contextmanager
    def locked(self, path: Path, holder: str) -> Iterator[None]:
        with contextlib.ExitStack() as held:
            with _explained(path):  # only this: what the block under the lock raises is not about the lock's file
                file = held.enter_context(path.open("a+", encoding="utf-8"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise BusyError(
                    f"another command is at work on this stack: {file.read().strip() or 'unknown'}",
                    "wait until it has ended; the lock ends with its process, so there is nothing to clean up",
                ) from None
            with _explained(path):
                file.truncate(0)
                file.write(holder)
                file.flush()
            yield

    def _own(self, path: Path, owner: str | None) -> None:
        if owner and self.is_root():
            account = pwd.getpwnam(owner)
            if path.stat().st_uid != account.pw_uid:
                os.chown(path, account.pw_uid, account.pw_gid)


def _derived(path: Path) -> bool:
    """Whether a file is made from others: it changes without a change of the project."""
    return path.suffix == ".pyc" or any(part == "__pycache__" or part.endswith(".egg-info") for part in path.parts)
