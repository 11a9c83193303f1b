"""The checks of certificates look at the live stack: here it is, with a certificate that is broken in one way at a time."""

import os
import shutil
import subprocess
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from neurmatic.errors import NeurmaticError
from neurmatic.hosts.local import LocalHost
from neurmatic.readiness.catalogue import claims
from neurmatic.readiness.finding import Status
from neurmatic.readiness.run import execute, find_check
from neurmatic.readiness.subject import Subject, View
from neurmatic.releases.project import Quiet
from neurmatic.releases.up import Up
from neurmatic.stack.layout import Layout
from neurmatic.stack.loading import load

STACK = """
[stack]
name = "control"
user = "nobody"
[edge]
https_port = 18143
http_port = 18180
control_port = 18181
[services.app]
command = ["python3", "-m", "http.server", "--bind", "127.0.0.1", "$PORT"]
instances = 2
ports = "18120-18123"
routes = ["/"]
"""


class Live:
    """One running stack, whose certificate can be replaced by any other of its own CA."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="controls-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        self.layout = Layout(self.folder / ".neurmatic", self.folder)
        self.layout.state.mkdir()
        self.up = self._up(STACK)
        self.up.up()

    def _up(self, text):
        user = "nobody" if os.geteuid() == 0 else None
        return Up(LocalHost(), self.layout, load(text, "f").stack, Quiet(), user)

    def examine(self, slug, text=STACK):
        stack = load(text, "f").stack
        subject = Subject(View(LocalHost(), self.layout, stack), self.up.user)
        claim = next(claim for claim in claims() if claim.slug == slug)
        try:
            return execute(claim, find_check(claim), subject)
        finally:
            subject.close()

    def serve(self, *, load=True, **properties):
        """Install a certificate of the stack's own CA with these properties, and have nginx load it."""
        self.up.certificates._install(self._certificate(**properties))
        if load:
            self.reload()

    def _certificate(self, *, names=("localhost",), days=90, age=0, key=None, ocsp=""):
        key = key or ec.generate_private_key(ec.SECP256R1())
        authority = x509.load_pem_x509_certificate((self.layout.tls / "ca.pem").read_bytes())
        signer = load_pem_private_key((self.layout.tls / "ca-key.pem").read_bytes(), None)
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(authority.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=age, hours=1))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        if ocsp:
            access = x509.AccessDescription(
                x509.oid.AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(ocsp)
            )
            builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        pem += builder.sign(signer, SHA256()).public_bytes(Encoding.PEM)
        return "# source: local\n" + pem.decode() + (self.layout.tls / "ca.pem").read_text()

    def reload(self):
        self.up.runtime.reload("edge")
        self.await_served()

    def await_served(self):
        installed = self.up.certificates.current().serial
        until, seen = time.monotonic() + 20, 0
        while seen < 5:  # in a row, as the old workers go on for a moment; with an RSA key there may be no handshake
            seen = seen + 1 if self.up.certificates.serial_served() in (installed, "") else 0
            assert time.monotonic() < until
            time.sleep(0.1)

    def heal(self):
        self.layout.certificate.unlink()
        self._up(STACK).up()
        self.await_served()

    def remove(self):
        from neurmatic.releases.down import down, purge

        down(LocalHost(), self.layout, Quiet())
        purge(LocalHost(), self.layout)
        shutil.rmtree(self.folder)


@pytest.fixture(scope="module")
def running():
    one = Live()
    yield one
    one.remove()


@pytest.fixture
def live(running):
    yield running
    running.heal()


def red(finding, words):
    assert finding.status is Status.FAIL, finding
    assert words in finding.evidence.partition("BUT")[2], finding.evidence


def test_everything_but_the_acme_ca_is_seen_of_a_local_one(live):
    finding = live.examine("edge.certificates")
    assert finding.status is Status.UNVERIFIABLE, finding
    for words in ("a rehearsal's renewal", "0 failed", "EC secp256r1", "mode 600", "no ACME CA was asked"):
        assert words in finding.evidence


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"days": -0.01, "age": 90}, "certificate has expired"),
        ({"days": 5, "age": 85}, "5.0 days left"),
        ({"names": ("other.example",)}, "Hostname mismatch"),
        (
            {"key": rsa.generate_private_key(65537, 2048)},
            "",
        ),  # refused in the handshake, or by its kind: it depends on the edge's suites
    ],
)
def test_red_for_a_certificate_that_is_broken(live, broken, words):
    live.serve(**broken)
    red(live.examine("edge.certificates"), words)


def test_red_for_a_name_that_is_missing(live):
    text = STACK + '[tls]\ncertificates = "local"\nnames = ["www.localhost"]\n'
    red(live.examine("edge.certificates", text), "not for ['www.localhost']")


def test_red_for_a_key_that_others_can_read(live):
    live.layout.certificate.chmod(0o644)
    red(live.examine("edge.certificates"), "mode 644")


def test_red_for_a_certificate_that_was_never_loaded(live):
    live.serve(load=False)
    red(live.examine("edge.certificates"), "another one than is installed")


def test_red_for_a_stranger_in_its_place(live):
    shutil.move(live.layout.tls / "ca.pem", live.layout.tls / "ca.before")
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-subj", "/CN=stranger", "-keyout", live.folder / "key", "-out", live.layout.tls / "ca.pem"],
            check=True, capture_output=True,
        )  # fmt: skip
        red(live.examine("edge.certificates"), "unable to get local issuer certificate")
    finally:
        shutil.move(live.layout.tls / "ca.before", live.layout.tls / "ca.pem")


def test_red_where_the_acme_ca_has_not_issued(live):
    text = STACK.replace("[stack]", '[stack]\nhost = "demo.example"')
    text += '[tls]\ncertificates = "acme"\nacme_email = "a@b.example"\nacme_directory = "https://127.0.0.1:9/"\n'
    text += 'ca = ".neurmatic/tls/ca.pem"\n'
    with pytest.raises(NeurmaticError, match="connection refused"):
        live._up(text).up()
    red(live.examine("edge.certificates", text), "the ACME CA has not issued yet")
    live.up.certificates._install((live.layout.certificate).read_text().replace("local", "https://127.0.0.1:9/", 1))
    subprocess.run(["sv", "-w", "20", "down", live.layout.service("timer-renew")], check=True, capture_output=True)
    red(live.examine("edge.certificates", text), "timer-renew is")


def test_ocsp_is_green_where_there_is_none_and_that_is_said(live):
    finding = live.examine("edge.ocsp")
    assert finding.status is Status.PASS, finding
    assert "names no OCSP responder" in finding.evidence


def test_ocsp_is_red_where_a_responder_is_named_and_nothing_is_stapled(live):
    live.serve(ocsp="http://127.0.0.1:9")
    red(live.examine("edge.ocsp"), "stapled: no response")


def test_ocsp_is_red_where_nothing_is_said_of_it(live):
    live.layout.stapling.write_text("ssl_stapling on;\n")
    red(live.examine("edge.ocsp"), "nginx is told so: ssl_stapling on;")


def test_ocsp_is_red_without_a_handshake(live):
    subprocess.run(["sv", "-w", "20", "down", live.layout.service("edge")], check=True, capture_output=True)
    red(live.examine("edge.ocsp"), "no handshake")
