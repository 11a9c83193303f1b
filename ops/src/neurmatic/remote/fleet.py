"""One command on several hosts, on all of them or none: one host after the other, and back again where one fails.

One after the other, because the first one tells: what is bad on it never reaches the others, and there is less to take back.
What is decided stands in `together.py`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from neurmatic.errors import NeurmaticError
from neurmatic.hosts.interrupts import Terminated, held_back
from neurmatic.remote.member import Member, Shown
from neurmatic.remote.session import Sent
from neurmatic.remote.target import Target
from neurmatic.remote.together import Answer, Command, check, way_back

INTERRUPTED: dict[type[BaseException], int] = {KeyboardInterrupt: 130, Terminated: 143}


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
