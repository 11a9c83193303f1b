import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from loadable import OK, Server, always, certificate, close_on_the_second, once, silent

from neurmatic.cli.main import main
from neurmatic.errors import ConfigurationError
from neurmatic.probes.ledger import Lost, summarize
from neurmatic.probes.load import Background, Load, run_load
from neurmatic.probes.target import aim, is_near

NEURMATIC = Path(sys.executable).with_name("neurmatic")


@pytest.fixture
def serve():
    servers = []

    def start(talk, tls=None):
        servers.append(Server(talk, tls))
        return servers[-1]

    yield start
    for one in servers:
        one.die()


@pytest.fixture
def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def accounted(ledger):
    """The summary of a ledger that has exactly one entry for each due request."""
    assert [round(one.due * ledger.rate, 3) for one in ledger.entries] == list(range(len(ledger.entries)))
    assert len(ledger.entries) == math.ceil(ledger.rate * ledger.seconds - 1e-9)
    summary = summarize(ledger)
    assert sum(summary.answered.values()) + sum(summary.lost.values()) == summary.due == len(ledger.entries)
    return summary


def test_every_request_is_answered_over_few_connections(serve):
    server = serve(always(OK))
    got = accounted(run_load(Load(server.url, rate=200, seconds=1, label_header="X-Instance")))
    assert got.ok and got.good == 200 and got.labels == {"api-1": 200} and got.bytes == 1000
    assert server.requests == 200 and server.connections < 100


def test_without_keep_alive_each_request_has_a_connection(serve):
    server = serve(always(OK))
    assert accounted(run_load(Load(server.url, rate=100, seconds=0.5, keep_alive=False))).ok
    assert server.connections == 50


@pytest.mark.parametrize(
    ("answer", "size"),
    [
        (OK, 5),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 5),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, 5),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 5),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 0),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n", 0),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", 5),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", 5),
    ],
)
@pytest.mark.parametrize("way", [always, once])
def test_every_way_to_frame_an_answer(serve, answer, size, way):
    if b"/1.0" in answer and way is always:
        return  # such an answer ends with its connection
    ledger = run_load(Load(serve(way(answer)).url, rate=50, seconds=0.3, timeout=3))
    assert accounted(ledger).ok, ledger.failed
    assert {one.size for one in ledger.entries} == {size}


def test_method_headers_and_body_arrive(serve):
    heard = []

    async def talk(server, reader, writer):
        while True:
            heard.append(await server.request(reader) + await reader.readexactly(4))
            writer.write(OK)

    load = Load(
        serve(talk).url + "a?b=c", 10, 0.1, method="POST", headers={"X-One": "1", "Host": "other"}, body=b"body"
    )
    assert accounted(run_load(load)).ok
    assert heard[0].startswith(b"POST /a?b=c HTTP/1.1\r\n") and heard[0].endswith(b"body")
    assert b"X-One: 1" in heard[0] and b"Host: other" in heard[0] and heard[0].lower().count(b"host:") == 1


