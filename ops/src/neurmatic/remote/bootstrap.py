"""Bring this tool, in this build, to a Debian server: its packages, its environment, its place on PATH; and an engine, if asked."""

import contextlib
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from neurmatic import __version__
from neurmatic.errors import NeurmaticError
from neurmatic.hosts.base import Host
from neurmatic.hosts.ssh import Connection, connected
from neurmatic.remote.build import build_digest
from neurmatic.remote.engine import bring_engine, start_engine
from neurmatic.remote.scripts import carry_out, text_of
from neurmatic.remote.session import hello
from neurmatic.remote.wheels import REQUIREMENTS, WHEELS, Machine, gather

FOLDER = f"/opt/neurmatic/{__version__}-"
PYTHON = ("python3:python3", "/usr/lib/python3.*/ensurepip:python3-venv")
OLDEST_PYTHON = (3, 11)
FACTS = "id -u; command -v apt-get || echo no"
MACHINE = (
    "import os, platform, sys; "
    'print("%d.%d" % sys.version_info[:2], platform.machine(), os.confstr("CS_GNU_LIBC_VERSION"))'
)


def bootstrap(host: Host, destination: str, say: Callable[[str], None], *, acme: bool, containers: bool) -> bool:
    """Install what is missing there; False where nothing was.

    Each step may be cut off, and is done again by the next run; what is on PATH there is switched by the last.

    Args:
        host: this machine.
        destination: the server, as ssh takes it.
        say: hears of each step.
        acme: bring an ACME client.
        containers: bring a container engine.

    Raises:
        NeurmaticError: no root there, no Debian, or a step failed; with what to do.
    """
    with connected(destination) as there:
        _check(there)
        _packages(there, acme=acme)
        changed = not _is_current(there)
        if changed:
            _bring_tool(host, there, say)
        if containers:
            changed = bring_engine(host, there) or changed
            if not start_engine(there):
                say(f"! the container engine doesn't answer at {destination} yet: start it there before the stack")
        return changed


def _bring_tool(host: Host, there: Connection, say: Callable[[str], None]) -> None:
    machine = _machine(there)
    with tempfile.TemporaryDirectory(prefix="neurmatic-") as place:
        folder = Path(place)
        say(f"gathering the tool {__version__} for Python {machine.python} on {machine.architecture}")
        gather(host, machine, folder)
        megabytes = host.folder_bytes(folder) / 1e6
        say(f"sending it to {there.destination}: {megabytes:.0f} MB")
        carry_out(there, "install-tool", FOLDER + build_digest(), write=lambda target: _pack(folder, target))
    hello(there, Path("/"), ())


def _check(there: Connection) -> None:
    user, apt = there.run(["sh", "-c", FACTS]).out.split()
    if user != "0":
        raise NeurmaticError(
            f"{there.destination}: bootstrap needs root there",
            "log in as root, or let this account use sudo without a password",
        )
    if apt == "no":
        raise NeurmaticError(f"{there.destination}: there is no apt-get", "bootstrap knows Debian and its derivatives")


def _packages(there: Connection, *, acme: bool) -> None:
    wanted = [*text_of("packages.txt").split(), *PYTHON, *(["lego:lego"] if acme else [])]
    carry_out(there, "install-packages", *wanted)


def _is_current(there: Connection) -> bool:
    with contextlib.suppress(NeurmaticError):
        return bool(hello(there, Path("/"), ()))
    return False


def _machine(there: Connection) -> Machine:
    python, architecture, _, glibc = there.run(["python3", "-c", MACHINE]).out.split()
    if tuple(map(int, python.split("."))) < OLDEST_PYTHON:
        raise NeurmaticError(
            f"{there.destination} has Python {python}; the tool needs 3.11", "Debian 12 and newer have it"
        )
    return Machine(python, architecture, int(glibc.split(".")[1]))


def _pack(folder: Path, target: IO[bytes]) -> None:
    # Wheels are compressed already.
    with tarfile.open(fileobj=target, mode="w|") as tar:
        for name in (REQUIREMENTS, WHEELS):
            tar.add(folder / name, name)
