"""What the edge is doing, as an operator is told; and what it tells the services."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import zlib
from contextlib import suppress

import pytest
from waiting import eventually


def report(stack, code=0):
    return json.loads(stack.run("edge", "--json", code=code))


def now(stack):
    """The report as it is at this moment, whatever the exit code."""
    done = subprocess.run(stack.command("edge", "--json"), cwd=stack.folder, capture_output=True, check=False)
    return json.loads(done.stdout)


def row(stack, name):
    return next(one for one in now(stack)["upstreams"] if one["instance"] == name)


def said(stack, request):
    """What the service makes of a request that no ordinary client writes."""
    tls = ssl.create_default_context(cafile=stack.state / "tls" / "ca.pem")
    with (
        socket.create_connection(("127.0.0.1", stack.ports["https"])) as raw,
        tls.wrap_socket(raw, server_hostname="localhost") as one,
    ):
        one.sendall(request.encode())
        return json.loads(b"".join(iter(lambda: one.recv(65536), b"")).partition(b"\r\n\r\n")[2])


def test_traffic_is_accounted_for(stack):
    stack.edit(
        "[edge]",
        '[edge]\nlimits.credentials.login = { paths = ["/login"], per_minute = 2 }\n'
        'cache.paths = ["/public"]\ntrusted.cdn = "cloudflare"',
    )
    stack.run("up")
    for _ in range(4):
        stack.get("/public")
        with suppress(urllib.error.HTTPError):
            stack.get("/login")

    def all_logged():  # each of nginx's processes writes its lines when it pleases
        one = now(stack)
        return one["traffic"]["statuses"].get("4xx") == 2 and sum(one["traffic"]["cache"].values()) == 4 and one

    seen = eventually(all_logged)
    traffic = seen["traffic"]
    assert traffic["cache"] == {"HIT": 3, "MISS": 1} and traffic["hit_rate"] == 0.75
    assert traffic["refused"] == {"rate": 0, "connections": 0, "credentials": {"login": 2}, "maintenance": 0}
    assert traffic["requests"] == sum(traffic["statuses"].values()) and 0 < traffic["seconds"] < 600
    assert sum(traffic["answered"].values()) <= traffic["requests"]
    assert seen["generation"]["loaded"] == seen["generation"]["on_disk"]
    assert seen["connections"]["open"] >= 0 and seen["guard"]["alive"] and seen["guard"]["verdict_age_seconds"] < 15
    assert seen["certificate"]["names"] == ["localhost"] and seen["certificate"]["days_left"] > 30
    assert seen["trusted"]["cdn"] == "cloudflare" and seen["trusted"]["age_days"] >= 0
    text = stack.run("edge")
    for words in (
        r"app +app-2 +127.0.0.1:\d+ +in ",
        r"cache +75% of 4 answered from it: HIT 3, MISS 1",
        r"refused +rate 0, connections 0, credentials login 2",
        r"certificate +localhost: \d+ days left",
        r"trusted +cloudflare's addresses as of",
    ):
        assert re.search(words, text), text


def test_an_instance_that_hangs_is_out_and_comes_back(stack):
    pid = stack.pids()["app-2"]
    os.kill(pid, signal.SIGSTOP)
    try:
        one = eventually(lambda: (seen := row(stack, "app-2"))["state"] == "out" and seen["falls"] and seen)
        assert one["kept_out_by"] == "guard" and "no answer within" in one["reason"] and one["falls"] >= 1
        assert re.search(r"! app-2 gets no requests: /ready: no answer within", stack.run("edge", code=1))
        assert row(stack, "app-1")["state"] == "in"
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: row(stack, "app-2")["state"] == "in")
    report(stack)


def test_one_that_a_command_drained_is_told_from_one_that_is_not_ready(stack):
    drained = stack.state / "run" / "drained" / "app-1"
    drained.write_text("restarting, asked for\n")
    one = eventually(lambda: (seen := row(stack, "app-1"))["state"] == "out" and seen)
    assert (one["kept_out_by"], one["reason"]) == ("drain", "restarting, asked for") and 0 <= one["seconds"] < 30
    drained.unlink()
    eventually(lambda: row(stack, "app-1")["state"] == "in")


def test_when_none_is_ready_all_stay_in_and_the_report_says_so(stack):
    (stack.folder / "unready").touch()
    names = ("app-1", "app-2")
    eventually(lambda: all((one := row(stack, name))["reason"] and one["state"] == "in" for name in names))
    text = stack.run("edge", code=1)
    assert "app-1 gets requests though it is not ready: /ready: 503" in text
    (stack.folder / "unready").unlink()
    eventually(lambda: not any(row(stack, name)["reason"] for name in ("app-1", "app-2")))


def test_a_dead_guard_and_a_configuration_that_was_not_loaded_are_seen(stack):
    subprocess.run(["sv", "-w", "10", "down", stack.state / "services" / "guard"], check=True)
    verdicts = stack.state / "run" / "guard.json"
    verdicts.write_text(json.dumps(json.loads(verdicts.read_text()) | {"at": 0}))
    assert "the guard is not well: its last verdict is" in stack.run("edge", code=1)
    stack.run("up")
    eventually(lambda: not now(stack)["problems"])
    config = stack.state / "config" / "nginx" / "nginx.conf"
    loaded = report(stack)["generation"]["loaded"]
    config.write_text(config.read_text().replace(loaded, "123456789abc"))
    assert f"nginx goes on with configuration {loaded}, 123456789abc lies there" in stack.run("edge", code=1)
    stack.run("restart", "edge")
    assert report(stack)["generation"]["on_disk"] == loaded


def test_idle_connections_are_ended_by_the_edge_before_the_application_does(stack):
    """Else a request meets a connection that is being closed: of POSTs at that moment, one of some hundreds failed."""
    asked = {stack.get()["instance"] for _ in range(6)}
    time.sleep(5)  # the application keeps them for three
    answers = [stack.get() for _ in range(6)]
    assert asked == {"app-1", "app-2"} == {one["instance"] for one in answers}
    assert {one["ended_idle"] for one in answers} == {0}


HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))  # no settings of its own


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (HTTP2 + bytes((0, 0, 1, 1, 1, 0, 0, 0, 1, 0x82)), 0),  # headers that never come to their end: no answer
        (b"GET /\r\n", 444),  # HTTP/0.9
        (b"GET /", 400),
        (b'GET /%22"\\" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n', 200),
        (b"GET /\xff\xc3\xa4 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 200),
        (b"GET /\x7f HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400),
        (b'G"T / HTTP/1.1\r\n\r\n', 400),
        (b"\x16\x03\x01\x00\x00", 400),
    ],
)
def test_whatever_is_sent_a_line_of_the_log_is_strict_json(stack, sent, status):
    log = stack.state / "logs" / "edge" / "current"
    before, answer = log.stat().st_size, b""
    own = f"127.0.1.{1 + zlib.crc32(sent) % 250}"  # lines of other requests come as late as nginx's buffers please
    tls = ssl.create_default_context(cafile=stack.roots)
    tls.set_alpn_protocols(["h2"] if sent.startswith(HTTP2) else ["http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", stack.ports["https"]), source_address=(own, 0)) as raw,
        tls.wrap_socket(raw, server_hostname="localhost") as one,
    ):
        one.sendall(sent)
        one.settimeout(30 if sent.endswith(b"\r\n\r\n") else 1)
        with suppress(OSError):  # what is unfinished is left so
            while part := one.recv(65536):
                answer += part

    def written():
        text = log.read_bytes()
        text = text[before:] if len(text) >= before else text  # svlogd may have begun a new file
        lines = [line for line in text.splitlines(keepends=True) if line.startswith(b"{") and line.endswith(b"\n")]
        return [line for line in map(strict, lines) if line["client"] == own]

    lines = eventually(written, seen=lambda: f"no line of {own}; the answer is {answer!r}")
    assert [line["status"] for line in lines] == [status], (lines, answer)
    if sent.endswith(b"\r\n\r\n"):
        assert answer.startswith(b"HTTP/1.1 %d " % status)


def headers_frame(*more):
    """HTTP/2: POST https://localhost/ and no end of the stream."""
    block = b"\x83\x87\x84\x41\x09localhost" + b"".join(more)
    return len(block).to_bytes(3, "big") + bytes((1, 4, 0, 0, 0, 1)) + block


