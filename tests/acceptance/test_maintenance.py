"""The edge closed for maintenance and opened again: who gets what meanwhile, and that nothing is lost by it."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from waiting import eventually

from neurmatic.probes.http import request
from neurmatic.probes.tls import Place, opened
from neurmatic.probes.websocket import through_edge
from neurmatic.stack.headers import NAMES

EDGE_APP = Path(__file__).parents[1] / "readiness" / "edge_app.py"
STACK = """
[stack]
name = "closing"
user = "nobody"
[edge]
https_port = {https}
http_port = {http}
control_port = {control}
limits.connections = 1000
limits.rate = 1000
limits.burst = 1000
cache.paths = ["/api/list"]
websocket.paths = ["/api/live"]
cors.origins = ["https://friend.example"]
trusted.networks = ["127.0.0.5"]
maintenance.allow = []
[site]
root = "site"
[services.app]
command = ["python3", "edge_app.py"]
instances = 2
ports = "{first}-{last}"
routes = ["/api/"]
drain = 0
stop_timeout = 5
health.ready = "/api/health/ready"
health.live = "/api/health/live"
"""
OTHER = {"source": "127.0.0.9"}


@pytest.fixture(scope="module")
def one(stack_dir):
    """A site, an API with a cache and a websocket, and nothing behind them."""

    class Closing(stack_dir):
        def ask(self, path="/", **options):
            return request(self.url + path, ca=self.roots, address="127.0.0.1", **options)

        def ask_http(self, path):
            return request(f"http://localhost:{self.ports['http']}{path}", address="127.0.0.1")

        def maintenance(self, word):
            return json.loads(self.run("maintenance", word, "--json"))

        def switch(self):
            return (self.state / "maintenance" / "switch.conf").read_text()

        def websocket(self, source=None):
            place = Place("127.0.0.1", self.ports["https"], "localhost", self.roots, source)
            return through_edge(place, self.url, "/api/live")

    stack = Closing()
    stack.original = STACK.format(**stack.ports)
    stack.file.write_text(stack.original)
    shutil.copy(EDGE_APP, stack.folder)
    (stack.folder / "site").mkdir()
    (stack.folder / "site" / "index.html").write_text("<h1>the site</h1>")
    (stack.folder / "announced").mkdir()
    stack.run("up")
    yield stack
    stack.remove()


@pytest.fixture
def stack(one):
    """It, open to everybody and as it was written, when the test begins."""
    one.file.write_text(one.original)
    one.run("maintenance", "off")
    assert one.ask().status == 200
    return one


def test_on_and_off_under_load_lose_nothing(stack, load):
    """Before, 200; from when `on` ends to when `off` begins, 503 and nothing else; 200 afterwards."""
    good = frozenset({200, 503})
    moments = []
    with (
        load(stack, expect=good) as site,
        load(stack, "/api/list", expect=good) as cached,
        load(stack, "/api/health/ready") as health,
    ):
        time.sleep(1)
        for word in ("on", "off"):
            moments.append(time.time())
            stack.run("maintenance", word)
            moments.append(time.time())
            time.sleep(1)
    on_begun, on_done, off_begun, off_done = moments
    for under in (site, cached):
        assert under.answered > 100 and not under.failed, under.failed[:3]
        assert not any(entry.lost for entry in under.ledger.entries)
        for entry in under.ledger.entries:
            sent, ended = under.ledger.begun_at + entry.due, under.ledger.begun_at + entry.ended
            if ended < on_begun or sent > off_done:
                assert entry.status == 200, entry
            elif on_done < sent and ended < off_begun:
                assert entry.status == 503, entry
        assert {entry.status for entry in under.ledger.entries} == good
    assert health.answered > 100 and not health.failed, health.failed[:3]


def test_the_site_gets_a_page_and_the_api_problem_details(stack):
    stack.edit("maintenance.allow = []", 'maintenance.retry_after = 77\nmaintenance.message = "Back <soon> \\"$\\\\"')
    stack.run("maintenance", "on")
    for path in ("/", "/nothing/here", "/index.html"):
        answer = stack.ask(path)
        assert (answer.status, answer.headers["content-type"]) == (503, "text/html; charset=utf-8"), answer.fields
        text = answer.body.decode()
        assert "<h1>Closed for maintenance</h1>" in text and "Back &lt;soon&gt; &quot;$\\" in text, text
        assert answer.headers["x-request-id"] in text and "$request_id" not in text
    for path in ("/api/list", "/api/nothing", "/api/auth/login", "/api/live?x=1"):
        for method in ("GET", "POST", "DELETE"):
            answer = stack.ask(path, method=method, body=b"x" * 100 if method == "POST" else None)
            assert (answer.status, answer.headers["content-type"]) == (503, "application/problem+json")
            assert answer.json() == {
                "type": "about:blank",
                "title": "Closed for maintenance",
                "status": 503,
                "detail": 'Back <soon> "$\\',
                "request_id": answer.headers["x-request-id"],
            }
            assert answer.headers["retry-after"] == "77" and answer.headers["cache-control"] == "no-store"
            assert "x-release" not in answer.headers, "no instance was asked"
    assert stack.ask("/", method="HEAD").status == 503


def test_headers_come_exactly_once_and_preflights_are_answered(stack):
    friend = {"Origin": "https://friend.example"}
    stack.run("maintenance", "on")
    for path in ("/", "/api/list"):
        answer = stack.ask(path, headers=friend)
        assert answer.status == 503
        sent = [NAMES[field] for field in NAMES]
        for name in (
            *sent,
            "Retry-After",
            "Cache-Control",
            "X-Request-ID",
            "Access-Control-Allow-Origin",
            "Content-Type",
        ):
            assert len(answer.every(name)) == 1, (path, name, answer.fields)
        assert answer.headers["access-control-allow-origin"] == "https://friend.example"
        strange = stack.ask(path, headers={"Origin": "https://strange.example"})
        assert strange.status == 503 and "access-control-allow-origin" not in strange.headers
    answer = stack.ask("/api/list", method="OPTIONS", headers={**friend, "Access-Control-Request-Method": "PUT"})
    assert answer.status == 204 and "PUT" in answer.headers["access-control-allow-methods"]
    assert stack.ask("/api/list", method="OPTIONS", headers=friend).status == 503, "no preflight"


def test_health_redirects_and_a_cas_questions_are_answered_as_ever(stack):
    challenges = stack.state / "acme" / "challenges"
    challenges.joinpath(".well-known/acme-challenge").mkdir(parents=True, exist_ok=True)
    challenges.joinpath(".well-known/acme-challenge/token").write_text("token.key")
    stack.run("maintenance", "on")
    for path in ("/api/health/ready", "/api/health/live"):
        for answer in (stack.ask(path), stack.ask_http(path)):
            assert answer.status == 200 and answer.headers["x-release"] and "x-cache" not in answer.headers
        assert stack.ask(path + "/").status == stack.ask(path + "%0a").status == 503
    (stack.folder / "unready-app-1").touch()
    (stack.folder / "unready-app-2").touch()
    try:
        answer = stack.ask("/api/health/ready")
        assert answer.status == 503 and answer.headers["x-release"], "an instance's own word"
    finally:
        (stack.folder / "unready-app-1").unlink()
        (stack.folder / "unready-app-2").unlink()
    assert stack.ask_http("/.well-known/acme-challenge/token").body == b"token.key"
    assert stack.ask_http("/a").headers["location"] == f"{stack.url}/a"


@pytest.mark.parametrize(
    ("request_", "status"),
    [(b'G"T / HTTP/1.1\r\n\r\n', 400), (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 99_000, 431)],
)
def test_what_can_not_be_read_is_said_to_be_so(stack, request_, status):
    stack.run("maintenance", "on")
    with opened(Place("127.0.0.1", stack.ports["https"], "localhost", stack.roots)) as one:
        one.sendall(request_)
        head, _, body = b"".join(iter(lambda: one.recv(65536), b"")).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()) and f'"status":{status},'.encode() in body, head + body


def test_what_the_cache_holds_is_kept_from_those_refused(stack):
    stack.ask("/api/list")
    assert stack.ask("/api/list").headers["x-cache"] == "HIT"
    stack.edit("maintenance.allow = []", 'maintenance.allow = ["127.0.0.9"]')
    stack.run("maintenance", "on")
    answer = stack.ask("/api/list")
    assert answer.status == 503 and b"fetch" not in answer.body and "x-cache" not in answer.headers
    assert stack.ask("/api/list", **OTHER).headers["x-cache"] == "HIT", "whoever is let in gets it"
    assert stack.ask("/api/list").status == 503, "and nobody else does then"


def test_who_is_on_the_list_is_let_in_by_the_address_that_a_trusted_peer_names(stack):
    stack.edit(
        "maintenance.allow = []", 'maintenance.allow = ["127.0.0.9", "203.0.113.0/24", "2001:db8::/32", "127.0.0.9/32"]'
    )
    stack.run("maintenance", "on")
    assert stack.ask().status == 503
    assert b"the site" in stack.ask(**OTHER).body and stack.ask("/api/auth/login", **OTHER).status == 401
    for client, status in (("203.0.113.7", 200), ("2001:db8::7", 200), ("203.0.114.7", 503), ("2001:db9::7", 503)):
        named = {"X-Forwarded-For": client}
        assert stack.ask(source="127.0.0.5", headers=named).status == status, client
        assert stack.ask(headers=named).status == 503, f"nobody trusts whoever says {client}"
        assert stack.ask(headers={"X-Real-IP": client, "Forwarded": f"for={client}"}).status == 503
    assert stack.ask(source="127.0.0.5").status == 503


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('maintenance.allow = ["10.0.0.0/8", "10.0.0.300"]', "edge.maintenance.allow.1: '10.0.0.300'"),
        ('maintenance.allow = ["10.0.0.1/8"]', "has host bits set"),
        ('maintenance.allow = ["office.example"]', "edge.maintenance.allow.0: 'office.example'"),
        ('maintenance.allow = ["fe80::1%eth0;}"]', "names an interface"),
        ("maintenance.retry_after = 0", "greater than or equal to 1"),
        ('maintenance.message = "a\\nb"', "should match pattern"),
        ('maintenance.page = "nowhere.html"', "edge.maintenance.page: there is no nowhere.html"),
    ],
)
def test_what_can_not_be_is_refused_and_nothing_changes(stack, line, words):
    before = stack.switch()
    stack.edit("maintenance.allow = []", line)
    said = stack.run("maintenance", "on", code=2)
    assert words in said, said
    assert stack.switch() == before and stack.ask().status == 200


def test_ones_own_page(stack):
    stack.edit("maintenance.allow = []", 'maintenance.page = "closed.html"')
    (stack.folder / "closed.html").write_text("<h1>100 % ours</h1> $request_id %1 <p>Größe</p>")
    stack.run("maintenance", "on")
    answer = stack.ask()
    assert answer.body.decode() == f"<h1>100 % ours</h1> {answer.headers['x-request-id']} %1 <p>Größe</p>"
    (stack.folder / "closed.html").write_text("<h1>another</h1>")
    assert "closed" in stack.run("maintenance", "on")
    assert stack.ask().body == b"<h1>another</h1>"
    assert stack.ask("/api/x").json()["title"] == "Closed for maintenance"


def test_twice_is_fine_and_the_log_has_who_and_when(stack):
    events = stack.state / "events.jsonl"
    assert "nothing to do" in stack.run("maintenance", "off")
    before = len(events.read_text().splitlines())
    assert "closed" in stack.run("maintenance", "on")
    first = stack.maintenance("status")
    assert "nothing to do" in stack.run("maintenance", "on")
    stack.edit("maintenance.allow = []", 'maintenance.allow = ["127.0.0.9"]')
    stack.run("maintenance", "on")
    again = stack.maintenance("status")
    assert again["allow"] == ["127.0.0.9"] and stack.ask(**OTHER).status == 200 and stack.ask().status == 503
    assert again["since"] == first["since"] and again["actor"] == first["actor"] and again["on"] and again["loaded"]
    stack.run("maintenance", "off")
    assert "nothing to do" in stack.run("maintenance", "off")
    assert stack.maintenance("status") == {"on": False, "loaded": True}
    seen = [json.loads(line) for line in events.read_text().splitlines()[before:]]
    assert [(e["action"], e["result"], e["switch"]) for e in seen] == [
        ("maintenance", result, word) for word in ("on", "on", "off") for result in ("begun", "done")
    ]
    assert all(e["actor"] == first["actor"] and e["at"] for e in seen) and seen[2]["allow"] == ["127.0.0.9"]


def test_it_is_seen_and_counts_as_well(stack):
    stack.edit("maintenance.allow = []", 'maintenance.allow = ["203.0.113.7"]')
    assert json.loads(stack.run("status", "--json"))["maintenance"] is None
    stack.run("maintenance", "on")
    words = "closed for maintenance to everybody but 203.0.113.7, since 20"
    assert f"! {words}" in stack.run("status") and words in stack.run("edge") and words in stack.run("maintenance")
    assert json.loads(stack.run("status", "--json"))["maintenance"]["allow"] == ["203.0.113.7"]
    assert "closed for maintenance: 503" in stack.run("health", "--json")

    def refused():
        return json.loads(stack.run("edge", "--json"))["traffic"]["refused"]["maintenance"]

    known = refused()
    for _ in range(20):
        stack.ask("/api/list")
    eventually(lambda: refused() >= known + 20)
    assert "maintenance" not in json.loads(stack.run("edge", "--json"))["traffic"]["refused"]["credentials"]
    stack.run("maintenance", "off")
    assert "closed for" not in stack.run("status") + stack.run("edge")


def test_it_outlives_whatever_is_started_anew(stack):
    stack.run("maintenance", "on")
    stack.edit("limits.burst = 1000", "limits.burst = 999")
    assert "reload edge" in stack.run("plan")
    stack.run("up")
    assert stack.ask().status == 503
    stack.run("restart", "edge")
    assert stack.ask().status == 503
    before = stack.pids()
    os.kill(before["edge"], signal.SIGKILL)
    os.kill(before["app-1"], signal.SIGKILL)  # the guard has nginx load its lists
    eventually(lambda: stack.status()["edge"]["pid"] != before["edge"] and stack.ask().status == 503)
    stack.run("down")
    assert "the edge does not run" in stack.run("maintenance")
    stack.run("up")
    assert stack.ask().status == 503 and stack.ask("/api/health/live").status == 200
    stack.run("down")
    assert "the edge does not run" not in stack.run("maintenance", "off")
    stack.run("up")
    assert stack.ask().status == 200


def test_when_nginx_refuses_the_switch_is_as_before_and_all_are_served(stack, load):
    config = stack.state / "config" / "nginx" / "nginx.conf"
    whole = config.read_text()
    before = stack.switch()
    config.write_text(whole.replace("server_tokens off;", "server_tokens;"))
    try:
        with load(stack) as under:
            said = stack.run("maintenance", "on", code=1)
    finally:
        config.write_text(whole)
    assert "nginx refuses its configuration" in said and stack.switch() == before
    assert under.answered and not under.failed, under.failed[:3]
    assert json.loads((stack.state / "events.jsonl").read_text().splitlines()[-1])["result"] == "failed"
    assert stack.maintenance("status") == {"on": False, "loaded": True}


def test_one_that_was_cut_off_is_seen_and_settled_by_either_word(stack):
    stack.run("maintenance", "on")
    closed = stack.switch()
    for word, status in (("on", 503), ("off", 200)):
        stack.run("maintenance", "off")
        (stack.state / "maintenance" / "switch.conf").write_text(closed)  # as far as one comes that is killed then
        assert "nginx goes on with something else" in stack.run("maintenance", code=1)
        assert "has not loaded" in stack.run("edge", code=1)
        stack.run("maintenance", word)
        assert stack.ask().status == status


def test_websockets_of_others_are_refused_and_open_ones_are_closed(stack):
    stack.edit("maintenance.allow = []", 'maintenance.allow = ["127.0.0.9"]')
    stack.run("maintenance", "off")
    with stack.websocket() as before:
        assert before.answer.status == 101
        stack.run("maintenance", "on")
        with stack.websocket() as others, stack.websocket("127.0.0.9") as allowed:
            assert (others.answer.status, allowed.answer.status) == (503, 101)
            eventually(lambda: not (before.listen(0.1) or before.is_open), seconds=50)
            assert not allowed.listen(0.1) and allowed.is_open


def test_one_that_was_never_started_is_told_what_to_do(make_stack):
    new = make_stack()
    assert "neurmatic up" in new.run("maintenance", "on", code=2)
    assert "neurmatic up" in new.run("maintenance", code=2)


def test_an_edge_of_a_version_before_is_told_what_to_do(stack):
    config = stack.state / "config" / "nginx" / "nginx.conf"
    whole = config.read_text()
    config.write_text(whole.replace("/maintenance/switch.conf", "/maintenance/nothing.conf"))
    try:
        assert "neurmatic up" in stack.run("maintenance", "on", code=2)
    finally:
        config.write_text(whole)
