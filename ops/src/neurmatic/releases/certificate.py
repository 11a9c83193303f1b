"""One certificate: what it says, whether the edge can serve it, and what is to be done about it. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from neurmatic.stack.tls import Tls

Action = Literal["keep", "load", "make", "take", "issue", "renew"]
SOURCE = "# source: "  # PEM allows text before what it encodes; nginx and OpenSSL pass over it
LOCAL, FILES = "local", "files"


@dataclass(frozen=True)
class CertificateFacts:
    """What a certificate says of itself.

    Attributes:
        source: ``local``, ``files``, or the URL of the ACME directory it was issued through.
        ocsp: the responder that it names; empty for none.
        key: ``EC secp256r1``, or another key's kind.
    """

    names: tuple[str, ...]
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime
    source: str
    ocsp: str = ""
    key: str = "EC secp256r1"

    def renew_from(self, tls: Tls) -> datetime:
        """The moment from which it is renewed: short-lived ones when a third of their life is left."""
        return self.not_after - min(timedelta(days=tls.renew_before_days), (self.not_after - self.not_before) / 3)

    def red_from(self, tls: Tls) -> datetime:
        """The moment from which its end is too near: renewal has failed for a while."""
        return self.not_after - min(timedelta(days=tls.warn_days), (self.not_after - self.not_before) / 6)

    def days_left(self, now: datetime) -> float:
        return (self.not_after - now) / timedelta(days=1)


@dataclass(frozen=True)
class Decision:
    """What to do about the edge's certificate, and why."""

    action: Action
    why: str


def bundle(source: str, key_and_chain: str) -> str:
    """The text of the edge's one file: where it comes from, the key, the certificate, its chain."""
    return f"{SOURCE}{source}\n{key_and_chain}"


def parse(text: str) -> CertificateFacts:
    """Read a bundle; its key must be the certificate's.

    Raises:
        ValueError: it is none, or the two don't belong together.
    """
    certificate = x509.load_pem_x509_certificates(text.encode())[0]
    if load_pem_private_key(text.encode(), None).public_key() != certificate.public_key():
        raise ValueError("the certificate is for another key")
    first = text.split("\n", 1)[0]
    return facts(certificate, first.removeprefix(SOURCE) if first.startswith(SOURCE) else FILES)


def facts(certificate: x509.Certificate, source: str) -> CertificateFacts:
    """Read one certificate."""
    return CertificateFacts(
        names=_names(certificate),
        issuer=issuer(certificate),
        serial=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        source=source,
        ocsp=responder(certificate),
        key=key_kind(certificate),
    )


def unusable(current: CertificateFacts | None, now: datetime, host: str) -> str:
    """Why the edge can't serve with it at all; empty when it can."""
    if current is None:
        return "there is none"
    if now >= current.not_after:
        return f"it ended at {moment(current.not_after)}"
    return "" if covers(current.names, host) else f"it is not for {host}"


def unfit(new: CertificateFacts, now: datetime, names: tuple[str, ...]) -> str:
    """Why a certificate must not take the place of the one that serves; empty when it may."""
    if missing := [name for name in names if not covers(new.names, name)]:
        return f"it is for {', '.join(new.names) or 'no name'}, not for {', '.join(missing)}"
    if not new.not_before <= now < new.not_after:
        return f"it is valid from {moment(new.not_before)} to {moment(new.not_after)}, which is not now"
    # The edge's cipher suites are for EC keys; with another one, TLS 1.2 would have none.
    how = "the edge takes EC keys, as `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` makes them"
    return "" if new.key.startswith("EC ") else f"its key is {new.key}; {how}"


def decide(
    current: CertificateFacts | None,
    now: datetime,
    names: tuple[str, ...],
    tls: Tls,
    offered: CertificateFacts | None = None,
) -> Decision:
    """What to do about the edge's certificate.

    Args:
        current: the one that is installed and can be read, if any.
        now: with its time zone.
        names: what it must be valid for.
        tls: what the stack file says of certificates.
        offered: the operator's own, for ``files``.
    """
    if tls.certificates == "files":
        if offered and (current is None or _identity(current) != _identity(offered)):
            return Decision("take", f"{tls.certificate} is another one")
        return Decision("keep", f"it is the one in {tls.certificate}")
    source = LOCAL if tls.certificates == "local" else tls.acme_directory
    if why := _replaced(current, names, source):
        return Decision("make" if source == LOCAL else "issue", why)
    if current and now >= current.renew_from(tls):
        return Decision("make" if source == LOCAL else "renew", f"it ends at {moment(current.not_after)}")
    return Decision("keep", f"it is renewed from {moment(current.renew_from(tls))}" if current else "")


def _identity(one: CertificateFacts) -> tuple[str, str, str]:
    return one.source, one.issuer, one.serial


def _replaced(current: CertificateFacts | None, names: tuple[str, ...], source: str) -> str:
    """Why another one is needed whatever the time; empty when none is."""
    if current is None:
        return "there is none"
    if current.source != source:
        return f"it comes from {_origin(current.source)}"
    missing = [name for name in names if not covers(current.names, name)]
    return f"it is not for {', '.join(missing)}" if missing else ""


def covers(names: tuple[str, ...], wanted: str) -> bool:
    """Whether a certificate with these names is valid for this one, wildcards included."""
    return wanted in names or f"*.{wanted.partition('.')[2]}" in names


def moment(when: datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M UTC")


def issuer(certificate: x509.Certificate) -> str:
    """The issuer's common name, or all of its name."""
    common = certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if common else certificate.issuer.rfc4514_string()


def responder(certificate: x509.Certificate) -> str:
    """URL of the OCSP responder that a certificate names; empty for none."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return ""
    found = (one.access_location.value for one in access if one.access_method == AuthorityInformationAccessOID.OCSP)
    return str(next(found, ""))


def key_kind(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    return f"EC {key.curve.name}" if isinstance(key, ec.EllipticCurvePublicKey) else type(key).__name__.strip("_")


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(names.get_values_for_type(x509.DNSName))


def _origin(source: str) -> str:
    return {LOCAL: "the stack's own CA", FILES: "files"}.get(source, source)
