"""The load tool's account: each due request has its entry, whatever the server does."""

import os
import time
from pathlib import Path

import pytest
from loadable import OK, accounted, always, certificate, close_on_the_second, once, silent

from neurmatic.probes.ledger import Lost
from neurmatic.probes.load import Background, Load, run_load


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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may take more than its share of a processor")
def test_the_load_comes_first_on_a_busy_machine_and_nothing_else_does(serve):
    with Background(Load(serve(always(OK)).url, rate=50, seconds=60)):
        tasks = [int(task.name) for task in Path("/proc/self/task").iterdir()]
        favoured = [task for task in tasks if os.getpriority(os.PRIO_PROCESS, task) < 0]
        assert len(favoured) == 1
        assert os.getpriority(os.PRIO_PROCESS, 0) == 0


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
