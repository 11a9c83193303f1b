"""The tool and all that it needs as wheels, for another machine: gathered here, so that it needs no package index there."""

import sys
from dataclasses import dataclass
from pathlib import Path

from neurmatic.errors import CommandError, NeurmaticError
from neurmatic.hosts.base import Host
from neurmatic.remote.build import PACKAGE

BESIDE = Path(sys.prefix)
"""Where `install-tool` leaves what it installed from: from there the tool can be brought to the next machine."""
REQUIREMENTS = "requirements.txt"
WHEELS = "wheels"
OLDEST_GLIBC = 17
"""Manylinux tags begin with glibc 2.17."""


@dataclass(frozen=True)
class Machine:
    """What decides which wheels fit: Python (``3.11``), architecture (``x86_64``), minor version of glibc 2."""

    python: str
    architecture: str
    glibc: int

    @property
    def platforms(self) -> list[str]:
        tags = [f"manylinux_2_{minor}" for minor in range(self.glibc, OLDEST_GLIBC - 1, -1)]
        return [f"{tag}_{self.architecture}" for tag in (*tags, "manylinux2014", "linux")]


def gather(host: Host, machine: Machine, folder: Path) -> None:
    """Put ``requirements.txt`` and ``wheels`` into this folder.

    Raises:
        NeurmaticError: they can't be made here; with what to do.
    """
    host.make_folder(folder / WHEELS)
    repository = PACKAGE.parents[2]
    if host.exists(repository / "ops" / "pyproject.toml"):
        _build(host, repository, folder)
        kept = None
    elif host.exists(BESIDE / REQUIREMENTS):
        kept = BESIDE / WHEELS
        host.copy(BESIDE / REQUIREMENTS, folder / REQUIREMENTS)
        for name in host.names(kept):
            if name.startswith("neurmatic-"):
                host.copy(kept / name, folder / WHEELS / name)
    else:
        raise NeurmaticError(
            "this tool was installed without what it was built from",
            "run `neurmatic bootstrap` in a clone of the repository, or on a server that it made",
        )
    if not (kept and _downloaded(host, machine, folder, ["--no-index", "--find-links", str(kept)])):
        _download(host, machine, folder, [])


def _build(host: Host, repository: Path, folder: Path) -> None:
    build = ["build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir"]
    uv = str(Path(sys.executable).with_name("uv"))
    host.run([uv, *build, str(folder / WHEELS), str(repository / "ops")], timeout=300)
    # uv too: releases are built with it.
    texts = [host.read(repository / "requirements" / name) or "" for name in ("ops.txt", "uv.txt")]
    host.write(folder / REQUIREMENTS, "".join(texts))


def _downloaded(host: Host, machine: Machine, folder: Path, source: list[str]) -> bool:
    try:
        _download(host, machine, folder, source)
    except CommandError:
        return False
    return True


def _download(host: Host, machine: Machine, folder: Path, source: list[str]) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    fitting = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", machine.python]
    platforms = [word for one in machine.platforms for word in ("--platform", one)]
    hashed = ["--require-hashes", "--requirement", str(folder / REQUIREMENTS), "--dest", str(folder / WHEELS)]
    try:
        host.run([*pip, *fitting, *platforms, *source, *hashed], timeout=900)
    except CommandError as error:
        raise CommandError(
            f"the tool's packages for Python {machine.python} on {machine.architecture}: {error}",
            "see that the package index is reachable from here; nothing was changed there",
        ) from error
