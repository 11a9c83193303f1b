"""A release: the files of one version in a folder of their own, complete or not there."""

import hashlib
import os
import sys
from pathlib import Path

from neurmatic.errors import CommandError, ConfigurationError
from neurmatic.hosts.base import Host
from neurmatic.stack.layout import SYSTEM_PATH, Layout
from neurmatic.stack.release import Release

COMPLETE = ".complete"
COMMIT = ".commit"
"""Names the commit that a release was made of, where it was asked for by a git reference."""
_LEFT_OUT = frozenset({"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"})
"""Of another environment, or of another repository: a git hook that deploys has them."""
SPARE_BYTES = 200_000_000
"""Space that must stay free after a release was copied: a full disk stops databases, not just deploys."""


def identify(host: Host, release: Release, project: Path) -> str:
    """The release's name, ``VERSION-DIGEST``: the same files and build commands are the same release.

    Raises:
        ConfigurationError: a file of the release does not exist.
    """
    if not release.files:
        return release.version
    missing = [name for name in release.files if not host.exists(project / name)]
    if missing:
        raise ConfigurationError(
            f"release.files: not found in {project}: {', '.join(missing)}",
            "build them first (here: make build; in a checkout `[release] make` does it)",
        )
    total = hashlib.sha256(repr(release.build).encode())
    for name in release.files:
        total.update(f"{name}={host.digest(project / name)}\n".encode())
    return f"{release.version}-{total.hexdigest()[:8]}"


def is_complete(host: Host, layout: Layout, name: str) -> bool:
    """Whether this release was made to its end."""
    return host.exists(layout.release(name) / COMPLETE)


def make(host: Host, layout: Layout, release: Release, name: str) -> None:
    """Copy the files and run the build commands; an earlier attempt that was cut off is cleared away first.

    Raises:
        CommandError: a build command failed; the unfinished folder is removed.
    """
    folder = layout.release(name)
    needed = sum(host.folder_bytes(layout.sources / file) for file in release.files) + SPARE_BYTES
    if (free := host.free_bytes(layout.state)) < needed:
        raise ConfigurationError(
            f"{layout.state}: {free // 10**6} MB free, a release needs {needed // 10**6} MB",
            "free some space and run the command again",
        )
    host.remove(folder)
    host.make_folder(folder)
    env = build_environment(name)
    try:
        for file in release.files:
            host.copy(layout.sources / file, folder / file)
        for command in release.build:
            host.run(command, env=env, cwd=folder, timeout=release.timeout)
    except CommandError as error:
        host.remove(folder)
        raise CommandError(
            f"building the release {name}: {error}", "nothing was changed; correct the cause and run the command again"
        ) from error
    except BaseException:
        host.remove(folder)
        raise
    host.write(folder / COMPLETE, "")


def note_commit(host: Host, layout: Layout, name: str, commit: str) -> None:
    """Keep with the release which commit its files are of; where several have the same, the last one that was deployed."""
    host.write(layout.release(name) / COMMIT, commit + "\n")


def commit_of(host: Host, layout: Layout, name: str) -> str:
    """The commit that the release's files are of; empty when it isn't known."""
    return (host.read(layout.release(name) / COMMIT) or "").strip()


def build_environment(name: str) -> dict[str, str]:
    """What the commands of a release's build get."""
    return making_environment() | {"NEURMATIC_RELEASE": name}


def making_environment() -> dict[str, str]:
    """The operator's own environment (a build may need proxies and caches), with the system's programs and the tool's."""
    kept = {key: value for key, value in os.environ.items() if key not in _LEFT_OUT}
    return kept | {"PATH": f"{SYSTEM_PATH}:{Path(sys.executable).parent}"}
