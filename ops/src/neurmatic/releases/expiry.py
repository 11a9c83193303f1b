"""How the edge's certificate stands: what `neurmatic certificates` shows, and whether its end is too near."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from neurmatic.errors import ConfigurationError, NeurmaticError
from neurmatic.probes.health import next_run
from neurmatic.probes.tls import handshake
from neurmatic.releases.certificate import LOCAL, CertificateFacts, facts, moment, unusable
from neurmatic.releases.certificates import Certificates
from neurmatic.releases.members import edge_place
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack


@dataclass(frozen=True)
class Standing:
    """The certificate, who renews it, and when.

    Attributes:
        not_after, renew_from: UTC, ISO 8601.
        ocsp: the responder's URL; empty where the CA names none.
        schedule: when the stack itself asks whether renewal is due; empty where nobody does.
        last: the last attempt, as the event log has it.
        problems: why it is red; empty when it is well.
    """

    names: tuple[str, ...]
    issuer: str
    serial: str
    key: str
    source: str
    not_after: str
    days_left: float
    renew_from: str
    ocsp: str
    schedule: str
    next_run: str
    last: str
    problems: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The answer of `neurmatic certificates --json`."""
        return asdict(self)


def look(certificates: Certificates) -> Standing:
    """Read the installed certificate and ask nginx for the one it serves.

    Raises:
        ConfigurationError: there is none.
    """
    current = certificates.current()
    if current is None:
        raise ConfigurationError(f"there is no certificate in {certificates.layout.tls}", "`neurmatic up` makes one")
    stack, now = certificates.stack, datetime.now(UTC)
    timer = next((timer for timer in stack.timers() if timer.command[0] == "certificates"), None)
    return Standing(
        names=current.names,
        issuer=current.issuer,
        serial=current.serial,
        key=current.key,
        source=current.source,
        not_after=current.not_after.isoformat(),
        days_left=round(current.days_left(now), 2),
        renew_from=current.renew_from(stack.tls).isoformat(),
        ocsp=current.ocsp,
        schedule=str(timer) if timer else "",
        next_run=next_run(certificates.host, timer.pattern()) if timer else "",
        last=last_attempt(certificates),
        problems=tuple(_problems(certificates, current, now)),
    )


def served(stack: Stack, layout: Layout) -> CertificateFacts:
    """What the certificate that a client is given says of itself.

    Raises:
        NeurmaticError: there is no handshake.
    """
    hand = handshake(edge_place(stack, layout))
    if hand.certificate is None:
        raise NeurmaticError(f"no handshake with {stack.identity.host}: {hand.error}", "neurmatic up")
    return facts(hand.certificate, "")


def last_attempt(certificates: Certificates) -> str:
    """The last time that a certificate was asked for, and with what result; empty when none ever was."""
    for event in reversed(certificates.events.read()):
        if event["action"] == "certificate" and event["result"] != "begun":
            reason = f": {' '.join(str(event['reason']).split())}" if "reason" in event else ""
            return f"{event['at'][:16].replace('T', ' ')} UTC {event['result']}, from {event['source']}{reason}"
    return ""


def _problems(certificates: Certificates, current: CertificateFacts, now: datetime) -> Iterator[str]:
    stack = certificates.stack
    if reason := unusable(current, now, stack.identity.host):
        yield reason
    elif now >= current.red_from(stack.tls):
        yield f"it ends in {current.days_left(now):.1f} days and should have been renewed from {moment(current.renew_from(stack.tls))}"
    if stack.tls.certificates == "acme" and current.source == LOCAL:
        yield "the stack's own CA stands in: the ACME CA has not issued yet"
    served = certificates.serial_served()
    if served and served != current.serial:
        yield f"nginx serves another one, {served}"
