"""What is decided about a certificate, as a table; and what is written, checked and taken back, on a real disk."""

import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from throwaway import write_certificate

from neurmatic.errors import CommandError, ConfigurationError, NeurmaticError
from neurmatic.hosts.base import Result
from neurmatic.hosts.local import LocalHost
from neurmatic.releases import acme, authority
from neurmatic.releases.certificate import CertificateFacts, decide, parse, unfit, unusable
from neurmatic.releases.certificates import NO_RESPONDER, certificates_of
from neurmatic.releases.lock import locked
from neurmatic.releases.project import Quiet
from neurmatic.runtimes.native.programs import find_programs
from neurmatic.stack.layout import Layout
from neurmatic.stack.loading import load
from neurmatic.stack.tls import LETS_ENCRYPT, Tls
from neurmatic.testing import RecordingHost

HOST = LocalHost()
STACK = '[stack]\nname = "x"\nhost = "a.example"\n[services.app]\ncommand = ["x"]\n'
ACME = STACK + '[tls]\ncertificates = "acme"\nacme_email = "ops@a.example"\n'
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def facts(left, lifetime=90.0, names=("a.example",), source=LETS_ENCRYPT, **more):
    """A certificate with this many days left of its lifetime."""
    end = NOW + timedelta(days=left)
    return CertificateFacts(tuple(names), "CA", "1", end - timedelta(days=lifetime), end, source, **more)


LOCAL, CA, OWN = (
    Tls(),
    Tls(certificates="acme", acme_email="a@b"),
    Tls(certificates="files", certificate="c", key="k"),
)


@pytest.mark.parametrize(
    ("tls", "current", "names", "action", "why"),
    [
        (LOCAL, None, ["a.example"], "make", "there is none"),
        (LOCAL, facts(300, 397, source="local"), ["a.example"], "keep", "renewed from"),
        (LOCAL, facts(29, 397, source="local"), ["a.example"], "make", "it ends at"),
        (LOCAL, facts(300, 397, source="local"), ["b.example"], "make", "not for b.example"),
        (LOCAL, facts(80), ["a.example"], "make", "it comes from https://"),
        (CA, None, ["a.example"], "issue", "there is none"),
        (CA, facts(6, 7, source="local"), ["a.example"], "issue", "the stack's own CA"),
        (CA, facts(80, source="https://staging.example/dir"), ["a.example"], "issue", "staging.example"),
        (CA, facts(80), ["a.example", "www.a.example"], "issue", "not for www.a.example"),
        (CA, facts(80, names=["*.a.example", "a.example"]), ["a.example", "www.a.example"], "keep", ""),
        (CA, facts(30.1), ["a.example"], "keep", "2026-06-01 02:24 UTC"),
        (CA, facts(29.9), ["a.example"], "renew", "it ends at 2026-06-30 21:36 UTC"),
        (CA, facts(-1), ["a.example"], "renew", "it ends at"),
        (CA, facts(2.1, 6), ["a.example"], "keep", ""),  # short-lived: a third of its life
        (CA, facts(1.9, 6), ["a.example"], "renew", ""),
    ],
)
def test_what_is_decided(tls, current, names, action, why):
    decision = decide(current, NOW, tuple(names), tls)
    assert decision.action == action and why in decision.why


def test_the_operators_own_is_taken_when_it_is_another_one():
    own = facts(50, source="files")
    assert decide(None, NOW, ("a.example",), OWN, own).action == "take"
    assert decide(facts(50, source="local"), NOW, ("a.example",), OWN, own).action == "take"
    assert decide(own, NOW, ("a.example",), OWN, own).action == "keep"


def test_when_it_is_red():
    assert facts(14.1).red_from(CA) > NOW and facts(13.9).red_from(CA) < NOW
    assert facts(1.1, 6).red_from(CA) > NOW and facts(0.9, 6).red_from(CA) < NOW


