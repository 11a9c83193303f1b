"""Certificates from a real ACME server, issued and renewed under load; and everything that can go wrong with them."""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from cryptography import x509
from pebble import BLOCKED, Pebble, free_ports
from waiting import eventually

from neurmatic.probes.http import request

HOST = "demo.example"


class AcmeStack:
    """A stack of one service for a public name, whose CA is a pebble of its own; the rest is a stack's as any."""

    def __init__(self, plain, *, low_ports=False, **options):
        self.plain, self.ports, self.file = plain, plain.ports, plain.file
        if low_ports:
            self._move_below_1024()
        self.pebble = Pebble(self.ports["http"], **options)
        text = self.file.read_text()
        text = re.sub(r"\[postgres\].*", "", text, flags=re.DOTALL).replace('needs = ["postgres", "redis"]\n', "")
        text = text.replace("[stack]", f'[stack]\nhost = "{HOST}"')
        self.file.write_text(
            f'{text}[tls]\ncertificates = "acme"\nacme_email = "ops@demo.example"\nacme_directory = "{self.pebble.directory}"\n'
            f'ca = "{self.pebble.roots}"\nnames = []\n'
        )
        self.url = f"https://{HOST}:{self.ports['https']}"

    def _move_below_1024(self):
        text = self.file.read_text()
        for name in ("https", "http"):
            port = next(p for p in range(700, 1000) if _is_free(p) and p not in self.ports.values())
            text = text.replace(f"{name}_port = {self.ports[name]}", f"{name}_port = {port}")
            self.ports[name] = port
        self.file.write_text(text)

    def __getattr__(self, name):
        return getattr(self.plain, name)

    @property
    def roots(self):
        return self.pebble.roots

    def get(self, path="/", timeout=10):
        """As a client that trusts the CA's root, and no intermediate: the chain must come from the edge."""
        answer = request(self.url + path, ca=self.pebble.roots, address="127.0.0.1", timeout=timeout)
        assert answer.status == 200, answer
        return answer.json()

    def served(self, name=HOST):
        """The certificate of a handshake, without a client's objections to it."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection(("127.0.0.1", self.ports["https"]), timeout=5) as raw,
            context.wrap_socket(raw, server_hostname=name) as tls,
        ):
            return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True))

    def shown(self, code=0):
        return json.loads(self.run("certificates", "--json", code=code))

    def remove(self):
        self.plain.remove()
        self.pebble.remove()


@pytest.fixture(scope="module")
def issued(stack_dir):
    one = AcmeStack(stack_dir())
    one.first = one.run("up")
    yield one
    one.remove()


@pytest.fixture
def acme(issued):
    """The module's stack, its CA answering, with a certificate that is whole."""
    if issued.pebble.process.poll() is not None:
        issued.pebble.start()
        issued.run("certificates", "renew", "--force")
    return issued


@pytest.fixture
def make_acme(stack_dir):
    made = []

    def make(**options):
        made.append(AcmeStack(stack_dir(options.pop("user", None)), **options))
        return made[-1]

    yield make
    for one in made:
        one.remove()


def test_the_first_up_issues_and_clients_trust_it(acme):
    assert "one of the stack's own CA stands in until the CA has issued" in acme.first
    assert "certificate: serves" in acme.first
    assert acme.get("/")
    one = acme.shown()
    assert one["names"] == [HOST] and one["source"] == acme.pebble.directory and one["problems"] == []
    assert "Pebble" in one["issuer"] and one["key"] == "EC secp256r1" and 89 < one["days_left"] <= 90
    assert one["serial"] == f"{acme.served().serial_number:x}"
    assert "there is nothing to staple" in acme.run("certificates")
    assert "nothing to change" in acme.run("plan")


def test_the_key_is_for_nginx_alone(acme):
    one = acme.state / "tls" / "edge.pem"
    assert one.stat().st_mode & 0o777 == 0o600
    if os.geteuid() == 0:
        assert one.owner() == "nobody"
        client = acme.state / "acme"
        assert client.owner() == "nobody" and client.stat().st_mode & 0o777 == 0o700


