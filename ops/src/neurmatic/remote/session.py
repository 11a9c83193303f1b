"""One command on another machine: what it needs is sent, it runs there, and its output and exit code come back.

The other end is `neurmatic remote`, of the same build, so this protocol has no versions: it is refused to any other.
"""

import json
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from neurmatic import __version__
from neurmatic.errors import BusyError, ConfigurationError, NeurmaticError
from neurmatic.hosts import bundle
from neurmatic.hosts.base import Result
from neurmatic.hosts.ssh import CUT, Connection, Tell, connected
from neurmatic.remote.build import build_digest
from neurmatic.remote.target import PASSING, SENDING, Target, check_names
from neurmatic.remote.together import Answer

FILE = "neurmatic.toml"
NO_PROGRAM = 127
NO_SUCH_WORDS = 2
"""How a tool answers that speaks another protocol than this one."""


@dataclass(frozen=True)
class Sent:
    """The stack file here, and the files of its project that a server needs; `name` is the stack's."""

    file: Path
    name: str
    files: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What is put in place there, the stack file last."""
        return (*self.files, FILE)

    @property
    def renamed(self) -> tuple[Path, str]:
        return self.file, FILE


class CutError(NeurmaticError):
    """The connection failed while something ran over it."""

    exit_code = CUT


def run(
    target: Target, words: Sequence[str], sent: Sent | None, say: Callable[[str], None], tell: Tell | None = None
) -> int:
    """Run one command there, whose name is the first of its words; returns its exit code.

    `say` hears of what is done here before; `tell` of what the command writes, which else is this one's output.

    Raises:
        CutError: the connection was cut; the hint says what became of the command.
        NeurmaticError: it could not be begun; the hint says what to do.
    """
    with connected(target.destination) as there:
        session = Session(there, target.project(sent.name if sent else None), target, say, tell)
        session.begin(sent, words)
        if words[0] == "attach":
            return session.attach(words[1:])
        return session.look(words) if words[0] in PASSING else session.keep(words)


class Session:
    """The other end of one connection, for one project there. With `tell`, that hears all output, and nothing is asked.

    Attributes:
        sent: digest of the files that were sent, though maybe not to their end; empty when none were.
        is_interrupted: whether a Ctrl-C or SIGTERM came here, and was passed on.
    """

    def __init__(
        self, there: Connection, folder: Path, target: Target, say: Callable[[str], None], tell: Tell | None = None
    ) -> None:
        self._there = there
        self._target = target
        self._folder = folder
        self._say = say
        self._tell = tell
        self.sent = ""
        self.is_interrupted = False

    def begin(self, sent: Sent | None, words: Sequence[str]) -> None:
        """Send the project, if this command is about it; else see that there is one.

        Raises:
            NeurmaticError: the command can't run there; with what to do.
        """
        if words[0] in SENDING and sent:
            self.bring(sent, words)
        elif not hello(self._there, self._folder, ())["project"]:
            to = self._target
            raise ConfigurationError(
                f"{to.destination}: there is no project in {self._folder}",
                f"`neurmatic -H {to} up` sends one, or name another folder: -H {to.destination}:/folder",
            )

    def ask(self, options: Sequence[str]) -> Answer:
        """How the stack there stands; `options` say which one, as a command's do.

        Raises:
            NeurmaticError: the tool is missing there, or another build of it is there.
        """
        found = hello(self._there, self._folder, (), "--standing", *options)["standing"]
        return Answer(**found | {"releases": tuple(found["releases"])})

    def note(self, details: Mapping[str, str], options: Sequence[str]) -> None:
        """Write what became of a command on several hosts into the event log there."""
        _checked(self._there, self._there.run(self._words("note", "--details", json.dumps(details), *options)))

    def put_back(self, names: Sequence[str]) -> None:
        """Bring back the files there that those that were sent have replaced."""
        words = self._words("put-back", "--digest", self.sent, "--names", json.dumps(names))
        _checked(self._there, self._there.run(words))

    def bring(self, sent: Sent, words: Sequence[str]) -> None:
        """Send the project where it differs from the one there; not while a command there reads it.

        Raises:
            NeurmaticError: the tool is missing there, or another build of it is there.
            BusyError: another command reads the project there now.
        """
        check_names(sent.names)
        found = hello(self._there, self._folder, sent.names)
        wanted = bundle.digest(sent.file.parent, sent.names, renamed=sent.renamed)
        if not wanted:
            missing = [name for name in sent.files if not (sent.file.parent / name).exists()]
            raise ConfigurationError(f"release.files: not found: {', '.join(missing)}", "build them first")
        if wanted == found["digest"]:
            return
        readers = [one for one in found["running"] if one.split()[0] in SENDING]
        if not readers:
            self._send(sent, wanted)
        elif " ".join(words) in readers:
            self._say("what changed here since is not sent: run the command again afterwards")
        else:
            raise BusyError(
                f"{self._there.destination}: another command is at work there: {readers[0]}",
                f"`neurmatic -H {self._target} attach` shows it; run this one again afterwards",
            )

    def _send(self, sent: Sent, wanted: str) -> None:
        self._say(f"sending {', '.join(sent.names)} to {self._folder}")
        self.sent = wanted
        done = self._there.run(
            self._words("receive", "--digest", wanted, "--names", json.dumps(sent.names)),
            lambda target: bundle.pack(sent.file.parent, sent.names, target, renamed=sent.renamed),
        )
        _checked(self._there, done)

    def look(self, words: Sequence[str]) -> int:
        """Run a command that ends with the connection."""
        follow = self._words("look", "--words", json.dumps(words))
        code = self._there.talk(follow, tty=self._has_terminal(), interrupt=None, tell=self._tell)
        if code == CUT:
            raise CutError(f"{self._there.destination}: the connection was cut", "run it again; nothing was changed")
        return code

    def keep(self, words: Sequence[str], name: str = "") -> int:
        """Run a command that goes on without the connection; `name` is its record's, one that `new_name` made."""
        name = name or new_name()
        together = ["--together"] if self._has_terminal() else []
        return self._followed(self._words("keep", "--id", name, *together, "--words", json.dumps(words)), name, words)

    def attach(self, words: Sequence[str]) -> int:
        """Show a command that was kept, from its beginning; the newest, unless `words` names one."""
        done = _checked(self._there, self._there.run(self._words("which", *(("--id", *words) if words else ()))))
        name = done.out.strip()
        return self._followed(self._words("attach", "--id", name), name, ())

    def _followed(self, follow: Sequence[str], name: str, words: Sequence[str]) -> int:
        def interrupt(signal: str) -> None:
            self.is_interrupted = True
            self._there.run(self._words("signal", "--id", name, "--signal", signal, "--words", json.dumps(words)))

        code = self._there.talk(follow, tty=self._has_terminal(), interrupt=interrupt, tell=self._tell)
        if code == CUT:
            raise CutError(
                f"{self._there.destination}: the connection was cut; the command goes on there to its end",
                f"`neurmatic -H {self._target} attach` shows what it wrote, and ends with its exit code",
            )
        return code

    def _has_terminal(self) -> bool:
        """A terminal there, where there is one here: else its output would change on the way."""
        return self._tell is None and sys.stdin.isatty() and sys.stdout.isatty()

    def _words(self, action: str, *more: str) -> list[str]:
        return ["neurmatic", "remote", action, "--folder", str(self._folder), *more]


