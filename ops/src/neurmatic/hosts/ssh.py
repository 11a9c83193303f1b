"""Another machine over the system's OpenSSH: one connection, which every program that runs there shares.

The operator's configuration, agent, jump hosts and known hosts are ssh's own business. `NEURMATIC_SSH` replaces the word
`ssh` where more is wanted (``ssh -F other-config -p 2222``), as git's GIT_SSH_COMMAND does.
"""

import contextlib
import os
import shlex
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from neurmatic.errors import CommandError, ConfigurationError, NeurmaticError
from neurmatic.hosts.base import Result
from neurmatic.hosts.interrupts import Terminated, are_held_back

CUT = 255
"""What ssh ends with when the connection failed, whatever ran over it."""

Tell = Callable[[str, str], None]
"""Hears of one line that a program wrote, without its end: where to (``out`` or ``err``), and the line."""

# As root where this account may be it. What isn't there answers 127, as a shell does.
AS_ROOT = (
    'command -v "$1" >/dev/null || exit 127; '
    'if [ "$(id -u)" != 0 ] && sudo -n true 2>/dev/null; then exec sudo -n -- "$@"; fi; exec "$@"'
)

# First match wins: what ssh says, what that means, what to do. {to} is the destination as the operator wrote it.
REFUSALS = (
    ("Could not resolve hostname", "{to}: there is no host of this name", "correct it, or name it in ~/.ssh/config"),
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "{to}: the host shows another key than it did before",
        "if the server was made anew, `ssh-keygen -R HOST` forgets the old key; if not, somebody may be in between",
    ),
    (
        "Host key verification failed",
        "{to}: the host's key is not known here",
        "run `ssh {to}` once, and compare the fingerprint that it shows with the server's own",
    ),
    (
        "Permission denied",
        "{to}: the key was refused",
        "see which key `ssh -v {to}` offers; `ssh-copy-id {to}` brings yours there",
    ),
    ("Connection refused", "{to}: nothing listens there for ssh", "see that the server runs, and its ssh port"),
    ("timed out", "{to}: the host does not answer", "see that the server runs, and that no firewall is in between"),
)


class Connection:
    """A connection that stands. Words are quoted for the shell that sshd starts; none of them may be a secret."""

    def __init__(self, destination: str, options: Sequence[str]) -> None:
        self.destination = destination
        self._argv = [*_ssh(), *options]

    def run(self, words: Sequence[str], write: Callable[[IO[bytes]], None] | None = None) -> Result:
        """Run a program there to its end, `write` giving what it reads.

        Raises:
            CommandError: the connection was cut.
        """
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            code = self._fed(words, write, out, err)
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode(errors="replace"))
        if code == CUT:
            raise CommandError(f"{self.destination}: the connection was cut", "nothing was changed; run it again")
        return Result(code, texts[0], texts[1])

    def show(self, words: Sequence[str], write: Callable[[IO[bytes]], None] | None = None) -> int:
        """Run a program there, all its output shown here as progress, as it comes; returns its exit code."""
        return self._fed(words, write, sys.stderr, sys.stderr)

    def _fed(
        self,
        words: Sequence[str],
        write: Callable[[IO[bytes]], None] | None,
        out: IO[Any],
        err: IO[Any],
    ) -> int:
        argv = [*self._argv, "-T", "--", self.destination, _quoted(words)]
        stdin = subprocess.PIPE if write else subprocess.DEVNULL
        with subprocess.Popen(argv, stdin=stdin, stdout=out, stderr=err, start_new_session=are_held_back()) as process:
            try:
                if write and process.stdin:
                    with contextlib.suppress(BrokenPipeError):  # it ended first; its exit code says why
                        write(process.stdin)
                        process.stdin.close()
                return process.wait()
            except BaseException:
                process.kill()
                raise

    def talk(
        self, words: Sequence[str], *, tty: bool, interrupt: Callable[[str], None] | None, tell: Tell | None = None
    ) -> int:
        """Run a program there with this command's own input, output and, with `tty`, terminal; returns its exit code.

        With a terminal a Ctrl-C is a key, and travels as one. Without, `interrupt` is called with the signal's name
        (``INT``) and the program is waited for; where there is none, this ends as the signal says. With `tell`, who
        is called from threads, the program reads nothing.
        """
        argv = [*self._argv, "-t" if tty else "-T", "--", self.destination, _quoted(words)]
        own = subprocess.PIPE if tell else None
        # Without a terminal of its own, ssh must not hear the Ctrl-C that is meant for the program.
        with (
            subprocess.Popen(
                argv, start_new_session=not tty, stdin=subprocess.DEVNULL if tell else None, stdout=own, stderr=own
            ) as process,
            _told(process, tell),
        ):
            while True:
                try:
                    code = process.wait()
                except (KeyboardInterrupt, Terminated) as signal:
                    if interrupt is None:
                        process.terminate()
                        raise
                    interrupt("INT" if isinstance(signal, KeyboardInterrupt) else "TERM")
                else:
                    return code if code >= 0 else CUT


