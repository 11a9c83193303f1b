"""A websocket opens through the edge, outlasts silence and a reload, and hears what is announced, whichever instance holds it."""

import secrets
import time
from collections.abc import Iterable
from contextlib import ExitStack

from neurmatic.probes.websocket import Websocket, at_instance, through_edge
from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.refusals import expect_refusal
from neurmatic.readiness.subject import Rehearsal, Subject
from neurmatic.render.nginx import CONFIG
from neurmatic.stack.instance import Instance

QUICK = False
SETTLE_SECONDS = 1.0
"""For the application to take note of who has connected."""
HEAR_SECONDS = 10.0
READ_SECONDS, SILENT_SECONDS = 1.0, 3.0
MOST_CONNECTIONS = 100


def check(subject: Subject, evidence: Evidence) -> None:
    wanted = subject.live.stack.checks
    if not (wanted.websocket and wanted.announce):
        raise Unverifiable(
            "the stack file names no websocket, or no way to have every client of it told something",
            "set [checks] websocket and announce, and [edge.websocket] paths",
        )
    copy = subject.rehearsal()
    _everybody(copy, evidence)
    websocket = copy.stack.edge.websocket
    few = websocket.replace(connections=min(websocket.connections, MOST_CONNECTIONS))
    with copy.changed(read_timeout=READ_SECONDS, websocket=few) as hurried:
        _lasting(hurried, evidence)
        _most(hurried, evidence)


def _everybody(copy: Rehearsal, evidence: Evidence) -> None:
    """Clients of every instance, at the instance itself and through the edge; one announcement."""
    instances = copy.instances(copy.stack.routed_to(_path(copy)) or "")
    with ExitStack() as held:
        through = [_connected(copy, held, evidence) for _ in range(2 * len(instances))]
        at = {one.name: _connected(copy, held, evidence, one) for one in instances}
        time.sleep(SETTLE_SECONDS)
        deaf = _deaf([*through, *at.values()], _announce(copy))
    names = {f"{copy.places.of(one.name)}:{one.port}": one.name for one in instances}
    lines = [copy.logged(one.answer) for one in through]  # the edge writes them at the end
    held_by = {names[line["upstream"].split(", ")[-1]] for line in lines}
    evidence.expect(
        len(held_by) == len(instances), f"{len(through)} clients through the edge, held by {', '.join(sorted(held_by))}"
    )
    hearing = sum(one not in deaf for one in through)
    own = ", ".join(f"at {name}: {'not heard' if one in deaf else 'heard'}" for name, one in at.items())
    evidence.expect(not deaf, f"one announcement, heard by {hearing} of these {len(through)}; by clients {own}")


def _lasting(hurried: Rehearsal, evidence: Evidence) -> None:
    """The time limit for answers, shortened, doesn't end a silent websocket; nor does a reload."""
    with ExitStack() as held:
        one = _connected(hurried, held, evidence)
        one.listen(SETTLE_SECONDS)
        told = one.listen(SILENT_SECONDS)
        evidence.expect(
            one.is_open,
            f"silent for {SILENT_SECONDS:g} s, told {len(told)} messages, with a read time limit of {READ_SECONDS:g} s: "
            f"{'still open' if one.is_open else 'closed'}",
        )
        evidence.expect(not _deaf([one], _announce(hurried)), "it hears what is announced then")
        hurried.up.edge.reload()
        evidence.expect(
            not _deaf([one], _announce(hurried)),
            f"after a reload of the edge: {'open, it hears the next' if one.is_open else 'closed'}",
        )
    seconds = hurried.stack.edge.websocket.seconds
    config = hurried.host.read(hurried.layout.state / CONFIG) or ""
    evidence.expect(f"proxy_read_timeout {seconds:.0f}s;" in config, f"configured: silent for {seconds:g} s at most")


def _most(hurried: Rehearsal, evidence: Evidence) -> None:
    most = hurried.stack.edge.websocket.connections
    client = hurried.new_client()
    with ExitStack() as held:
        for _ in range(most):
            _connected(hurried, held, evidence, source=client)
        refused = _opened(hurried, held, source=client).answer
        evidence.expect(refused.status == 429, f"{most} open connections of one client; one more: {refused.status}")
        expect_refusal(evidence, refused)
        other = _opened(hurried, held).answer
        evidence.expect(other.status == 101, f"another client meanwhile: {other.status}")


def _path(copy: Rehearsal) -> str:
    return str(copy.stack.checks.websocket)


def _opened(copy: Rehearsal, held: ExitStack, instance: Instance | None = None, source: str | None = None) -> Websocket:
    url, path = copy.stack.url, _path(copy)
    if instance:
        return held.enter_context(at_instance(instance.port or 0, url, path))
    return held.enter_context(through_edge(copy.place(source or copy.new_client()), url, path))


def _connected(
    copy: Rehearsal, held: ExitStack, evidence: Evidence, instance: Instance | None = None, source: str | None = None
) -> Websocket:
    """A client that has said what the application wants to hear first.

    Raises:
        Refuted: no websocket was opened.
    """
    one = _opened(copy, held, instance, source)
    where = f"at {instance.name}" if instance else "through the edge"
    words = f"a websocket {where}: {one.answer.status or one.answer.error}"
    if words not in evidence.seen:  # one note for all of them
        evidence.expect(one.answer.status == 101, words)
    if copy.stack.checks.websocket_hello:
        one.say(copy.stack.checks.websocket_hello)
    return one


def _announce(copy: Rehearsal) -> str:
    """Have the application tell every client something that it has never said before."""
    words = f"neurmatic-{secrets.token_hex(6)}"
    copy.up.run_in_release((*copy.stack.checks.announce, words))
    return words


def _deaf(clients: Iterable[Websocket], words: str) -> list[Websocket]:
    """Those that don't hear it."""
    until = time.monotonic() + HEAR_SECONDS
    return [one for one in clients if not one.hears(words, max(0.1, until - time.monotonic()))]
