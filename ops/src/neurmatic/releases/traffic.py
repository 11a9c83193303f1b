"""What went through the edge: from the lines of its access log to figures. Pure."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from neurmatic.probes.ledger import percentile
from neurmatic.render.maintenance import CLOSED

FROM_CACHE = ("HIT", "STALE", "UPDATING")
"""What X-Cache says of an answer that no service was waited for."""
UPGRADED = 101
_BETWEEN_ADDRESSES = re.compile(r", | : ")


@dataclass(frozen=True)
class Refusals:
    """Requests that the edge refused, by what did: the rate, the connections, a credential limit by its name, or maintenance."""

    rate: int
    connections: int
    credentials: dict[str, int]
    maintenance: int = 0


@dataclass(frozen=True)
class Traffic:
    """Figures of the requests that a part of the log holds, and of the time it covers.

    Attributes:
        since: when the first of them ended, as the log says it.
        last: when the last one ended.
        seconds: from `since` until the figures were made.
        statuses: by class, such as 2xx; 0xx are requests that ended before there was an answer.
        p50: seconds of an ordinary request; a websocket's are its whole life and don't count.
        cache: by what X-Cache said; only requests to paths that the cache may answer say anything.
        hit_rate: share of those that were answered from the cache; None where there were none.
        retried: requests that were sent to another instance because the first could not answer.
        answered: by the address of the instance that had the last word.
    """

    since: str
    last: str
    seconds: float
    requests: int
    statuses: dict[str, int]
    p50: float | None
    p99: float | None
    cache: dict[str, int]
    hit_rate: float | None
    refused: Refusals
    retried: int
    answered: dict[str, int]


def figures(lines: Iterable[str], now: datetime) -> Traffic | None:
    """The figures of these lines; None when they hold no request."""
    requests = list(_requests(lines))
    if not requests:
        return None
    since = str(requests[0]["time"])
    durations = sorted(float(one["seconds"]) for one in requests if one["status"] != UPGRADED)
    cache = _counted(one["cache"] for one in requests if one.get("cache"))
    asked = [_BETWEEN_ADDRESSES.split(one["upstream"]) for one in requests if one.get("upstream")]
    return Traffic(
        since=since,
        last=str(requests[-1]["time"]),
        seconds=max(0.0, round((now - datetime.fromisoformat(since)).total_seconds(), 1)),
        requests=len(requests),
        statuses=_counted(f"{one['status'] // 100}xx" for one in requests),
        p50=percentile(durations, 0.5),
        p99=percentile(durations, 0.99),
        cache=cache,
        hit_rate=sum(cache.get(word, 0) for word in FROM_CACHE) / sum(cache.values()) if cache else None,
        refused=Refusals(
            sum(one.get("rate") == "REJECTED" for one in requests),
            sum(one.get("connections") == "REJECTED" for one in requests),
            _counted(one["refused"] for one in requests if one.get("refused") not in (None, "", CLOSED)),
            sum(one.get("refused") == CLOSED for one in requests),
        ),
        retried=sum(len(addresses) > 1 for addresses in asked),
        answered=_counted(addresses[-1] for addresses in asked),
    )


def _requests(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The lines that are requests; between them stand nginx's own words, and what a full disk cut short."""
    for line in lines:
        if not line.startswith("{"):
            continue
        try:
            one = json.loads(line)
        except ValueError:
            continue
        if {"time", "status", "seconds"} <= one.keys():
            yield one


def _counted(words: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))
