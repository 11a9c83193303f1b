"""A command that outlives the connection over which it was asked for: in a session of its own, its output in files.

Its keeper is a shell that waits for it and writes its exit code; terminal multiplexers keep no exit code, mix the two
outputs, and attach only to terminals. Whoever shows the output only reads the files, so nobody's end ends the command.
Its input is that of who started it: a question that it asks is answered there, and by nobody once that has gone.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import BinaryIO

from neurmatic.errors import ConfigurationError, NeurmaticError

# A signal for the group comes to both: the command does what it does on Ctrl-C, the keeper waits and writes the code.
KEEPER = 'trap : INT TERM; echo $$ >"$0/pid"; "$@"; echo $? >"$0/code.new"; mv "$0/code.new" "$0/code"'
MOST = 20
POLL = 0.05


class Kept:
    """One command, and the folder that tells of it: its words, `out`, `err`, the keeper's `pid`, at the end its `code`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def words(self) -> str:
        return (self.folder / "words").read_text(encoding="utf-8")

    @property
    def code(self) -> int | None:
        """The exit code; None until the command has ended."""
        try:
            return int((self.folder / "code").read_text())
        except FileNotFoundError:
            return None

    def is_running(self) -> bool:
        """Whether the command or its keeper lives: one of them holds the lock as long as it does."""
        with (self.folder / "lock").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def signal(self, name: str) -> None:
        """Send ``INT`` or ``TERM`` to the command and what it started, as a terminal does; one that ended is fine."""
        with contextlib.suppress(ProcessLookupError, FileNotFoundError, ValueError):
            if self.is_running():
                os.killpg(int((self.folder / "pid").read_text()), signal.Signals[f"SIG{name}"])

    def follow(self) -> int:
        """Show the output from its beginning, as it comes; returns the exit code. Signals go to the command.

        Raises:
            NeurmaticError: the command was killed, and its end isn't known.
        """
        with self._hearing(), (self.folder / "out").open("rb") as out, (self.folder / "err").open("rb") as err:
            pairs = ((out, sys.stdout.buffer), (err, sys.stderr.buffer))
            going = True
            while going:
                going = self.is_running()  # asked before the last look, so that nothing written before is missed
                if not sum(_moved(source, target) for source, target in pairs) and going:
                    time.sleep(POLL)
        if self.code is None:
            raise NeurmaticError(
                f"`{self.words}` was killed before its end", "run it again: it takes up where it was cut off"
            )
        return self.code

    @contextlib.contextmanager
    def _hearing(self) -> Iterator[None]:
        """What this process is told by signals is for the command."""

        def forward(number: int, _frame: FrameType | None) -> None:
            self.signal(signal.Signals(number).name.removeprefix("SIG"))

        before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _moved(source: BinaryIO, target: BinaryIO) -> int:
    data = source.read(1 << 20)
    if data:
        target.write(data)
        target.flush()
    return len(data)


def start(  # noqa: PLR0913  all by keyword but where it is kept and what it is
    place: Path, argv: Sequence[str], *, name: str, words: str, cwd: Path, together: bool
) -> Kept:
    """Start a command whose record lies under `place`; with `together`, both outputs are one, in their order.

    Raises:
        ConfigurationError: there is a command of this name already.
    """
    place.mkdir(mode=0o700, exist_ok=True)
    _clear(place)
    kept = Kept(place / name)
    try:
        kept.folder.mkdir(mode=0o700)
    except FileExistsError:
        raise ConfigurationError(f"{name} was started already") from None
    (kept.folder / "words").write_text(words, encoding="utf-8")
    (kept.folder / "err").touch()
    with contextlib.ExitStack() as files:
        out, err, lock = (files.enter_context((kept.folder / part).open("ab")) for part in ("out", "err", "lock"))
        fcntl.flock(lock, fcntl.LOCK_EX)  # the keeper's and the command's from here on
        subprocess.Popen(  # it outlives this process on purpose
            ["sh", "-c", KEEPER, str(kept.folder), *argv],
            stdout=out,
            stderr=out if together else err,
            cwd=cwd,
            start_new_session=True,
            pass_fds=[lock.fileno()],
        )
    return kept


def every(place: Path) -> list[Kept]:
    """All commands on record, the oldest first."""
    return [Kept(folder) for folder in sorted(_folders(place), key=lambda one: (one / "words").stat().st_mtime)]


def _folders(place: Path) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError):
        yield from (entry for entry in place.iterdir() if (entry / "words").exists())


def _clear(place: Path) -> None:
    ended = [kept for kept in every(place) if not kept.is_running()]
    for kept in ended[: max(0, len(ended) - MOST + 1)]:
        shutil.rmtree(kept.folder)
