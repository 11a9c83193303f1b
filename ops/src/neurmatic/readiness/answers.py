"""Every kind of answer that a client may get from the edge, for claims that hold on all of them."""

from collections.abc import Iterator

from neurmatic.probes.http import Answer, request
from neurmatic.readiness.subject import Rehearsal
from neurmatic.stack.section import nginx_bytes


def kinds(copy: Rehearsal) -> Iterator[tuple[str, Answer, bool]]:
    """Each kind, an answer of it, and whether that came over HTTPS. At the end every instance of the copy is stopped."""
    edge = copy.stack.edge
    route = copy.service()[1].routes[0]
    ready = copy.health_path("ready")
    long = "x" * (nginx_bytes(edge.limits.header_size) + 500)
    yield "the front page", copy.get("/"), True
    yield "a service's answer", copy.get(ready), True
    yield "a service's not found", copy.get(f"{route}neurmatic-nowhere"), True
    if copy.stack.site:
        yield "a missing file", copy.get(f"{copy.stack.site.immutable}neurmatic-nowhere.js"), True
    for path in edge.cache.paths:
        copy.get(path)
        yield "a cached answer", copy.get(path), True
    yield "a preflight", copy.get(route, method="OPTIONS", headers={"Access-Control-Request-Method": "POST"}), True
    plain = f"http://{copy.stack.identity.host}:{edge.http_port}/x"
    yield "the redirect to HTTPS", request(plain, address=copy.address), False
    size = nginx_bytes(edge.body_size)
    yield "a body that is too large", copy.get(route, method="POST", body=b"x" * (size + 1), timeout=20), True
    yield "a header that is too large", copy.get(route, headers={"X-Long": long}), True
    yield "an address that is too long", copy.get("/" + long), True
    yield from _refused(copy)
    for one in copy.instances(copy.service()[0]):
        copy.stop(one.name)
    yield "with every instance stopped", copy.get(f"{route}neurmatic-nowhere"), True


def _refused(copy: Rehearsal) -> Iterator[tuple[str, Answer, bool]]:
    for limit in copy.stack.edge.limits.credentials.values():
        client = copy.new_client()
        for _ in range(limit.per_minute):
            copy.get(limit.paths[0], method="POST", source=client)
        yield "refused by a credential limit", copy.get(limit.paths[0], method="POST", source=client), True
        return
