"""One of several hosts that a command runs on: reached again when it is cut off, asked how it stands, brought back."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Protocol

from neurmatic.errors import NeurmaticError
from neurmatic.hosts.ssh import connected
from neurmatic.remote.session import CutError, Sent, Session, new_name
from neurmatic.remote.target import Target
from neurmatic.remote.together import FILES, Answer, Words

AGAIN_SECONDS = 60.0
"""For how long a host whose connection was cut is looked for."""
AGAIN_PAUSE = 2.0


class Shown(Protocol):
    """Hears what is to be shown of each host."""

    def tell(self, host: str, stream: str, line: str) -> None:
        """A line that a command wrote there to ``out`` or ``err``."""

    def say(self, host: str, line: str) -> None:
        """What is done about it from here."""


class Member:
    """One host: the session with it, how it stood before, and how it stands since the command began there."""

    def __init__(self, target: Target, sent: Sent | None, options: Words, shown: Shown, open_: ExitStack) -> None:
        self.name = str(target)
        self.before = Answer()
        self.after: Answer | None = None
        self.reason = self.next = ""
        self.result = "untouched"
        self._target, self._sent, self._options, self._shown = target, sent, options, shown
        self._open = open_.enter_context(ExitStack())
        self._session: Session | None = None
        self._is_back = False
        self._lines = self._known = (
            0  # of this command's output: come over this connection, and shown from earlier ones
        )

    def connect(self) -> Session:
        """A session over a new connection."""
        self._open.close()
        there = self._open.enter_context(connected(self._target.destination))
        folder = self._target.project(self._sent.name if self._sent else None)
        old = self._session
        self._session = Session(there, folder, self._target, self.say, self._tell)
        if old:
            self._session.sent, self._session.is_interrupted = old.sent, old.is_interrupted
        return self._session

    @property
    def session(self) -> Session:
        """The session that stands, if the connection does."""
        return self._session or self.connect()

    def ask(self) -> Answer:
        """How it stands; over a new connection where the one before is gone.

        Raises:
            NeurmaticError: it can't be asked.
        """
        if self._session:
            try:
                return self._session.ask(self._options)
            except NeurmaticError:
                pass  # most likely cut
        return self.connect().ask(self._options)

    def look(self) -> None:
        """See how it stands now."""
        try:
            self.after = self.ask()
        except NeurmaticError:
            self.after = None

    def say(self, line: str) -> None:
        """What is done about it from here."""
        self._shown.say(self.name, line)

    def _tell(self, stream: str, line: str) -> None:
        self._lines += stream == "out"
        if stream == "out" and self._lines <= self._known:
            return
        self._shown.tell(self.name, "err" if self._is_back else stream, line)

    def carry_out(self, words: Words) -> int:
        """Run one command to its end, whatever becomes of the connection; returns its exit code.

        Raises:
            NeurmaticError: the host is gone, or the command could not be begun.
        """
        self.session.begin(self._sent, words)
        return self.keep(words)

    def keep(self, words: Words) -> int:
        """The same with the project's files as they are there."""
        name = new_name()
        self._lines = self._known = 0
        try:
            return self.session.keep(words, name)
        except CutError:
            self.say("the connection was cut; looking for the host again (Ctrl-C gives it up)")
            return self._reattached(name)

    def _reattached(self, name: str) -> int:
        until = time.monotonic() + AGAIN_SECONDS
        while True:
            self._known, self._lines = max(self._known, self._lines), 0  # a command is shown again from its beginning
            try:
                return self.connect().attach([name])
            except NeurmaticError:
                if time.monotonic() > until:
                    raise
                time.sleep(AGAIN_PAUSE)

    def go_back(self, steps: Sequence[Words]) -> None:
        """Take back what the command changed; `next` says what is left of it, if it can't be."""
        self._is_back = True
        for number, step in enumerate(steps):
            self.say("back: " + ("the files that were there before" if step == FILES else " ".join(step)))
            try:
                failed = self._files_back() if step == FILES else self.keep(step)
            except NeurmaticError as error:
                self.say(str(error))
                failed = 1
            if failed:
                left = [f"neurmatic -H {self.name} {' '.join(one)}" for one in steps[number:] if one != FILES]
                self.next = f"see what it said, then: {' && '.join(left)}" if left else "send the files before again"
                self.result = "left"
                return
        if steps and self.result == "done":
            self.result = "taken back"

    def _files_back(self) -> int:
        if self._sent:
            self.session.put_back(self._sent.names)
        return 0

    def note(self, details: dict[str, str]) -> None:
        """Write it into the event log there, if it can be."""
        try:
            self.session.note(details, self._options)
        except NeurmaticError as error:
            self.say(f"! its event log doesn't tell of this: {error}")