def limit_bodies(stack):
    if "body_seconds" not in stack.file.read_text():
        stack.edit("[edge]", '[edge]\nbody_size = "1m"\nlimits.body_seconds = 2')
        stack.run("up")


ONE_BYTE = bytes((0, 0, 1, 0, 0, 0, 0, 0, 1)) + b"x"  # HTTP/2: of the same stream's body
CUT_OFF = bytes((3, 0, 0, 0, 0, 1))  # HTTP/2: RST_STREAM of it


@pytest.mark.parametrize(
    ("head", "drip"),
    [
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n", b"x"),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (HTTP2 + headers_frame(b"\x0f\x0d\x041000"), ONE_BYTE),
        (HTTP2 + headers_frame(), ONE_BYTE),
    ],
    ids=["length", "chunks", "http2-length", "http2"],
)
def test_a_body_that_dribbles_in_is_cut_off(stack, head, drip):
    limit_bodies(stack)
    tls = ssl.create_default_context(cafile=stack.roots)
    tls.set_alpn_protocols(["h2"] if head.startswith(HTTP2) else ["http/1.1"])
    seen = b""
    with (
        socket.create_connection(("127.0.0.1", stack.ports["https"])) as raw,
        tls.wrap_socket(raw, server_hostname="localhost") as one,
    ):
        one.settimeout(0.2)
        begun = time.monotonic()
        one.sendall(head)

        def cut_off():
            nonlocal seen
            read = None
            with suppress(TimeoutError):
                one.sendall(drip)
                read = one.recv(65536)
            seen += read or b""
            return read == b"" or CUT_OFF in seen

        eventually(cut_off)
    assert time.monotonic() - begun > 1.9, f"ended before body_seconds: {seen!r}"
    assert b"HTTP/1.1 200" not in seen


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize(
    "header",
    [["--header", "Content-Length: 100000", "--header", "Transfer-Encoding:"], []],
    ids=["length", "no-length"],
)
def test_a_body_that_takes_its_time_arrives(stack, version, header):
    """20 kB a second, for longer than a client may be silent."""
    limit_bodies(stack)
    words = ["curl", "--silent", "--show-error", "--cacert", stack.roots, version, *header]
    words += ["--request", "POST", "--upload-file", "-", f"{stack.url}/"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        for _ in range(20):
            client.stdin.write(b"x" * 5000)
            client.stdin.flush()
            time.sleep(0.25)
        answer, _ = client.communicate(timeout=20)
    assert json.loads(answer)["received"] == 100_000


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_a_body_that_did_not_say_how_long_it_is_gets_no_longer_than_allowed(stack, version):
    limit_bodies(stack)
    words = ["curl", "--silent", "--cacert", stack.roots, version, "--write-out", "\n%{http_code}"]
    done = subprocess.run(
        [*words, "--request", "POST", "--upload-file", "-", f"{stack.url}/"],
        input=b"x" * 2_000_000,
        capture_output=True,
        check=False,
        timeout=60,
    )
    body, _, status = done.stdout.rpartition(b"\n")
    assert status == b"413" and json.loads(body)["title"] == "The request is too large", done


def strict(line):
    """As JSON is written down: UTF-8, and no constants of Python's own."""
    return json.loads(line.decode("utf-8", errors="strict"), parse_constant=pytest.fail)


def test_without_an_edge_it_says_what_to_do(new):
    assert "neurmatic up" in new.run("edge", code=2)
    new.run("up")
    new.run("down")
    text = new.run("edge", code=1)
    assert "the edge does not run" in text and "neurmatic up" in text


@pytest.mark.parametrize(
    ("line", "host", "heard"),
    [
        ("/", "localhost:{https}", "localhost:{https}"),
        ("/", "LOCALHOST", "LOCALHOST"),
        ("https://localhost:{https}/", "evil.example", "localhost"),
        ("https://localhost/", "localhost.evil.example", "localhost"),
    ],
)
def test_services_hear_no_host_but_ours(stack, line, host, heard):
    request = f"GET {line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".format(**stack.ports)
    assert said(stack, request).get("host") == heard.format(**stack.ports)


def test_a_folder_of_files_is_not_left_by_its_name(stack):
    (stack.folder / "public").mkdir()
    (stack.folder / "public" / "open.json").write_text('{"file": "open"}')
    (stack.folder / "private.json").write_text('{"file": "private"}')
    stack.edit("[edge]", '[edge]\nstatic = { "/files" = "public" }')
    stack.run("up")
    for path, file in (("/files/open.json", "open"), ("/files../private.json", None), ("/files/../private.json", None)):
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert said(stack, request).get("file") == file
