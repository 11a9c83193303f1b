"""An unknown host name gets nothing of ours: neither as TLS server name, nor as Host, nor over HTTP."""

from dataclasses import replace

from neurmatic.probes.http import request
from neurmatic.probes.tls import blind_client, handshake
from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Subject

QUICK = True
STRANGE = "strange.example"


def check(subject: Subject, evidence: Evidence) -> None:
    live = subject.live
    place = live.place()
    for name, words in ((STRANGE, f"server name {STRANGE}"), (None, "no server name")):
        seen = handshake(replace(place, name=name), blind_client())
        evidence.expect(bool(seen.error) and not seen.certificate, f"{words}: {seen.error or 'a certificate'}")
    answer = live.get("/", headers={"Host": STRANGE})
    evidence.expect(answer.status == 0, f"our server name, Host {STRANGE}: {answer}")
    plain = f"http://{STRANGE}:{live.stack.edge.http_port}/"
    answer = request(plain, address=live.address)
    evidence.expect(answer.status == 0, f"HTTP, Host {STRANGE}: {answer}")
    known = live.get("/")
    evidence.expect(known.status > 0, f"our own name: {known}")
