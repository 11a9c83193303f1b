"""What the guard knows of the stack, and the lists it keeps. Pure."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Peer:
    """One instance that the edge sends requests to.

    Attributes:
        ready: path that answers 200 when it may get requests.
        live: path that answers whenever the process serves; None when the service names none.
        start_seconds: how long after its start it may be silent.
    """

    name: str
    service: str
    port: int
    ready: str
    live: str | None
    start_seconds: float
    host: str = "127.0.0.1"


@dataclass(frozen=True)
class Rules:
    """The section [edge.failover], and nginx's own figures. Times are in seconds."""

    interval: float
    timeout: float
    fall: int
    rise: int
    hung_seconds: float
    max_fails: int
    fail_timeout: float


@dataclass(frozen=True)
class Settings:
    """Everything the guard is told."""

    peers: tuple[Peer, ...]
    rules: Rules

    def as_json(self) -> str:
        """The text of the guard's settings.json."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Settings":
        """What `as_json` wrote."""
        data = json.loads(text)
        return cls(tuple(Peer(**one) for one in data["peers"]), Rules(**data["rules"]))


def upstream_lists(settings: Settings, out: Mapping[str, str]) -> dict[str, str]:
    """The `server` lines of each service's upstream; a peer in `out`, by name, gets no requests, with the reason beside it."""
    lists: dict[str, str] = {}
    for peer in settings.peers:
        rules = settings.rules
        down = f" down;  # {peer.name} is out: {out[peer.name]}" if peer.name in out else f";  # {peer.name}"
        line = (
            f"server {peer.host}:{peer.port} max_fails={rules.max_fails} fail_timeout={rules.fail_timeout:g}s{down}\n"
        )
        lists[peer.service] = lists.get(peer.service, "") + line
    return lists


def kept_out(settings: Settings, drained: Mapping[str, str], unready: Mapping[str, str]) -> dict[str, str]:
    """Who gets no requests, and why: never the last of a service, for then nobody could even say that it isn't ready."""
    out: dict[str, str] = {}
    for service in dict.fromkeys(peer.service for peer in settings.peers):
        names = [peer.name for peer in settings.peers if peer.service == service]
        both = {name: (dict(unready) | dict(drained))[name] for name in names if name in drained or name in unready}
        only_drained = {name: reason for name, reason in drained.items() if name in names}
        out |= both if len(both) < len(names) else only_drained if len(only_drained) < len(names) else {}
    return out
