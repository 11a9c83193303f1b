"""A certificate authority of the stack's own, for development: EC keys, the CA's key readable by its owner alone."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from neurmatic.hosts.base import Host
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack

CA_DAYS = 3650
LEAF_DAYS = 397  # browsers take no longer-lived one
RENEW_DAYS = 30


def ensure_certificate(host: Host, layout: Layout, stack: Stack, owner: str | None) -> bool:
    """See that the edge has a certificate for the stack's host, valid for RENEW_DAYS at least; True when one was made."""
    current = host.read(layout.tls / "cert.pem")
    if current and host.exists(layout.tls / "key.pem") and _is_fit(current, stack.identity.host):
        return False
    host.make_folder(layout.tls)
    ca_certificate, ca_key = _authority(host, layout, stack.name)
    key = ec.generate_private_key(ec.SECP256R1())
    host_name = stack.identity.host
    certificate = (
        _builder(_name(host_name), ca_certificate.subject, key, LEAF_DAYS)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host_name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, SHA256())
    )
    host.write(layout.tls / "key.pem", _pem(key), mode=0o600, owner=owner)
    host.write(layout.tls / "cert.pem", certificate.public_bytes(Encoding.PEM).decode())
    return True


def _authority(host: Host, layout: Layout, stack: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    certificate, key = host.read(layout.tls / "ca.pem"), host.read(layout.tls / "ca-key.pem")
    if certificate and key:
        loaded = load_pem_private_key(key.encode(), None)
        if isinstance(loaded, ec.EllipticCurvePrivateKey):
            return x509.load_pem_x509_certificate(certificate.encode()), loaded
    made_key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Neurmatic local CA ({stack})")
    made = (
        _builder(name, name, made_key, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_signing_only(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(made_key.public_key()), critical=False)
        .sign(made_key, SHA256())
    )
    host.write(layout.tls / "ca-key.pem", _pem(made_key), mode=0o600)
    host.write(layout.tls / "ca.pem", made.public_bytes(Encoding.PEM).decode())
    return made, made_key


def _is_fit(pem: str, host_name: str) -> bool:
    certificate = x509.load_pem_x509_certificate(pem.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    lasts = certificate.not_valid_after_utc - datetime.now(UTC)
    return host_name in names.get_values_for_type(x509.DNSName) and lasts > timedelta(days=RENEW_DAYS)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _signing_only() -> x509.KeyUsage:
    uses = dict.fromkeys(
        (
            "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
            "key_agreement", "encipher_only", "decipher_only",
        ),
        False,
    )  # fmt: skip
    return x509.KeyUsage(key_cert_sign=True, crl_sign=True, **uses)