def test_it_is_renewed_under_load_without_a_failed_request(acme, load):
    before = acme.served().serial_number
    with load(acme, keep_alive=False) as under:
        for _ in range(2):
            assert "certificate: serves" in acme.run("certificates", "renew", "--force")
    print(f"{under.answered} answered, {len(under.failed)} failed")
    assert under.answered > 100 and not under.failed, under.failed[:3]
    assert acme.served().serial_number != before
    assert "nothing to do" in acme.run("certificates", "renew")
    assert "nothing to change" in acme.run("plan")
    events = [e for e in json.loads(acme.run("events", "--json")) if e["action"] == "certificate"]
    assert events[-1]["result"] == "done" and events[-1]["source"] == acme.pebble.directory


def test_the_stacks_own_timer_renews_under_an_empty_environment(acme):
    status = json.loads(acme.run("status", "--json"))
    row = next(one for one in status["services"] if one["instance"] == "timer-renew")
    assert row["state"] == "running" and re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:00 UTC", row["next_run"])
    assert acme.shown()["next_run"] == row["next_run"]
    assert f"timer-renew runs next at {row['next_run']}" in acme.run("status")
    # Its time comes at once: snooze takes SIGALRM for that. What runs then is what runs at its time.
    environment = Path(f"/proc/{row['pid']}/environ").read_text().split("\0")
    assert {one.partition("=")[0] for one in environment if one} <= {
        "PATH",
        "LANG",
        "TZ",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "_",
    }
    before = len(_attempts(acme))
    os.kill(row["pid"], signal.SIGALRM)
    eventually(lambda: acme.pids()["timer-renew"] != row["pid"], 30)
    assert "nothing to do" in acme.run("logs", "timer-renew")
    assert len(_attempts(acme)) == before and acme.status()["timer-renew"]["restarts"] == 0


def test_a_run_that_was_missed_is_made_up_for_at_the_next_start(acme):
    last_run = acme.state / "timers" / "timer-renew"
    yesterday = time.time() - 86400
    os.utime(last_run, (yesterday, yesterday))
    known = acme.run("logs", "timer-renew").count("nothing to do")
    acme.run("restart", "timer-renew")
    eventually(lambda: acme.run("logs", "timer-renew").count("nothing to do") > known)
    assert last_run.stat().st_mtime > time.time() - 60


def test_a_short_lived_one_is_renewed_by_the_timer_when_it_is_due(make_acme, load):
    stack = make_acme(seconds=150)
    stack.run("up")
    before = stack.served()
    lifetime = (before.not_valid_after_utc - before.not_valid_before_utc).total_seconds()
    time.sleep(max(0, before.not_valid_after_utc.timestamp() - lifetime / 3 - time.time()) + 1)
    with load(stack, keep_alive=False) as under:
        os.kill(stack.pids()["timer-renew"], signal.SIGALRM)
        eventually(lambda: stack.served().serial_number != before.serial_number, 45)
        time.sleep(1)
    print(f"{under.answered} answered, {len(under.failed)} failed")
    assert under.answered > 50 and not under.failed, under.failed[:3]
    eventually(
        lambda: _attempts(stack)[-1]["why"].startswith("it ends at")
    )  # noted once every handshake shows the new one


def test_with_the_ca_down_the_old_one_goes_on_serving(acme, load):
    before = acme.served().serial_number
    acme.pebble.stop()
    with load(acme, keep_alive=False) as under:
        said = acme.run("certificates", "renew", "--force", code=1)
    assert "connection refused" in said and "the one that serves stays" in said and "next:" in said
    assert acme.served().serial_number == before and not under.failed
    assert "connection refused" in acme.run("certificates")
    assert "nothing to change" in acme.run("up")
    assert _attempts(acme)[-1]["result"] == "failed"


def test_without_a_ca_the_first_up_says_so_and_serves_meanwhile(make_acme):
    stack = make_acme()
    stack.pebble.stop()
    said = stack.run("up", code=1)
    assert "connection refused" in said
    assert "Neurmatic local CA" in stack.served().issuer.rfc4514_string()
    assert "stands in" in " ".join(stack.shown(code=1)["problems"])
    stack.pebble.start()
    assert f"1. issue {HOST}: it comes from the stack's own CA" in stack.run("plan")
    stack.run("up")
    assert stack.get("/") and stack.shown()["problems"] == []