@pytest.mark.parametrize(
    ("talk", "why"),
    [
        (once(b""), Lost.CUT),
        (once(OK[:-2]), Lost.CUT),
        (once(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"), Lost.CUT),
        (once(b"220 mail.example.org ESMTP\r\n\r\n"), Lost.MALFORMED),
        (silent, Lost.TIMED_OUT),
        (always(OK[:-2]), Lost.TIMED_OUT),
    ],
)
def test_what_has_no_answer_is_counted_by_its_reason(serve, talk, why):
    ledger = run_load(Load(serve(talk).url, rate=50, seconds=0.4, timeout=0.5))
    assert accounted(ledger).lost == {why: 20}
    assert all(one.detail and one.sent is not None for one in ledger.entries)


def test_nobody_listens(free_port):
    ledger = run_load(Load(f"http://localhost:{free_port}/", rate=50, seconds=0.4))
    assert accounted(ledger).lost == {"refused": 20}
    assert not any(one.sent for one in ledger.entries)


def test_tls_trusts_the_ca_given_and_no_other(serve, tmp_path):
    (ca, context), (other, _) = certificate(tmp_path / "one"), certificate(tmp_path / "other")
    server = serve(always(OK), context)
    assert accounted(run_load(Load(server.url, rate=50, seconds=0.4, ca=ca))).ok
    assert accounted(run_load(Load(server.url, rate=50, seconds=0.4, ca=ca, keep_alive=False))).ok
    assert accounted(run_load(Load(server.url, rate=50, seconds=0.4, ca=other))).lost == {"tls": 20}
    wrong_name = server.url.replace("localhost", "example.org")
    assert accounted(run_load(Load(wrong_name, rate=50, seconds=0.4, ca=ca, address="localhost"))).lost == {"tls": 20}


def test_tls_where_none_is_spoken(serve):
    async def talk(server, reader, writer):
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    url = serve(talk).url.replace("http:", "https:")
    assert accounted(run_load(Load(url, rate=50, seconds=0.4))).lost == {"tls": 20}


@pytest.mark.parametrize("tls", [False, True])
def test_a_connection_closed_while_idle_is_tried_again_and_counted(serve, tmp_path, tls):
    ca, context = certificate(tmp_path)
    server = serve(close_on_the_second, context if tls else None)
    ledger = run_load(Load(server.url, rate=50, seconds=1, ca=ca))
    got = accounted(ledger)
    assert got.ok and 10 <= got.retried < 50
    assert got.retried == server.connections - 1 or got.retried == server.requests - 50


def test_what_must_not_be_sent_twice_is_not(serve):
    got = accounted(run_load(Load(serve(close_on_the_second).url, rate=20, seconds=1, method="POST")))
    assert got.retried == 0 and got.lost.get("cut", 0) > 0 and got.good > 0


def test_an_answer_cut_in_its_middle_is_not_tried_again(serve):
    async def talk(server, reader, writer):
        await server.request(reader)
        writer.write(OK)
        await server.request(reader)
        writer.write(OK[:20])

    got = accounted(run_load(Load(serve(talk).url, rate=20, seconds=1)))
    assert got.retried == 0 and got.lost.get("cut", 0) > 0


def test_idle_connections_that_the_server_closed_are_seen(serve):
    server = serve(once(OK))  # closes without having said so
    got = accounted(run_load(Load(server.url, rate=20, seconds=0.5)))
    assert got.ok and server.requests == 10


def test_what_is_beyond_the_limit_of_connections_was_never_sent(serve):
    ledger = run_load(Load(serve(silent).url, rate=50, seconds=0.4, timeout=1, connections=5))
    assert accounted(ledger).lost == {"never_sent": 15, "timed_out": 5}
    assert "5 requests were in flight" in ledger.entries[-1].detail


def test_in_the_background_until_the_block_ends(serve):
    server = serve(always(OK))
    with Background(Load(server.url, rate=100, seconds=60)) as load:
        while load.progress.good < 20:
            time.sleep(0.01)
    assert load.ledger.stopped and accounted(load.ledger).ok
    assert server.requests == len(load.ledger.entries) >= 20


def test_a_load_that_is_broken_off_accounts_for_what_was_in_flight(serve):
    with Background(Load(serve(silent).url, rate=50, seconds=60, timeout=30)) as load:
        time.sleep(0.3)
        ledger = load.stop(grace=0.1)
    assert load.wait(0) and set(accounted(ledger).lost) == {"abandoned"}
    with pytest.raises(KeyError), Background(Load(serve(silent).url, rate=50, seconds=60, timeout=30)) as load:
        raise KeyError
    assert accounted(load.ledger).lost


def test_a_server_that_dies_loses_nothing_from_the_ledger(serve):
    server = serve(always(OK))
    with Background(Load(server.url, rate=200, seconds=2)) as load:
        time.sleep(0.7)
        server.die()
        load.wait()
    got = accounted(load.ledger)
    assert got.due == 400 and got.good > 50 and got.lost["refused"] > 100
    assert got.longest_gap_ms > 500


# -- against nginx


CONF = """
daemon off; pid {folder}/pid; error_log stderr; worker_processes 1;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "hello"; }} }}
}}
"""


@pytest.fixture
def nginx(tmp_path, free_port):
    (tmp_path / "nginx.conf").write_text(CONF.format(folder=tmp_path, port=free_port))
    with (tmp_path / "log").open("w") as log:
        one = subprocess.Popen(["nginx", "-p", tmp_path, "-c", tmp_path / "nginx.conf", "-e", "stderr"], stderr=log)
    one.url, one.folder = f"http://127.0.0.1:{free_port}/", tmp_path
    for _ in range(200):
        if not run_load(Load(one.url, rate=10, seconds=0.1)).failed:
            break
        time.sleep(0.05)
    yield one
    for process in family(one):
        process.kill()
    one.wait()


def family(process):
    master = psutil.Process(process.pid)
    return [master, *master.children(recursive=True)]


def test_a_pause_of_a_second_shows_as_a_second_of_slow_requests(nginx):
    with Background(Load(nginx.url, rate=200, seconds=3)) as load:
        time.sleep(1)
        stopped = family(nginx)
        for one in stopped:
            one.suspend()
        time.sleep(1)
        for one in stopped:
            one.resume()
        load.wait()
    got = accounted(load.ledger)
    assert got.good == got.due == 600
    slow = [one for one in load.ledger.entries if one.seconds > 0.05]
    assert 150 <= len(slow) <= 400
    assert got.latency_ms["max"] >= 900 and got.longest_gap_ms >= 900


def test_a_reload_fails_nothing(nginx):
    with Background(Load(nginx.url, rate=200, seconds=3)) as load:
        for _ in range(4):
            time.sleep(0.5)
            os.kill(nginx.pid, signal.SIGHUP)
        load.wait()
    got = accounted(load.ledger)
    assert got.good == got.due == 600, load.ledger.failed[:3]


def test_a_killed_nginx_leaves_every_request_accounted_for(nginx):
    with Background(Load(nginx.url, rate=200, seconds=2)) as load:
        time.sleep(1)
        for one in family(nginx):
            one.kill()
        load.wait()
    got = accounted(load.ledger)
    assert got.due == 400 and got.lost["refused"] > 50


# -- what is refused before anything is sent


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "localhost:80"}, "no URL"),
        ({"url": "ftp://localhost/"}, "no URL"),
        ({"url": "http://localhost:99999/"}, "no URL"),
        ({"url": "http://me:word@localhost/"}, "has a user"),
        ({"url": "http://localhost/a b"}, "no request can be made"),
        ({"url": "http://no-such-host.invalid/"}, "has no address"),
        ({"url": "http://8.8.8.8/"}, "neither loopback nor private"),
        ({"address": "8.8.8.8"}, "neither loopback nor private"),
        ({"url": "https://localhost/", "ca": Path("/nowhere")}, "no file of certificates"),
        ({"url": "https://localhost/", "ca": Path(__file__)}, "no file of certificates"),
        ({"method": "CONNECT"}, "tunnel"),
        ({"method": "A B"}, "no request can be made"),
        ({"headers": {"Content-Length": "5"}}, "set by the load tool"),
        ({"headers": {"X-One": "a\nb"}}, "no request can be made"),
        ({"rate": 0}, "rate"),
        ({"rate": -1}, "rate"),
        ({"rate": math.nan}, "rate"),
        ({"rate": 100_000}, "rate"),
        ({"seconds": 0}, "duration"),
        ({"seconds": 100_000}, "duration"),
        ({"rate": 2000, "seconds": 3600}, "rate times duration"),
        ({"timeout": 0}, "time limit"),
        ({"connections": 0}, "connections"),
    ],
)
def test_what_cannot_be_run_is_refused(change, message):
    with pytest.raises(ConfigurationError, match=message) as error:
        aim(Load(**{"url": "http://localhost/", "rate": 1, "seconds": 1, **change}))
    assert error.value.exit_code == 2


