"""Programs in a row, each reading what the one before wrote; its end is believed only when every one ended with 0."""

import contextlib
import os
import pwd
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Protocol

from neurmatic.errors import CommandError
from neurmatic.stack.layout import SYSTEM_PATH

CHUNK = 1 << 20
PIPE = 1 << 18
"""Bytes that wait between two programs: four times what is usual, so that they take turns less often."""


class Source(Protocol):
    """Where bytes come from. It raises, instead of ending, when it is not whole."""

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True)
class Program:
    """One program of a pipeline. `user` is the account it runs as, where this process may choose."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None

    @property
    def name(self) -> str:
        return self.argv[0].rpartition("/")[2]


class Pipeline:
    """Running programs. `read` gives what the last one writes, and fails where others would see an end.

    A dump that ends early looks to its reader like a whole one: the end of what it wrote. So at that end the exit codes
    are asked for first; whoever reads to the end of this has read everything, or got an error.
    """

    def __init__(self, programs: Sequence[Program], source: Source | None) -> None:
        self._programs = programs
        self._running: list[subprocess.Popen[bytes]] = []
        self._said: list[IO[bytes]] = []
        self._feeder: threading.Thread | None = None
        self._unfed: BaseException | None = None
        for program in programs:
            self._start(program, subprocess.PIPE if source else subprocess.DEVNULL)
        self._out = self._running[-1].stdout
        if source:
            self._feeder = threading.Thread(target=self._feed, args=(source,), daemon=True)
            self._feeder.start()

    def _start(self, program: Program, first_input: int) -> None:
        before = self._running[-1] if self._running else None
        account = pwd.getpwnam(program.user) if program.user and os.geteuid() == 0 else None
        said = tempfile.TemporaryFile()  # noqa: SIM115  open as long as the program runs
        self._said.append(said)
        try:
            one = subprocess.Popen(
                list(program.argv),
                env={"PATH": SYSTEM_PATH, **program.env},
                cwd="/",
                stdin=before.stdout if before else first_input,
                stdout=subprocess.PIPE,
                stderr=said,
                pipesize=PIPE,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )
        except (FileNotFoundError, PermissionError) as error:
            self.kill()
            raise CommandError(f"{program.argv[0]}: {error.strerror}") from None
        if before and before.stdout:
            before.stdout.close()  # the programs' own: so that one hears of the other's end
        self._running.append(one)

    def _feed(self, source: Source) -> None:
        target = self._running[0].stdin
        assert target is not None  # noqa: S101  as it was started
        try:
            while chunk := source.read(CHUNK):
                target.write(chunk)
        except BrokenPipeError:
            pass  # the program ended first; its exit code says whether that was right
        except BaseException as error:  # noqa: BLE001  raised where the pipeline is read
            self._unfed = error
            self.kill()
        finally:
            with contextlib.suppress(OSError):
                target.close()

    def read(self, size: int = CHUNK) -> bytes:
        """Up to `size` bytes; empty at the end.

        Raises:
            CommandError: a program did not end with 0; or whatever the source raised.
        """
        data = self._out.read(size) if self._out else b""
        if not data and size:
            self._settle()
        return data

    def drain(self) -> None:
        """Read to the end, and forget it: for programs that write nothing of interest."""
        while self.read():
            pass

    def _settle(self) -> None:
        if self._feeder:
            self._feeder.join()
        codes = [one.wait() for one in self._running]
        if self._unfed:
            raise self._unfed
        # The first that failed by itself: those before it die of a pipe that nobody reads any more.
        for program, code, said in zip(self._programs, codes, self._said, strict=True):
            if code not in (0, -13):
                said.seek(0)
                words = said.read().decode(errors="replace").strip().splitlines()[-8:]
                raise CommandError(f"{program.name} ended with {code}: " + ("\n  ".join(words) or "it said nothing"))
        if any(codes):
            raise CommandError(f"{self._programs[0].name} was cut off")

    def kill(self) -> None:
        """End whatever still runs."""
        for one in self._running:
            if one.poll() is None:
                one.kill()
        for one in self._running:
            one.wait()

    def close(self) -> None:
        self.kill()
        for said in self._said:
            said.close()
        if self._out:
            self._out.close()


@contextlib.contextmanager
def pipeline(programs: Sequence[Program], source: Source | None = None) -> Iterator[Pipeline]:
    """Run programs in a row, the first reading `source`; whatever happens, none is left when this ends."""
    running = Pipeline(programs, source)
    try:
        yield running
    finally:
        running.close()