@contextlib.contextmanager
def _told(process: subprocess.Popen[bytes], tell: Tell | None) -> Iterator[None]:
    """Tell of every line that a process writes; at the end of the block, all of them."""

    def read(stream: IO[bytes], name: str, tell: Tell) -> None:
        for line in stream:
            tell(name, line.decode(errors="replace").rstrip("\n"))

    pairs = [(process.stdout, "out"), (process.stderr, "err")]
    readers = [threading.Thread(target=read, args=(one, name, tell)) for one, name in pairs if one and tell]
    for one in readers:
        one.start()
    try:
        yield
    finally:
        for one in readers:
            one.join()


@contextlib.contextmanager
def connected(destination: str) -> Iterator[Connection]:
    """A connection to this destination, as ssh understands it; closed at the end.

    Raises:
        ConfigurationError: ssh is missing here, or no destination was given.
        NeurmaticError: the host isn't known, can't be reached, or refuses; with what to do.
    """
    if not destination or destination.startswith("-"):
        raise ConfigurationError(
            f"{destination!r} is no destination of ssh", "-H user@host, or a name of ~/.ssh/config"
        )
    with tempfile.TemporaryDirectory(prefix="neurmatic-") as folder:
        if _is_shared_already(destination):
            yield Connection(destination, [])
            return
        options = ["-o", f"ControlPath={Path(folder) / 'ssh'}", "-o", "ConnectTimeout=20"]
        _open(destination, options)
        try:
            yield Connection(destination, options)
        finally:
            _quietly([*_ssh(), *options, "-O", "exit", "--", destination])


def _is_shared_already(destination: str) -> bool:
    """Whether the operator's own configuration keeps a connection open: then nobody is asked for a password again."""
    return _quietly([*_ssh(), "-O", "check", "--", destination]) == 0


def _open(destination: str, options: Sequence[str]) -> None:
    """Connect, asking on the terminal for what ssh asks for, and leave the connection to those who come."""
    # What the operator's NEURMATIC_SSH says comes first, and first is what counts for ssh.
    own = ["-o", "ControlMaster=yes", "-o", "ControlPersist=60"]
    alive = ["-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3"]
    argv = [*_ssh(), *options, *own, *alive, "-f", "-N", "-T", "--", destination]
    with tempfile.TemporaryFile() as said:  # no pipe: the connection that stays would hold it open
        code = subprocess.run(argv, stdin=subprocess.DEVNULL, stderr=said, check=False).returncode
        said.seek(0)
        text = said.read().decode(errors="replace")
    if code:
        raise _refused(destination, text)


def _refused(destination: str, text: str) -> NeurmaticError:
    for words, message, hint in REFUSALS:
        if words in text:
            return NeurmaticError(message.format(to=destination), hint.format(to=destination))
    said = "\n  ".join(text.strip().splitlines()[-4:]) or "it said nothing"
    return NeurmaticError(f"{destination}: ssh could not connect:\n  {said}", f"see what `ssh -v {destination}` says")


def _ssh() -> list[str]:
    return shlex.split(os.environ.get("NEURMATIC_SSH", "ssh"))


def _quoted(words: Sequence[str]) -> str:
    return shlex.join(["sh", "-c", AS_ROOT, "sh", *words])


def _quietly(argv: Sequence[str]) -> int:
    try:
        return subprocess.run(
            list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        ).returncode
    except FileNotFoundError:
        raise ConfigurationError(f"{argv[0]} is not installed here", "install OpenSSH's client") from None
