"""Which addresses the edge treats in which way: from the sections of the stack file to nginx's locations. Pure."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from neurmatic.stack.model import Stack

_BETWEEN = r"(?:;[^/]*)?[^a-z0-9]+"
_BEYOND = r"(?:[^a-z0-9_-]|$)"
ENCODED_TWICE = "%[0-9a-f][0-9a-f]"
"""What is left of a path that was encoded twice, once nginx has decoded it."""


class Location(NamedTuple):
    """One location block.

    Attributes:
        match: nginx's modifier: ``=`` this path, ``~*`` this expression, empty: this prefix.
        upstream: the service that answers; empty: whichever the path belongs to.
        why: a comment for whoever reads the configuration.
        buckets: names of the credential limits that count here.
        probe: a health address: not limited, cached or redirected.
    """

    match: str
    path: str
    upstream: str
    why: str = ""
    buckets: tuple[str, ...] = ()
    probe: bool = False
    rated: bool = False
    cached: bool = False
    websocket: bool = False

    @property
    def head(self) -> str:
        """As nginx writes it."""
        return f'{self.match} "{self.path}"' if self.match == "~*" else f"{self.match} {self.path}".strip()


def locations(stack: Stack) -> tuple[Location, ...]:
    """Every location that leads to a service, the most particular kinds first."""
    return (*_probes(stack), *_credentials(stack), *_prefixes(stack))


def rated_paths(stack: Stack) -> tuple[str, ...]:
    """URL prefixes whose requests are counted against the rate."""
    chosen = stack.edge.limits.paths
    if chosen is not None:
        return chosen
    return tuple(route for service in stack.services.values() for route in service.routes if route != "/")


def spellings(path: str) -> str:
    """An expression for every way to write the path, and all below it, that some router takes for the same.

    nginx has decoded the path and resolved dots and double slashes by then. What is left: letters of the other case,
    backslashes, blanks, ``;parameters``, and endings such as ``/`` or ``.json``.
    """
    segments = [re.escape(segment.lower()) for segment in path.split("/") if segment]
    return "^[^a-z0-9]*" + _BETWEEN.join(segments) + _BEYOND


def _probes(stack: Stack) -> Iterator[Location]:
    for service in stack.services.values():
        for path in dict.fromkeys((service.health.live, service.health.ready, service.health.overall)):
            if path and path != "/" and service.routes and (upstream := stack.routed_to(path)):
                yield Location("=", path, upstream, probe=True)


def _credentials(stack: Stack) -> Iterator[Location]:
    limits = stack.edge.limits.credentials
    named = [(path, name) for name, one in limits.items() for path in one.paths]
    for path, name in sorted(named, key=lambda pair: -len(pair[0])):  # nginx takes the first expression that fits
        why = f"{path}, however it is spelled"
        yield Location("~*", spellings(path), "", why, (name,), rated=path.startswith(rated_paths(stack)))
    if named:
        why = "encoded twice: a router that decodes twice may take it for any of the above"
        yield Location("~*", ENCODED_TWICE, "", why, tuple(limits), rated=True)


def _prefixes(stack: Stack) -> Iterator[Location]:
    edge = stack.edge
    routes = [route for service in stack.services.values() for route in service.routes]
    rated = rated_paths(stack)
    for path in sorted({*routes, *rated, *edge.cache.paths, *edge.websocket.paths}):
        yield Location(
            "",
            path,
            stack.routed_to(path) or "",
            rated=path.startswith(rated) and not path.startswith(edge.websocket.paths),
            cached=path.startswith(edge.cache.paths),
            websocket=path.startswith(edge.websocket.paths),
        )