def test_a_name_that_the_ca_refuses_is_said_and_changes_nothing(acme):
    before = acme.served().serial_number
    acme.edit("names = []", f'names = ["{BLOCKED}"]')
    try:
        said = acme.run("certificates", "renew", code=1)
        assert BLOCKED in said and "rejectedIdentifier" in said
        assert acme.served().serial_number == before and acme.get("/")
    finally:
        acme.edit(f'names = ["{BLOCKED}"]', "names = []")


def test_a_further_name_is_issued_for_and_leads_to_the_one_host(acme):
    acme.edit("names = []", f'names = ["www.{HOST}"]')
    try:
        acme.run("up")
        assert set(acme.shown()["names"]) == {HOST, f"www.{HOST}"}
        url = acme.url.replace(HOST, f"www.{HOST}") + "/x?y=1"
        answer = request(url, ca=acme.pebble.roots, address="127.0.0.1")
        assert (answer.status, answer.headers["location"]) == (301, acme.url + "/x?y=1")
        assert acme.get("/")
    finally:
        acme.edit(f'names = ["www.{HOST}"]', "names = []")
        acme.run("up")


@pytest.mark.parametrize("moment", ["acme/request.pem", "acme/certificates", "tls/trust.pem", "tls/edge.pem"])
def test_killed_in_the_middle_of_a_renewal_it_serves_and_the_next_run_mends_it(acme, moment):
    before, file = acme.served().serial_number, acme.state / moment
    if file.is_dir():
        shutil.rmtree(file)  # as a renewal begins; the new folder may get the number that the old one leaves
    changed = _inode(file)
    begun = subprocess.Popen(
        acme.command("certificates", "renew", "--force"), cwd=acme.folder, stdout=subprocess.DEVNULL
    )
    while _inode(file) in (changed, None):
        assert begun.poll() is None
        time.sleep(0.001)
    begun.send_signal(signal.SIGKILL)
    begun.wait()
    assert acme.get("/")
    installed = x509.load_pem_x509_certificate((acme.state / "tls" / "edge.pem").read_bytes()).serial_number
    acme.run("certificates", "renew")
    assert acme.get("/") and acme.served().serial_number == installed
    assert (installed != before) == (moment == "tls/edge.pem") or moment == "tls/trust.pem"  # a moment before it
    assert acme.shown()["problems"] == [] and "nothing to change" in acme.run("plan")
    acme.run("certificates", "renew", "--force")
    assert acme.served().serial_number != installed


def _inode(path):
    return path.stat().st_ino if path.exists() else None


def test_the_challenge_path_is_http_and_everything_else_is_led_to_https(acme):
    folder = acme.state / "acme" / "challenges" / ".well-known" / "acme-challenge"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "token").write_text("answer")
    base = f"http://{HOST}:{acme.ports['http']}"
    answer = request(f"{base}/.well-known/acme-challenge/token", address="127.0.0.1")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"answer", "text/plain; charset=utf-8")
    assert request(f"{base}/.well-known/acme-challenge/other", address="127.0.0.1").status == 404
    assert request(f"{base}/.well-known/acme-challenge/../../request.pem", address="127.0.0.1").status in (301, 400)
    answer = request(f"{base}/a?b=1", address="127.0.0.1")
    assert (answer.status, answer.headers["location"]) == (301, acme.url + "/a?b=1")


def test_if_the_tool_is_gone_everything_serves_and_only_renewal_stops(acme):
    run = acme.state / "services" / "timer-renew" / "run"
    text = run.read_text()
    pid = acme.pids()["timer-renew"]
    run.write_text(re.sub(r"\S+/python\S* -m neurmatic", "/nonexistent/python -m neurmatic", text))
    try:
        subprocess.run(["sv", "restart", run.parent], check=True, capture_output=True)
        pid = eventually(lambda: (now := acme.pids()["timer-renew"]) != pid and now)
        eventually(lambda: Path(f"/proc/{pid}/comm").read_text() == "snooze\n")
        failed = acme.status()["timer-renew"]["restarts"]
        os.kill(pid, signal.SIGALRM)
        row = eventually(lambda: (one := acme.status()["timer-renew"])["restarts"] == failed + 1 and one)
        assert row["state"] in ("running", "restarting") and acme.get("/")
        assert "not found" in acme.run("logs", "timer-renew")
    finally:
        run.write_text(text)
        acme.run("restart", "timer-renew")


