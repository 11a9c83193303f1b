"""The shell scripts of this package, carried out on a server that ssh reaches."""

from collections.abc import Callable
from importlib.resources import files
from typing import IO

from neurmatic.errors import NeurmaticError
from neurmatic.hosts.ssh import CUT, Connection
from neurmatic.remote.session import CutError


def text_of(name: str) -> str:
    """A file of this package."""
    return files("neurmatic.remote").joinpath(name).read_text(encoding="utf-8")


def carry_out(there: Connection, name: str, *words: str, write: Callable[[IO[bytes]], None] | None = None) -> None:
    """Run a script there, what it says shown here as progress, `write` giving what it reads.

    Raises:
        NeurmaticError: it failed, or the connection was cut.
    """
    code = there.show(["sh", "-c", text_of(name), name, *words], write)
    if code == CUT:
        raise CutError(f"{there.destination}: the connection was cut", "run it again; it goes on where it was")
    if code:
        raise NeurmaticError(f"{there.destination}: {name} failed", "see what it said, and run the command again")
