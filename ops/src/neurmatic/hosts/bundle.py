"""Files of a project as one stream: sent to another machine, and put in place there only when all of it has come."""

import contextlib
import fcntl
import gzip
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from neurmatic.errors import NeurmaticError

COMING = ".coming"
BEFORE = "before-"
"""What the files that came last replaced, in a folder of this name with their digest behind."""


def pack(project: Path, names: Sequence[str], target: IO[bytes], *, renamed: tuple[Path, str] | None = None) -> None:
    """Write these files and folders of the project as a compressed tar; `renamed` is one file under another name."""
    packed = gzip.GzipFile(fileobj=target, mode="wb", compresslevel=3)
    with packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        _fill(tar, project, names, renamed, timed=True)


def digest(project: Path, names: Sequence[str], *, renamed: tuple[Path, str] | None = None) -> str:
    """SHA-256 over names, modes and contents: equal where `pack` would bring nothing new. Empty where one is missing."""
    total = _Digest()
    try:
        with tarfile.open(fileobj=total, mode="w|") as tar:
            _fill(tar, project, names, renamed, timed=False)
    except FileNotFoundError:
        return ""
    return total.hexdigest()


def unpack(source: IO[bytes], project: Path, names: Sequence[str], wanted: str) -> None:
    """Read what `pack` wrote, and put it in the places of what was there, the last name last.

    A stream that was cut off changes nothing. Files of the project that aren't named stay as they are. What was replaced
    is kept until other files come, so that `put_back` can bring it back.

    Raises:
        NeurmaticError: what came isn't what was sent.
    """
    coming = project / COMING
    coming.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone_in(coming):
        new, old = coming / "new", coming / "old"
        for left in (new, old):  # by a transfer whose end was a power cut
            shutil.rmtree(left, ignore_errors=True)
            left.mkdir()
        # The system's tar, which keeps members inside: Debian 12's Python can't yet.
        argv = ["tar", "--extract", "--gzip", "--no-same-owner", "--directory", str(new)]
        subprocess.run(argv, stdin=source, stderr=subprocess.DEVNULL, check=False)  # the digest says whether it came
        whole = digest(new, names) == wanted
        for number, name in enumerate(names if whole else ()):
            _exchange(new / name, project / name, old / str(number))
        shutil.rmtree(new)
        if whole:
            for left in coming.glob(f"{BEFORE}*"):
                shutil.rmtree(left)
            old.rename(coming / f"{BEFORE}{wanted}")
        else:
            old.rmdir()
    if not whole:
        raise NeurmaticError("what came is not what was sent", "nothing was changed; run the command again")


def put_back(project: Path, names: Sequence[str], wanted: str) -> None:
    """Bring back what the files of this digest replaced when they came. What was new with them stays.

    Nothing happens where the project's files are others by now.
    """
    coming = project / COMING
    before = coming / f"{BEFORE}{wanted}"
    if not before.exists():
        return
    with _alone_in(coming):
        if digest(project, names) == wanted:
            gone = coming / "old"
            shutil.rmtree(gone, ignore_errors=True)
            gone.mkdir()
            for number, name in enumerate(names):
                if os.path.lexists(before / str(number)):
                    _exchange(before / str(number), project / name, gone / str(number))
            shutil.rmtree(gone)
            shutil.rmtree(before)


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """One transfer at a time: another one waits."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _exchange(new: Path, place: Path, old: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir() and not place.is_symlink():
        place.rename(old)  # a file takes a file's place by itself, but no folder's
    elif os.path.lexists(place):  # a link that leads nowhere, too
        os.link(place, old, follow_symlinks=False)
        if new.is_dir():
            place.unlink()
    new.replace(place)


def _fill(
    tar: tarfile.TarFile, project: Path, names: Sequence[str], renamed: tuple[Path, str] | None, *, timed: bool
) -> None:
    for name in names:
        path = renamed[0] if renamed and name == renamed[1] else project / name
        for member, inside in _members(path, name):
            info = tar.gettarinfo(member, inside)
            info.uid = info.gid = 0
            info.mtime = int(info.mtime) if timed else 0  # nginx tells a file's versions apart by their times
            info.uname = info.gname = ""
            info.mode = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
            if info.isreg():
                with member.open("rb") as file:
                    tar.addfile(info, file)
            else:
                tar.addfile(info)


def _members(path: Path, name: str) -> Iterator[tuple[Path, str]]:
    """A file, or a folder with all that is in it, in one order everywhere; what Python makes by itself is left out."""
    yield path, name
    if path.is_dir() and not path.is_symlink():
        for entry in sorted(one.name for one in path.iterdir()):
            if entry != "__pycache__" and not entry.endswith(".pyc"):
                yield from _members(path / entry, f"{name}/{entry}")


class _Digest(io.RawIOBase):
    """A file that keeps only the digest of what is written to it."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()

    def write(self, data: Any, /) -> int:
        self._sha.update(data)
        return len(data)

    def hexdigest(self) -> str:
        return self._sha.hexdigest()