def test_what_can_not_serve_and_what_is_not_taken():
    assert unusable(None, NOW, "a.example") == "there is none"
    assert "it ended at" in unusable(facts(-1), NOW, "a.example")
    assert "not for b.example" in unusable(facts(9), NOW, "b.example")
    assert not unusable(facts(9), NOW, "a.example")
    assert "not for b.example" in unfit(facts(9), NOW, ("a.example", "b.example"))
    assert "which is not now" in unfit(facts(99, 90), NOW, ("a.example",))
    assert "its key is RSAPublicKey" in unfit(facts(9, key="RSAPublicKey"), NOW, ("a.example",))
    assert not unfit(facts(9), NOW, ("a.example",))


@pytest.fixture
def layout(tmp_path):
    layout = Layout(tmp_path / "state", tmp_path)
    layout.tls.mkdir(parents=True)
    return layout


def of(layout, text=STACK, host=HOST):
    return certificates_of(host, layout, load(text, "f").stack, Quiet(), None)


def test_a_local_one_is_for_the_host_and_made_again_for_another(layout):
    one = of(layout)
    one.provide()
    first = one.current()
    assert first.names == ("a.example",) and first.source == "local" and first.key == "EC secp256r1"
    assert first.days_left(datetime.now(UTC)) > authority.LEAF_DAYS - 1
    for path in (layout.certificate, layout.tls / "ca-key.pem"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    one.provide()
    assert one.current() == first
    ca = (layout.tls / "ca.pem").read_text()
    of(layout, STACK.replace("a.example", "b.example")).provide()
    assert one.current().names == ("b.example",)
    assert (layout.tls / "ca.pem").read_text() == ca, "whoever trusts the authority goes on trusting it"
    assert layout.stapling.read_text() == NO_RESPONDER and ca in layout.trust.read_text()


def test_a_short_one_stands_in_until_the_ca_has_issued(layout):
    one = of(layout, ACME)
    one.provide()
    standing_in = one.current()
    assert standing_in.source == "local" and standing_in.days_left(datetime.now(UTC)) < 8
    assert one.to_ask() == "it comes from the stack's own CA"
    one.provide()
    assert one.current() == standing_in
    with pytest.raises(NeurmaticError, match="the edge is not running"):
        one.renew()


def test_a_file_that_is_no_certificate_counts_as_none(layout):
    one = of(layout)
    for text in ("", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        layout.certificate.write_text(text)
        assert one.current() is None
    one.provide()
    assert one.current()


def test_key_and_certificate_must_belong_together(layout):
    one = of(layout)
    one.provide()
    text = layout.certificate.read_text()
    stranger = authority.key_pem(authority.new_key()) + "-----BEGIN CERT" + text.split("-----BEGIN CERT", 1)[1]
    with pytest.raises(ValueError, match="another key"):
        parse(stranger)


def test_ones_own_files_are_checked_before_anything_changes(layout):
    text = STACK + '[tls]\ncertificates = "files"\ncertificate = "c.pem"\nkey = "k.pem"\n'
    one = of(layout, text)
    with pytest.raises(ConfigurationError, match=r"k.pem does not exist"):
        one.provide()
    made = authority.make_leaf(HOST, layout, "x", ("other.example",), 9)
    key, _, certificate = made.partition("-----BEGIN CERT")
    (layout.project / "k.pem").write_text(key)
    (layout.project / "c.pem").write_text("nonsense")
    with pytest.raises(ConfigurationError, match="nothing was changed|tls.certificate"):
        one.provide()
    (layout.project / "c.pem").write_text("-----BEGIN CERT" + certificate)
    with pytest.raises(NeurmaticError, match=r"not for a\.example"):
        one.provide()
    assert not layout.certificate.exists()
    made = authority.make_leaf(HOST, layout, "x", ("a.example",), 9)
    (layout.project / "k.pem").write_text(made)
    (layout.project / "c.pem").write_text(made)
    one.provide()
    assert one.current().source == "files"


def test_ones_own_rsa_key_is_refused_and_what_serves_stays(layout):
    text = STACK.replace("a.example", "localhost")
    of(layout, text).provide()
    before = layout.certificate.read_text()
    write_certificate(layout.project, rsa.generate_private_key(65537, 2048))
    one = of(layout, text + '[tls]\ncertificates = "files"\ncertificate = "ca.pem"\nkey = "key.pem"\n')
    with pytest.raises(NeurmaticError, match="its key is RSAPublicKey; the edge takes EC keys, as `openssl genpkey"):
        one.provide()
    assert layout.certificate.read_text() == before
    write_certificate(layout.project)
    one.provide()
    assert one.current().source == "files"


def test_the_request_names_every_name():
    request = authority.request_pem(authority.new_key(), ("a.example", "www.a.example"))
    asked = x509.load_pem_x509_csr(request.encode())
    names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example", "www.a.example"]


SAID = """\
2026/11/25 22:30:01 No key found for account ops@a.example. Generating a P256 key.
2026/11/25 22:30:02 [INFO] [a.example] acme: Obtaining SAN certificate given a CSR
2026/11/25 22:30:03 Could not obtain certificates:
	error: one or more domains had a problem:
[a.example] acme: error: 403 :: urn:ietf:params:acme:error:unauthorized :: 404 from 192.0.2.1
"""


def test_what_the_ca_said_is_shown_and_the_clients_progress_is_not(tmp_path):
    host = RecordingHost(answers={("lego",): Result(1, "", SAID)}, programs={"lego": "/usr/bin/lego"})
    with pytest.raises(CommandError) as error:
        acme.issue(host, Layout(tmp_path, tmp_path), load(ACME, "f").stack, "request", None)
    assert "404 from 192.0.2.1" in str(error.value) and "Generating" not in str(error.value)
    assert "http://a.example/.well-known/acme-challenge/" in error.value.hint
    assert host.commands[0][:4] == ("lego", "--accept-tos", "--email", "ops@a.example")


def test_an_account_that_the_ca_forgot_is_registered_again(tmp_path):
    forgot = Result(1, "", "urn:ietf:params:acme:error:accountDoesNotExist :: not found")
    host = RecordingHost(answers={("lego",): forgot}, programs={"lego": "/usr/bin/lego"})
    layout = Layout(tmp_path, tmp_path)
    host.write(layout.acme / "accounts" / "account.json", "{}")
    with pytest.raises(CommandError):
        acme.issue(host, layout, load(ACME, "f").stack, "request", None)
    assert len(host.commands) == 2 and not host.exists(layout.acme / "accounts")


def test_missing_programs_are_named_with_their_packages(tmp_path):
    host = RecordingHost(
        programs={"nginx": "/usr/sbin/nginx", "runsvdir": "/usr/bin/runsvdir", "python3": "/usr/bin/python3"}
    )
    with pytest.raises(ConfigurationError, match="not installed: snooze, lego") as error:
        find_programs(host, load(ACME, "f").stack, Layout(tmp_path, tmp_path))
    assert error.value.hint.endswith("snooze lego")
    assert find_programs(host, load(STACK, "f").stack, Layout(tmp_path, tmp_path))
    with pytest.raises(CommandError, match="lego"):
        acme.issue(host, Layout(tmp_path, tmp_path), load(ACME, "f").stack, "request", None)


def test_a_scheduled_run_waits_for_the_lock(layout):
    heard = Quiet()
    with (
        HOST.locked(layout.lock, "ada"),
        pytest.raises(NeurmaticError, match="ada"),
        locked(HOST, layout, "timer", heard, 2.2),
    ):
        pass
    assert heard.lines == ["another command is at work on this stack: ada; waiting for its end"], "once, not each time"
    with locked(HOST, layout, "timer", heard):
        assert layout.lock.read_text() == "timer"
    assert len(heard.lines) == 1
