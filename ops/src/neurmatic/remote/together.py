"""One command on several hosts: whether it may begin, and what takes back what it changed. Pure; `fleet.py` asks and does."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from neurmatic.errors import ConfigurationError, NeurmaticError

Words = tuple[str, ...]

FILES: Words = ("the project's files",)
"""A step of a way back that is no command: what the command sent gives way to what it replaced."""


@dataclass(frozen=True)
class Command:
    """What the operator typed.

    Attributes:
        name: the command.
        words: all of it, the name first, as it is run there.
        options: those of its words that say which stack is meant; a way back needs them, too.
        release: the one that a deploy or rollback names; empty for the project's own, or the one before.
        service: the one that is scaled.
        loses: whether it asks which data may be lost.
        follows: whether it goes on until it is told to stop.
        only_looks: whether it changes nothing.
    """

    name: str
    words: Words
    options: Words = ()
    release: str = ""
    service: str = ""
    loses: bool = False
    follows: bool = False
    only_looks: bool = False


@dataclass(frozen=True)
class Answer:
    """How the stack on one host stands.

    Attributes:
        release: the one that serves; empty when none ever did.
        previous: the one that served before it; empty when there is none.
        held: whether `up` stays with it though the project's files make another one.
        releases: names of those that are there.
        instances: how many each service has.
        closed: whether the edge is closed for maintenance.
        runs: whether anything of it runs.
        busy: the command that is at work on it; empty when none is.
    """

    release: str = ""
    previous: str = ""
    held: bool = False
    releases: tuple[str, ...] = ()
    instances: Mapping[str, int] = field(default_factory=dict)
    closed: bool = False
    runs: bool = False
    busy: str = ""

    def __str__(self) -> str:
        if not self.release or not self.runs:
            return "nothing runs"
        counts = ", ".join(f"{count} {name}" for name, count in self.instances.items())
        return f"{self.release} serves ({counts})" + (", closed for maintenance" if self.closed else "")


def check(command: Command, answers: Mapping[str, Answer]) -> None:
    """Refuse what would leave the hosts different from each other, or can't succeed on one of them.

    Raises:
        NeurmaticError: with what to do; nothing was begun anywhere.
    """
    if busy := [f"{host}: another command is at work there: {one.busy}" for host, one in answers.items() if one.busy]:
        raise NeurmaticError("\n  ".join(busy), "nothing was begun; run this one again when that one has ended")
    if command.loses:
        raise ConfigurationError(
            "what a database would lose is another question on each host", "go back with it on one host at a time"
        )
    if command.name == "up":
        _check_followed(answers)
    elif empty := [host for host, one in answers.items() if not one.release]:
        raise ConfigurationError(
            f"nothing is deployed on {', '.join(empty)}", "nothing was begun; `neurmatic -H … up` starts the stack"
        )
    if command.name == "rollback" and not command.release:
        _check_previous(answers)
    if command.name in ("deploy", "rollback") and command.release:
        _check_named(command, answers)


def _check_followed(answers: Mapping[str, Answer]) -> None:
    chosen = {host: one.release if one.held else "" for host, one in answers.items()}
    if len(set(chosen.values())) > 1:
        said = ", ".join(f"{host} stays with {one}" if one else f"{host} follows them" for host, one in chosen.items())
        raise ConfigurationError(
            f"the project's files would go live on some of the hosts only: {said}",
            "nothing was begun; `neurmatic -H … deploy` brings them live on each",
        )


def _check_previous(answers: Mapping[str, Answer]) -> None:
    before = {host: one.previous for host, one in answers.items()}
    if len(set(before.values())) > 1 or not all(before.values()):
        said = ", ".join(f"{host}: {one or 'none'}" for host, one in before.items())
        raise ConfigurationError(
            f"the release before is not the same on each: {said}", "nothing was begun; name the one to go back to"
        )


def _check_named(command: Command, answers: Mapping[str, Answer]) -> None:
    found = {host: _named(command.release, one.releases) for host, one in answers.items()}
    if len(set(found.values())) > 1 or any(len(names) != 1 for names in found.values()):
        said = ", ".join(f"{host}: {' and '.join(names) or 'none'}" for host, names in found.items())
        raise ConfigurationError(
            f"{command.release!r} must be the name of one release, there on each host: {said}",
            "nothing was begun; `neurmatic -H … releases` lists those that are there",
        )
    wanted = next(iter(found.values()))[0]
    serving = [host for host, one in answers.items() if one.release == wanted]
    if command.name == "rollback" and serving:
        raise ConfigurationError(
            f"{wanted} serves already on {', '.join(serving)}", "nothing was begun; leave out who has it"
        )


def _named(wanted: str, releases: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(one for one in releases if one == wanted) or tuple(one for one in releases if one.startswith(wanted))


def way_back(command: Command, before: Answer, after: Answer, *, sent: bool) -> tuple[Words, ...]:
    """The steps that bring one host back to how it stood, in their order; none where it stands so.

    Args:
        command: what ran there, to its end or not.
        before: how the host stood then.
        after: how it stands now.
        sent: whether the command changed the project's files there.
    """
    steps: list[Words] = []
    if command.name == "maintenance" and before.closed != after.closed:
        steps = [("maintenance", "on" if before.closed else "off")]
    elif command.name == "scale" and (count := before.instances.get(command.service)):
        steps = [("scale", f"{command.service}={count}")] if after.instances.get(command.service) != count else []
    elif command.name == "up" and not before.runs:
        return (("down", *command.options),) if after.runs else ()
    elif command.name in ("up", "deploy", "rollback"):
        if before.release != after.release:
            back = ("rollback", before.release), ("deploy", before.release, "--no-backup")
            steps = [back[command.name == "rollback"]]
        steps += [FILES] if sent else []
        steps += [("up",)] if sent and command.name == "up" else []
    return tuple(step if step == FILES else (*step, *command.options) for step in steps)
