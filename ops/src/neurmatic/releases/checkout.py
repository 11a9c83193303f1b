"""A release from a git reference: its commit checked out into a folder of its own, and the release's files made there.

The folder is there while the release goes live, and gone afterwards. What a command that was killed has left is cleared away by the next.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from neurmatic.errors import CommandError, ConfigurationError
from neurmatic.hosts.base import Host, Result
from neurmatic.hosts.interrupts import held_back
from neurmatic.releases.release import making_environment
from neurmatic.releases.up import Up
from neurmatic.stack.layout import Layout

NOTHING_CHANGED = "nothing was changed; correct the cause and run the command again"


@contextmanager
def checked_out(up: Up, reference: str) -> Iterator[tuple[Up, str]]:
    """The same stack, whose next release consists of the files of a commit; and that commit. Without a reference: as it is, and none.

    The stack's lock is held by who calls it.

    Raises:
        ConfigurationError: there is no such commit, or the stack makes no releases of files.
        CommandError: the files could not be made.
    """
    if not reference:
        yield up, ""
        return
    if not up.stack.release.files and not up.layout.contained:
        raise ConfigurationError(
            "release.files: --git makes a release of files, and the stack file names none", "name them there"
        )
    commit = _commit(up, reference)
    _clear(up.host, up.layout)
    try:
        folder = _make(up, reference, commit)
        yield replace(up, layout=replace(up.layout, checked_out=folder)), commit
    finally:
        with held_back():
            _clear(up.host, up.layout)


def _commit(up: Up, reference: str) -> str:
    """The commit's full name."""
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{reference}^{{commit}}")
    found = _git(up.host, up.layout, *words, check=False)
    if found.ok:
        return found.out.strip()
    said = found.err.strip()  # nothing, where all that is wrong is the name
    raise ConfigurationError(
        f"{up.layout.project}: {said or f'there is no commit {reference!r}'}",
        "" if said else "`git fetch` brings what others have; nothing was changed",
    )


def _make(up: Up, reference: str, commit: str) -> Path:
    """The project's folder in the checkout, with the files in it."""
    release, folder = up.stack.release, up.layout.checkout
    up.reporter.say(f"{reference}: checking out {commit[:12]} and making its files")
    begun = time.monotonic()
    with up.events.recorded("make", reference=reference, commit=commit):
        try:
            _git(up.host, up.layout, "worktree", "add", "--quiet", "--detach", str(folder), commit)
            project = folder / _git(up.host, up.layout, "rev-parse", "--show-prefix").out.strip()
            for command in () if up.layout.contained else release.make:  # images are made of the sources
                up.host.run(command, env=making_environment(), cwd=project, timeout=release.timeout)
        except CommandError as error:
            raise CommandError(f"making the files of {reference}: {error}", NOTHING_CHANGED) from error
    up.reporter.say(f"{reference}: made in {time.monotonic() - begun:.1f} s")
    return project


def _clear(host: Host, layout: Layout) -> None:
    """Remove the checkout, and what git knows of it: of one that was cut off, which is locked, too."""
    host.remove(layout.checkout)
    _git(host, layout, "worktree", "remove", "--force", "--force", str(layout.checkout), check=False)


def _git(host: Host, layout: Layout, *words: str, check: bool = True) -> Result:
    """Run git in the project's repository; its hooks are the developers' own and are not run."""
    argv = ["git", "-C", str(layout.project), "-c", "core.hooksPath=/dev/null", *words]
    return host.run(argv, env=making_environment(), timeout=600, check=check)
