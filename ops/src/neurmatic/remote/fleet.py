"""One command on several hosts, on all of them or none: one host after the other, and back again where one fails.

One after the other, because the first one tells: what is bad on it never reaches the others, and there is less to take back.
What is decided stands in `together.py`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

from neurmatic.errors import NeurmaticError
from neurmatic.hosts.interrupts import Terminated, held_back
from neurmatic.hosts.ssh import connected
from neurmatic.remote.session import CutError, Sent, Session, new_name
from neurmatic.remote.target import Target
from neurmatic.remote.together import FILES, Answer, Command, Words, check, way_back

AGAIN_SECONDS = 60.0
"""For how long a host whose connection was cut is looked for."""
AGAIN_PAUSE = 2.0
INTERRUPTED: dict[type[BaseException], int] = {KeyboardInterrupt: 130, Terminated: 143}


class Shown(Protocol):
    """Hears what is to be shown of each host."""

    def tell(self, host: str, stream: str, line: str) -> None:
        """A line that a command wrote there to ``out`` or ``err``."""

    def say(self, host: str, line: str) -> None:
        """What is done about it from here."""


@dataclass(frozen=True)
class End:
    """What became of one host.

    Attributes:
        result: done, failed, taken back, untouched or unknown; ``left`` where the way back failed.
        stands: how the stack there stands; None when the host can't be asked.
        reason: why it failed; empty when it didn't.
        next: what to do there by hand; empty when nothing is left to be done.
    """

    host: str
    result: str
    stands: Answer | None
    reason: str = ""
    next: str = ""


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


class Fleet:
    """The hosts, and one command on its way over them."""

    def __init__(self, members: Sequence[Member], command: Command) -> None:
        self.members, self.command = members, command
        self.begun: list[Member] = []
        self.code = 0

    def prepare(self) -> None:
        """See that each host is reached, has this tool, and may begin.

        Raises:
            NeurmaticError: one doesn't; nothing was begun anywhere.
        """
        errors = []
        for one in self.members:
            try:
                one.before = one.ask()
            except NeurmaticError as error:
                errors.append(error)
        if errors:
            hints = dict.fromkeys(error.hint for error in errors if error.hint)
            said = "\n  ".join(map(str, errors))
            raise NeurmaticError(f"nothing was begun on any host:\n  {said}", "; ".join(hints))
        check(self.command, {one.name: one.before for one in self.members})

    def go(self) -> None:
        """Run the command on one host after the other; where one fails, take it back on all that it changed."""
        for one in self.members:
            self.begun.append(one)
            if not self._succeeds(one):
                break
        with held_back(heeded=False):  # from here on it comes to its end
            failed = self.begun[-1] if self.code else None
            for one in reversed(self.begun if failed else ()):
                self._go_back(one)
            for one in self.begun:
                if one.after:
                    one.note(self._details(one, failed))

    def _succeeds(self, one: Member) -> bool:
        try:
            code = one.carry_out(self.command.words)
            one.reason = f"{self.command.name} ended with {code}" if code else ""
            one.look()
        except NeurmaticError as error:
            code, one.reason = 1, str(error)
        except (KeyboardInterrupt, Terminated) as signal:
            code, one.reason = INTERRUPTED[type(signal)], "interrupted"
        one.result = "failed" if code else "done"
        if not code and one.session.is_interrupted and one is not self.members[-1]:
            code, one.reason = INTERRUPTED[KeyboardInterrupt], "interrupted when it could only be finished there"
        self.code = code if code in INTERRUPTED.values() else int(bool(code))
        return not code

    def _go_back(self, one: Member) -> None:
        if one.after is None:
            one.look()
        if one.after is None or (one.result == "failed" and one.after.busy):
            one.result = "unknown"
            succeeded = Answer(closed=not one.before.closed, runs=True)
            back = way_back(self.command, one.before, succeeded, sent=False)
            words = " && ".join(f"neurmatic -H {one.name} {' '.join(step)}" for step in back)
            one.next = f"`neurmatic -H {one.name} attach` shows how it ends" + (
                f"; if it succeeds: {words}" if words else ""
            )
            return
        one.go_back(way_back(self.command, one.before, one.after, sent=bool(one.session.sent)))
        one.look()

    def _details(self, one: Member, failed: Member | None) -> dict[str, str]:
        details = {"result": "failed" if failed else "done", "command": " ".join(self.command.words)}
        details["hosts"] = ", ".join(member.name for member in self.members)
        if failed:
            details |= {"reason": f"{failed.name}: {failed.reason}", "here": one.result}
        return details

    @property
    def ends(self) -> list[End]:
        """What became of each host, in the order in which they were named."""
        return [
            End(one.name, one.result, one.after if one in self.begun else one.before, one.reason, one.next)
            for one in self.members
        ]


@contextmanager
def fleet(targets: Sequence[Target], command: Command, sent: Sent | None, shown: Shown) -> Iterator[Fleet]:
    """These hosts, for one command; their connections end with the block."""
    with ExitStack() as connections:
        yield Fleet([Member(one, sent, command.options, shown, connections) for one in targets], command)


def each(targets: Sequence[Target], run: Callable[[Target], int], shown: Shown) -> int:
    """Run a command on each host, whatever becomes of it on the others; the worst exit code."""
    codes = []
    for one in targets:
        try:
            codes.append(run(one))
        except NeurmaticError as error:
            shown.say(str(one), f"{error}\n  next: {error.hint}" if error.hint else str(error))
            codes.append(error.exit_code)
        if codes[-1] in INTERRUPTED.values():
            break
    return max(codes)
