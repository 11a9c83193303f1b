"""Behind a CDN the client is the one that the trusted edge names; nobody else can choose who they are."""

from dataclasses import dataclass

from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Rehearsal, Subject
from neurmatic.stack.trusted import cdns

QUICK = False
CLAIMED = "203.0.113.9"
XFF, CF = "X-Forwarded-For", "CF-Connecting-IP"
HEADERS = (XFF, "X-Real-IP", "Forwarded", CF, "True-Client-IP", "X-Client-IP")


def check(subject: Subject, evidence: Evidence) -> None:
    copy = subject.rehearsal()
    stranger = copy.new_client()
    for name in HEADERS:
        value = f"for={CLAIMED}" if name == "Forwarded" else CLAIMED
        _expect(copy, evidence, Case(stranger, name, value, stranger, f"a stranger's {name}"))
    proxy = copy.new_client()
    trusted = copy.stack.edge.trusted.replace(cdn=None, networks=(f"{proxy}/32",), header=None)
    with copy.changed(trusted=trusted) as behind:
        for case in (
            Case(proxy, XFF, CLAIMED, CLAIMED, f"a trusted proxy's {XFF}"),
            Case(
                proxy,
                XFF,
                f"198.51.100.1, {CLAIMED}",
                CLAIMED,
                "its own word counts, not what the client wrote before it",
            ),
            Case(stranger, XFF, CLAIMED, stranger, f"a stranger's {XFF} then"),
            Case(proxy, CF, CLAIMED, proxy, "another header of the proxy"),
        ):
            _expect(behind, evidence, case)
    cdn = cdns()["cloudflare"]
    with copy.changed(trusted=trusted.replace(cdn="cloudflare")) as behind:
        words = f"with Cloudflare's {len(cdn.networks)} networks (as of {cdn.as_of}), its {CF}"
        _expect(behind, evidence, Case(proxy, CF, CLAIMED, CLAIMED, words))
        _expect(behind, evidence, Case(stranger, CF, CLAIMED, stranger, "the same from a stranger"))


@dataclass(frozen=True)
class Case:
    """A request from an address with a header, and who its client must be."""

    source: str
    header: str
    value: str
    client: str
    words: str


def _expect(copy: Rehearsal, evidence: Evidence, case: Case) -> None:
    answer = copy.get("/", source=case.source, headers={case.header: case.value})
    seen = copy.logged(answer)["client"]
    evidence.expect(seen == case.client, f"{case.words}: the client is {seen}")