def test_verify_sees_it(acme):
    acme.run("up")
    report = json.loads(acme.run("verify", "edge.certificates", "edge.ocsp", "--json"))
    assert [one["status"] for one in report["findings"]] == ["pass", "pass"], report


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give away the right to listen below 1024")
def test_the_ports_of_the_web_are_served_without_roots_rights(make_acme):
    stack = make_acme(low_ports=True)
    stack.run("up")
    assert stack.get("/") and stack.shown()["problems"] == []
    pid = stack.pids()["edge"]
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert status["Uid"].split()[0] != "0" and int(status["CapEff"], 16) == 1 << 10  # CAP_NET_BIND_SERVICE alone
    stack.run("certificates", "renew", "--force")
    stack.run("restart", "edge")
    assert stack.get("/")


def test_an_ordinary_user_gets_and_renews_one_too(make_acme, ordinary_user):
    stack = make_acme(user=ordinary_user)
    stack.run("up")
    pid = stack.pids()["timer-renew"]
    stack.run("certificates", "renew", "--force")
    os.kill(pid, signal.SIGALRM)
    eventually(lambda: "nothing to do" in stack.run("logs", "timer-renew"))
    assert stack.get("/") and stack.shown()["problems"] == []


def test_stapled_where_the_ca_offers_ocsp(make_acme):
    port = free_ports(1)[0]
    stack = make_acme(ocsp_port=port)
    stack.run("up")
    one = stack.shown()
    assert one["ocsp"] == f"http://127.0.0.1:{port}"
    report = json.loads(stack.run("verify", "edge.ocsp", "--json", code=1))
    assert "no response" in report["findings"][0]["evidence"], "nobody answers there yet"
    with responder(stack, port):
        stack.run("restart", "edge")
        report = json.loads(stack.run("verify", "edge.ocsp", "--json"))
        assert "stapled" in report["findings"][0]["evidence"]


class responder:  # noqa: N801  used as a function
    """A real OCSP responder for what the stack's CA issued: openssl's, with the CA's own key."""

    def __init__(self, stack, port):
        folder = stack.pebble.folder
        (folder / "issuer.pem").write_text(stack.pebble.ask("/intermediates/0"))
        (folder / "issuer-key.pem").write_text(stack.pebble.ask("/intermediate-keys/0"))
        serial = f"{stack.served().serial_number:X}"
        serial = "0" * (len(serial) % 2) + serial
        (folder / "index.txt").write_text(f"V\t400101000000Z\t\t{serial}\tunknown\t/CN={HOST}\n")
        self.argv = [
            *("openssl", "ocsp", "-port", str(port), "-index", folder / "index.txt", "-CA", folder / "issuer.pem"),
            *("-rsigner", folder / "issuer.pem", "-rkey", folder / "issuer-key.pem", "-ndays", "1"),
        ]

    def __enter__(self):
        self.process = subprocess.Popen(self.argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def test_a_file_of_ones_own_is_taken_checked_and_loaded(acme, make_stack, load):
    other = make_stack()
    other.run("up")
    first = json.loads(other.run("certificates", "--json"))
    bundle = (other.state / "tls" / "edge.pem").read_text()
    (other.folder / "own.pem").write_text(bundle)
    other.edit("[postgres]", '[tls]\ncertificates = "files"\ncertificate = "own.pem"\nkey = "own.pem"\n[postgres]')
    other.run("up")
    assert json.loads(other.run("certificates", "--json"))["source"] == "files"
    (other.folder / "own.pem").write_text((acme.state / "tls" / "edge.pem").read_text())  # somebody else's name
    said = other.run("certificates", "renew", code=1)
    assert "not for localhost" in said and "the one before stays" in said
    (other.folder / "own.pem").write_text(bundle.split("-----BEGIN CERT")[0])
    assert "nothing was changed" in other.run("up", code=2)
    assert json.loads(other.run("certificates", "--json"))["serial"] == first["serial"]
    assert other.get("/")


def _attempts(stack):
    return [
        e for e in json.loads(stack.run("events", "--json")) if e["action"] == "certificate" and e["result"] != "begun"
    ]


def _is_free(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) != 0
