"""OCSP: stapled in the handshake where the certificate names a responder; where it names none, there is none to staple."""

import time

from neurmatic.errors import NeurmaticError
from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Subject, View
from neurmatic.releases.certificates import NO_RESPONDER
from neurmatic.releases.expiry import served

QUICK = True
PATIENCE_SECONDS = 8.0  # nginx asks the responder at the first handshake that wants it, and staples from the next on


def check(subject: Subject, evidence: Evidence) -> None:
    live = subject.live
    facts = served(live.stack, live.layout)
    if not facts.ocsp:
        answer = _stapled(live)
        evidence.expect(
            not answer, f"the certificate of {facts.issuer} names no OCSP responder; stapled: {answer or 'nothing'}"
        )
        said = live.host.read(live.layout.stapling) or ""
        evidence.expect(said == NO_RESPONDER, f"nginx is told so: {said.strip()}")
        return
    until = time.monotonic() + PATIENCE_SECONDS
    while not (answer := _stapled(live)) and time.monotonic() < until:
        time.sleep(0.5)
    evidence.expect(
        answer == "successful, Cert Status: good",
        f"the certificate names {facts.ocsp}; stapled: {answer or 'no response'}",
        f"see that this machine reaches {facts.ocsp}, then `neurmatic restart edge`",
    )


def _stapled(live: View) -> str:
    """What OpenSSL's own client is given when it asks for the status; empty for nothing."""
    name = live.stack.identity.host
    address = f"[{live.address}]" if ":" in live.address else live.address
    said = live.host.run(
        ["openssl", "s_client", "-connect", f"{address}:{live.stack.edge.https_port}", "-servername", name, "-status"],
        env={},
        timeout=15,
        check=False,
    )
    if "CONNECTED" not in said.out:
        raise NeurmaticError(f"no handshake: {(said.err or said.out).strip()[:200]}", "neurmatic up")
    lines = [line.strip() for line in said.out.splitlines()]
    status = next((line.partition(": ")[2] for line in lines if line.startswith("OCSP Response Status: ")), "")
    good = next((line for line in lines if line.startswith("Cert Status: ")), "")
    return f"{status.split(' ')[0]}, {good}" if status else ""