def new_name() -> str:
    """A name for the record of a command; the later one is the greater."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


def hello(there: Connection, folder: Path, names: Sequence[str], *more: str) -> dict[str, Any]:
    """What the tool there says of itself and of the project; `more` are words that ask for more.

    Raises:
        NeurmaticError: there is no tool, or another build than this one.
    """
    done = there.run(["neurmatic", "remote", "hello", "--folder", str(folder), "--names", json.dumps(names), *more])
    to = there.destination
    if done.code == NO_PROGRAM:
        raise NeurmaticError(f"{to}: neurmatic is not installed there", f"`neurmatic bootstrap {to}` installs it")
    try:
        said: dict[str, Any] = json.loads(done.out)
    except ValueError:
        if done.code != NO_SUCH_WORDS:
            _checked(there, done)
        said = {"version": "of another version"}
    if (said["version"], said.get("build")) != (__version__, build_digest()):
        other = said["version"] if said["version"] != __version__ else f"another build of {__version__}"
        raise NeurmaticError(
            f"{to} has neurmatic {other}, here is {__version__}",
            f"`neurmatic bootstrap {to}` brings this one there; or use the one that is there",
        )
    return said


def _checked(there: Connection, done: Result) -> Result:
    """What ended well; what the tool there said of its failure is said here.

    Raises:
        NeurmaticError: it ended with another code than 0.
    """
    if done.ok:
        return done
    message, _, hint = done.err.strip().removeprefix("neurmatic: ").partition("\n  next: ")
    raise NeurmaticError(f"{there.destination}: {message or f'it ended with {done.code}'}", hint)