def test_anywhere_is_only_meant_when_said():
    assert aim(Load("http://8.8.8.8/", 1, 1, anywhere=True)).addresses == ("8.8.8.8",)


@pytest.mark.parametrize(
    ("address", "near"),
    [
        *(
            (one, True)
            for one in ("127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "::1", "fd00::1", "fe80::1%eth0")
        ),
        *((one, False) for one in ("8.8.8.8", "172.32.0.1", "2606:4700::1", "::ffff:8.8.8.8")),
    ],
)
def test_whose_machine_an_address_is(address, near):
    assert is_near(address) is near


# -- the command


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NEURMATIC_STATE", raising=False)

    def run(*words):
        code = main(["load", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_the_command_counts_in_words_and_in_json(serve, command, tmp_path):
    url = serve(always(OK)).url
    code, text, _ = command("--rate", "50", "--for", "400ms", url, "--label-header", "x-instance", "--ledger", "rows")
    assert code == 0 and "20 requests due in 0.4 s at 50/s" in text and "2xx 20" in text and "api-1 20" in text
    rows = [json.loads(line) for line in (tmp_path / "rows").read_text().splitlines()]
    assert len(rows) == 20 and all(row["good"] for row in rows)
    code, text, _ = command("--rate", "50", "--for", "400ms", url, "--json", "--expect", "404")
    summary = json.loads(text)
    assert code == 1 and not summary["ok"] and summary["due"] == 20 and summary["answered"] == {"2xx": 20}
    assert {"p50", "p90", "p99", "max"} == set(summary["latency_ms"])


def test_the_command_says_what_was_lost_and_why(free_port, command):
    code, text, _ = command("--rate", "50", "--for", "100ms", f"http://localhost:{free_port}/")
    assert code == 1 and "refused 5" in text and "127.0.0.1" in text


def test_inside_a_project_the_stacks_own_authority_is_trusted(serve, command, tmp_path):
    _, context = certificate(tmp_path / ".neurmatic" / "tls")
    words = ("--rate", "50", "--for", "100ms", serve(always(OK), context).url, "--json")
    code, text, _ = command(*words)
    assert code == 1 and json.loads(text)["lost"] == {"tls": 5}
    (tmp_path / ".neurmatic" / "tls" / "ca.pem").rename(tmp_path / ".neurmatic" / "tls" / "trust.pem")
    (tmp_path / "neurmatic.toml").write_text('[stack]\nname = "x"\n')
    assert command(*words)[0] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("http://8.8.8.8/",), "--anywhere"),
        (("http://localhost/", "--header", "nonsense"), "no header"),
        (("http://localhost/", "--body", "@/nowhere"), "No such file"),
        (("http://localhost/", "--ledger", "/nowhere/file"), "No such file"),
        (("http://localhost/", "--file", "/nowhere.toml"), "does not exist"),
    ],
)
def test_the_command_refuses_before_it_sends(command, words, message):
    code, text, errors = command("--rate", "1", "--for", "1s", *words)
    assert code == 2 and not text and message in errors


@pytest.mark.parametrize("duration", ["10", "s", "-1s", "1d", "ten seconds"])
def test_a_duration_has_a_unit(command, duration):
    with pytest.raises(SystemExit) as end:
        command("--rate", "1", f"--for={duration}", "http://localhost/")
    assert end.value.code == 2


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ended_early_it_gives_the_ledger_up_to_then(serve, tmp_path, sign, code):
    server = serve(always(OK))
    words = [NEURMATIC, "load", "--rate", "50", "--for", "1m", server.url, "--json", "--ledger", "rows"]
    one = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while server.requests < 20:
        time.sleep(0.05)
    one.send_signal(sign)
    text, errors = one.communicate(timeout=20)
    summary = json.loads(text)
    assert one.returncode == code and not errors
    assert summary["stopped"] and summary["due"] == summary["answered"]["2xx"] == server.requests
    assert len((tmp_path / "rows").read_text().splitlines()) == summary["due"] < summary["planned"] == 3000
