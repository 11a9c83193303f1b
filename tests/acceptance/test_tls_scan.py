"""The edge's TLS seen by others' eyes: sslyze, with Mozilla's "intermediate" recommendation and the holes it knows."""

import json
import os
import re
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from loadable import OK, Server, always, certificate
from waiting import eventually

from neurmatic.hosts.processes import tree

ALLOW_CLIENT_RENEGOTIATION = 1 << 8  # OpenSSL's number; Python has no name for it
SCANNER = Path(__file__).parents[2] / "build" / "sslyze" / "bin" / "sslyze"

# What the scanner finds and we choose. A finding that isn't here fails, and so does a reason for none.
REASONS = {
    "tls_curves: X448": "OpenSSL's own choice, none of it weak; a list of ours would keep out what newer ones begin with, "
    "such as X25519MLKEM768",
    "tls_curves: secp521r1": "the same",
    "maximum_certificate_lifespan": "the stack's own CA, for development alone; 397 days is what browsers take",
}


def findings(port, ca, folder):
    """What the scanner says against the server at this port, each as `what` or `what: which`."""
    assert SCANNER.exists(), "`make build/sslyze/.installed` installs the scanner"
    out = folder / "scan.json"
    words = [SCANNER, "--mozilla_config=intermediate", "--early_data", "--resum", f"--certinfo_ca_file={ca}"]
    done = subprocess.run(
        [*words, f"--json_out={out}", f"localhost:{port}{{127.0.0.1}}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    verdict = done.stdout.partition("COMPLIANCE AGAINST TLS CONFIGURATION")[2]
    assert re.search(rf"localhost:{port}: (OK - Compliant|FAILED - Not compliant)", verdict), done.stdout + done.stderr
    found = set()
    for what, words in re.findall(r"^ +\* (\w+): (.*)$", verdict, re.MULTILINE):
        found |= {f"{what}: {which}" for which in re.findall(r"'([^']+)'", words)} or {what}
    return found | beside(json.loads(out.read_text())["server_scan_results"][0]["scan_result"])


def beside(scans):
    """What Mozilla's recommendation leaves open."""
    assert {one["status"] for one in scans.values()} <= {"COMPLETED", "NOT_SCHEDULED"}, scans
    seen = {name: one["result"] for name, one in scans.items()}
    resumption = seen["session_resumption"]
    open_questions = {
        "no TLS 1.3": not seen["tls_1_3_cipher_suites"]["is_tls_version_supported"],
        "no TLS 1.2": not seen["tls_1_2_cipher_suites"]["is_tls_version_supported"],
        "a client may renegotiate": seen["session_renegotiation"]["is_vulnerable_to_client_renegotiation_dos"],
        "early data, which can be replayed": seen["tls_1_3_early_data"]["supports_early_data"],
        "ROBOT": seen["robot"]["robot_result"].startswith("VULNERABLE"),
        "session tickets": resumption["tls_ticket_resumption_result"] != "NOT_SUPPORTED",
        "no session is taken up again": resumption["session_id_resumption_result"] != "FULLY_SUPPORTED",
    }
    suites = [one["cipher_suite"]["name"] for one in seen["tls_1_2_cipher_suites"]["accepted_cipher_suites"]]
    return {what for what, is_so in open_questions.items() if is_so} | {
        f"not ECDHE: {name}" for name in suites if not name.startswith("TLS_ECDHE_")
    }


@contextmanager
def sabotaged(stack, old, new):
    """The edge with this in the place of that, loaded; at the end as it was."""
    config = stack.state / "config" / "nginx" / "nginx.conf"
    genuine = config.read_text()
    assert old in genuine
    try:
        config.write_text(genuine.replace(old, new))
        reload(stack)
        yield
    finally:
        config.write_text(genuine)
        reload(stack)


def reload(stack):
    """Load the configuration, and wait until none of the workers from before is left."""
    master = stack.pids()["edge"]
    before = set(tree(master)) - {master}
    os.kill(master, signal.SIGHUP)
    eventually(lambda: not before & set(tree(master)))


def test_no_finding_is_left_unexplained(stack, tmp_path):
    assert findings(stack.ports["https"], stack.roots, tmp_path) == set(REASONS)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("TLSv1.2 TLSv1.3;\n    ssl_ciphers ", "TLSv1.1 TLSv1.2 TLSv1.3;\n    ssl_ciphers ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0:", "tls_versions: TLSv1.1"),
        ("TLSv1.2 TLSv1.3;\n    ssl_ciphers ", "TLSv1 TLSv1.2 TLSv1.3;\n    ssl_ciphers ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0:", "tls_versions: TLSv1"),
        ("ssl_ciphers ", "ssl_ciphers ECDHE-ECDSA-AES128-SHA:", "ciphers: TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"),
        ("ssl_ciphers ", "ssl_ciphers aNULL:@SECLEVEL=0:", "not ECDHE: TLS_ECDH_anon_WITH_AES_128_CBC_SHA"),
        ("ssl_session_tickets off", "ssl_session_tickets on", "session tickets"),
        ("ssl_session_cache shared:tls:50m", "ssl_session_cache off", "no session is taken up again"),
        ("ssl_session_tickets off;", "ssl_session_tickets on; ssl_early_data on;", "early data, which can be replayed"),
        ("TLSv1.2 TLSv1.3;", "TLSv1.2;", "no TLS 1.3"),
    ],
)  # fmt: skip
def test_what_is_sabotaged_is_found(stack, tmp_path, old, new, words):
    with sabotaged(stack, old, new):
        found = findings(stack.ports["https"], stack.roots, tmp_path)
    assert words in found - REASONS.keys(), found


def test_a_server_that_lets_clients_renegotiate_is_found(tmp_path):
    """nginx can't be made to."""
    ca, context = certificate(tmp_path)
    context.options |= ALLOW_CLIENT_RENEGOTIATION
    server = Server(always(OK), context)
    try:
        found = findings(server.port, ca, tmp_path)
    finally:
        server.die()
    assert "a client may renegotiate" in found and "session tickets" in found, found
