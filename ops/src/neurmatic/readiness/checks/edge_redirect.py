"""HTTP leads to HTTPS on the same host, other names to the bare one; the ACME challenge's path and health don't."""

from neurmatic.probes.http import request
from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Subject

QUICK = True
CHALLENGE = "/.well-known/acme-challenge/neurmatic-nowhere"


def check(subject: Subject, evidence: Evidence) -> None:
    live = subject.live
    stack = live.stack
    plain = f"http://{stack.identity.host}:{stack.edge.http_port}"
    for path in ("/", "/a/b?x=1&y=%2F"):
        answer = request(plain + path, address=live.address)
        evidence.expect(
            (answer.status, answer.headers.get("location")) == (301, stack.url + path),
            f"HTTP {path}: {answer.status} to {answer.headers.get('location')}",
        )
    for name in stack.tls.names:
        answer = request(f"http://{name}:{stack.edge.http_port}/x", address=live.address)
        evidence.expect(
            answer.headers.get("location") == f"{stack.url}/x", f"HTTP {name}: to {answer.headers.get('location')}"
        )
        url = stack.url.replace(stack.identity.host, name, 1)
        answer = request(f"{url}/x", address=live.address, ca=live.layout.trust)
        evidence.expect(
            answer.headers.get("location") == f"{stack.url}/x",
            f"HTTPS {name}: {answer.status} to {answer.headers.get('location')}{answer.error}",
        )
    answer = request(plain + CHALLENGE, address=live.address)
    evidence.expect(answer.status == 404, f"the ACME challenge's path is answered over HTTP: {answer.status}")
    for kind in ("live", "ready", "overall"):
        path = getattr(live.service()[1].health, kind)
        if path and path != "/":
            answer = request(plain + path, address=live.address)
            evidence.expect(answer.status in (200, 503), f"HTTP {path}: {answer.status}")
