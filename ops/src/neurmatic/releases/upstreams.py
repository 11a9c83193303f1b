"""Which instances get requests from the edge; and of one that doesn't: why, since when, and who keeps it out. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from neurmatic.guard.peers import Peer, Settings

_DOWN = re.compile(r"^server (?P<address>\S+) .* down;(?:  # \S+ is out: (?P<reason>.*))?$", re.MULTILINE)


@dataclass(frozen=True)
class Verdict:
    """What the guard thinks of an instance, and for how long; without a reason it may get requests."""

    reason: str
    seconds: float
    falls: int


@dataclass(frozen=True)
class Drain:
    """What the tool wrote when it led requests around an instance, and how long ago."""

    reason: str
    seconds: float


@dataclass(frozen=True)
class Upstream:
    """One instance of a service that the edge sends requests to.

    Attributes:
        reason: why it is not ready. It may get requests all the same: the last of a service is never taken out.
        kept_out_by: empty when it gets requests.
        seconds: for how long it has been so; None when nobody noted it.
        falls: how often the guard took it out, again and again within minutes; each one makes it wait longer before it comes back.
    """

    service: str
    instance: str
    address: str
    state: Literal["in", "out"]
    reason: str
    kept_out_by: Literal["", "guard", "drain"]
    seconds: float | None
    falls: int


def upstreams(
    settings: Settings, lists: Mapping[str, str], verdicts: Mapping[str, Verdict], drains: Mapping[str, Drain]
) -> tuple[Upstream, ...]:
    """Each instance as nginx's lists, by service, have it; verdicts and drains, by instance, say why."""
    down = {
        service: {one["address"]: one["reason"] or "" for one in _DOWN.finditer(text)}
        for service, text in lists.items()
    }
    return tuple(
        _upstream(peer, down.get(peer.service, {}).get(_address(peer)), verdicts.get(peer.name), drains.get(peer.name))
        for peer in settings.peers
    )


def _address(peer: Peer) -> str:
    return f"{peer.host}:{peer.port}"


def _upstream(peer: Peer, down: str | None, verdict: Verdict | None, drain: Drain | None) -> Upstream:
    """`down` is the reason in nginx's list; None when the instance gets requests."""
    out = down is not None
    by: Literal["", "guard", "drain"] = "" if not out else "drain" if drain else "guard"
    cause = drain if out and drain else verdict
    is_noted = cause is not None and (bool(cause.reason) or not out)  # a dead guard's list outlives its reason
    return Upstream(
        service=peer.service,
        instance=peer.name,
        address=_address(peer),
        state="out" if out else "in",
        reason=(cause.reason if cause else "") or down or "",
        kept_out_by=by,
        seconds=cause.seconds if cause and is_noted else None,
        falls=verdict.falls if verdict else 0,
    )
