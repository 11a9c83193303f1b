"""What is wrong with an image or a container: sentences, none where nothing is. Pure, but for the reading of an image's files."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from neurmatic.runtimes.containers.engine import Engine

COMPILERS = {"cc", "gcc", "c++", "g++", "clang", "cc1", "as", "ld", "make", "cmake", "cargo", "rustc", "go", "tcc"}
BUILDERS = {"uv", "hatchling"}
"""What no official image has; pip and npm come with those of Python and Node."""
TOOL = {"neurmatic"}
DEVELOPMENT = {"pytest", "ruff", "mypy", "coverage", "watchfiles", "hatchling", "editables", "neurmatic", "playwright"}
_STAGE = re.compile(r"^FROM\s+\S+(?:\s+AS\s+(\S+))?\s*$", re.IGNORECASE | re.MULTILINE)
_SETTING = re.compile(r"^ARG\s+(VITE_\w+)=(\S+)\s*$", re.MULTILINE)


def stages(dockerfile: str) -> list[str]:
    """Names of a Dockerfile's stages; of those that have one."""
    return [name for name in _STAGE.findall(dockerfile) if name]


def settings(dockerfile: str) -> dict[str, str]:
    """What the site's build is told, by the variable's name."""
    return {name: value.strip("\"'") for name, value in _SETTING.findall(dockerfile)}


def content_problems(engine: Engine, image: str) -> list[str]:
    """Programs, packages and tests that have no place in production."""
    with engine.files(image) as archive:
        return sorted(set(_unwanted((PurePosixPath("/", one.name), one.mode) for one in archive)))


def _unwanted(found: Iterable[tuple[PurePosixPath, int]]) -> Iterator[str]:
    for path, mode in found:
        if mode & 0o111 and path.name in COMPILERS | BUILDERS | TOOL and path.suffix == "" and "bin" in path.parts:
            yield f"program {path}"
        if path.suffix == ".dist-info" and path.name.partition("-")[0].lower() in DEVELOPMENT:
            yield f"package {path.name.removesuffix('.dist-info')}"
        if (
            path.name.startswith("test_")
            and path.suffix == ".py"
            and "site-packages" not in path.parts
            and "usr" not in path.parts
        ):
            yield f"test {path}"


def is_unprivileged(user: str) -> bool:
    """Whether it is an account by its number, and not root's."""
    account = user.partition(":")[0]
    return account.isdigit() and int(account) > 0


def container_problems(said: Mapping[str, Any]) -> list[str]:
    """Of what the engine says of a container: more rights than it needs."""
    host = said["HostConfig"]
    wrong = {
        "it runs as root": not is_unprivileged(said["Config"]["User"]),
        "it is privileged": host["Privileged"],
        "it has capabilities": host["CapDrop"] != ["ALL"] or host["CapAdd"],
        "it may gain privileges": "no-new-privileges:true" not in (host["SecurityOpt"] or []),
        "its root can be written to": not host["ReadonlyRootfs"],
    }
    return [words for words, holds in wrong.items() if holds]


def limit_problems(said: Mapping[str, Any], memory: int, cpus: float) -> list[str]:
    """Of what the engine says of a container: other limits than these, bytes and processors."""
    host = said["HostConfig"]
    wrong = {
        f"memory is limited to {host['Memory']} bytes, not {memory}": host["Memory"] != memory,
        f"{host['NanoCpus'] / 1e9:g} processors, not {cpus:g}": abs(host["NanoCpus"] / 1e9 - cpus) > 0.001,  # noqa: PLR2004  rounding
        "no limit of processes": (host["PidsLimit"] or 0) <= 0,
    }
    return [words for words, holds in wrong.items() if holds]
