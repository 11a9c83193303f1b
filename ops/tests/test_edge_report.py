import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from neurmatic.cli.edge import duration, text
from neurmatic.errors import ConfigurationError, NeurmaticError
from neurmatic.guard.peers import Peer, Rules, Settings, upstream_lists
from neurmatic.hosts.local import LocalHost
from neurmatic.probes.health import Target
from neurmatic.releases import authority, running
from neurmatic.releases.certificate import LOCAL, bundle
from neurmatic.releases.edge_report import Connections, EdgeReport, Generation, Guard, _connections, certificate, look
from neurmatic.releases.running import Member, RunningSet
from neurmatic.releases.traffic import Refusals, figures
from neurmatic.releases.upstreams import Drain, Upstream, Verdict, upstreams
from neurmatic.runtimes.base import Running
from neurmatic.stack.layout import Layout
from neurmatic.testing import RecordingHost

NOW = datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC)
RULES = Rules(interval=0.5, timeout=1, fall=2, rise=2, hung_seconds=3, max_fails=3, fail_timeout=30)
SETTINGS = Settings(
    (
        Peer("api-1", "api", 8100, "/ready", None, 60),
        Peer("api-2", "api", 8101, "/ready", None, 60),
        Peer("web-1", "web", 8200, "/", None, 60),
    ),
    RULES,
)


def line(seconds_ago=10, **fields):
    """A line of the access log as the edge writes it."""
    moment = (NOW - timedelta(seconds=seconds_ago)).isoformat()
    known = {"time": moment, "uri": "/", "seconds": 0.01, "upstream": "", "cache": "", "rate": "", "connections": ""}
    return json.dumps(known | {"refused": "", "status": 200} | fields, separators=(",", ":"))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([line()], {"requests": 1, "seconds": 10, "statuses": {"2xx": 1}, "hit_rate": None, "retried": 0}),
        ([line(100), line(40)], {"requests": 2, "seconds": 100}),
        ([line(-5)], {"seconds": 0}),
        ([line(status=one) for one in (200, 204, 301, 404, 429, 502)], {"statuses": {"2xx": 2, "3xx": 1, "4xx": 2, "5xx": 1}}),
        ([line(status=0), line(status=9)], {"requests": 2, "statuses": {"0xx": 2}}),
        ([line(seconds=n / 100) for n in range(100, 0, -1)], {"p50": 0.5, "p99": 0.99}),
        ([line(seconds=0.1), line(seconds=604800, status=101)], {"p50": 0.1, "p99": 0.1, "requests": 2}),
        ([line(seconds=9, status=101)], {"p50": None, "p99": None}),
        (
            [line(cache=one) for one in ("HIT", "HIT", "STALE", "UPDATING", "MISS", "EXPIRED", "BYPASS", "BYPASS")] + [line()],
            {"cache": {"BYPASS": 2, "EXPIRED": 1, "HIT": 2, "MISS": 1, "STALE": 1, "UPDATING": 1}, "hit_rate": 0.5},
        ),
        ([line(cache="MISS")], {"hit_rate": 0}),
        (
            [line(rate="REJECTED"), line(rate="PASSED"), line(connections="REJECTED"), line(refused="login"), line(refused="login"), line(refused="rate"), line(refused="@maintenance")],
            {"refused": Refusals(1, 1, {"login": 2, "rate": 1}, 1)},
        ),
        (
            [line(upstream="127.0.0.1:8100"), line(upstream="127.0.0.1:8100, 127.0.0.1:8101"), line(upstream="127.0.0.1:8101 : 127.0.0.1:8100")],
            {"retried": 2, "answered": {"127.0.0.1:8100": 2, "127.0.0.1:8101": 1}},
        ),
        (["2026/07/01 12:00:00 [warn] 5#5: *1 upstream timed out", line(), '{"time":"2026-07-', "", "{}", "[1]"], {"requests": 1}),
    ],
)  # fmt: skip
def test_lines_become_figures(lines, expected):
    seen = figures(lines, NOW)
    assert {name: getattr(seen, name) for name in expected} == expected


@pytest.mark.parametrize("lines", [[], ["nginx: [warn] something"], ['{"status":200}']])
def test_a_log_without_requests_has_no_figures(lines):
    assert figures(lines, NOW) is None


IN, OUT = ("in", "", "", 50.0, 0), "out"


@pytest.mark.parametrize(
    ("listed", "verdicts", "drains", "expected"),
    [
        ({}, {"api-2": Verdict("", 50, 0)}, {}, IN),
        ({"api-2": "/ready: 503"}, {"api-2": Verdict("/ready: 503", 7, 2)}, {}, (OUT, "/ready: 503", "guard", 7, 2)),
        ({"api-2": "restarting"}, {"api-2": Verdict("", 50, 1)}, {"api-2": Drain("restarting", 3)}, (OUT, "restarting", "drain", 3, 1)),
        ({"api-2": "restarting"}, {"api-2": Verdict("/ready: 503", 1, 1)}, {"api-2": Drain("restarting", 3)}, (OUT, "restarting", "drain", 3, 1)),
        # the last of its service stays in, however ill
        ({}, {"api-2": Verdict("/ready: 503", 7, 1)}, {}, ("in", "/ready: 503", "", 7, 1)),
        ({}, {"api-2": Verdict("", 50, 0)}, {"api-2": Drain("restarting", 3)}, IN),
        # the guard died, and the next one knows nothing of why
        ({"api-2": "connection refused"}, {"api-2": Verdict("", 50, 0)}, {}, (OUT, "connection refused", "guard", None, 0)),
        ({"api-2": "connection refused"}, {}, {}, (OUT, "connection refused", "guard", None, 0)),
        ({}, {}, {}, ("in", "", "", None, 0)),
        ({"api-1": "x", "web-1": "y"}, {"api-2": Verdict("", 50, 0)}, {}, IN),
    ],
)  # fmt: skip
def test_who_is_out_why_since_when_and_by_whom(listed, verdicts, drains, expected):
    rows = {one.instance: one for one in upstreams(SETTINGS, upstream_lists(SETTINGS, listed), verdicts, drains)}
    one = rows["api-2"]
    assert (one.state, one.reason, one.kept_out_by, one.seconds, one.falls) == expected
    assert {name for name, row in rows.items() if row.state == "out"} == set(listed)
    assert [row.address for row in rows.values()] == ["127.0.0.1:8100", "127.0.0.1:8101", "127.0.0.1:8200"]


def test_without_lists_all_are_in():
    assert {one.state for one in upstreams(SETTINGS, {}, {}, {})} == {"in"}


def test_what_stub_status_says():
    said = "Active connections: 9 \nserver accepts handled requests\n 20 20 31 \nReading: 1 Writing: 3 Waiting: 5 \n"
    assert _connections(said) == Connections(open=8, reading=1, writing=2, waiting=5)
    assert _connections("") is None


def made(folder, names):
    leaf = authority.make_leaf(LocalHost(), Layout(folder, folder), "x", names, authority.LEAF_DAYS)
    return bundle(LOCAL, leaf)


def test_a_certificate_tells_its_names_and_its_days(tmp_path):
    pem = made(tmp_path, ("a.example", "b.example"))
    now = datetime.now(UTC)
    one = certificate(pem, now)
    assert one.names == ("a.example", "b.example") and one.issuer == "Neurmatic local CA (x)" and one.days_left == 396
    assert certificate(pem, now + timedelta(days=390)).days_left == 6
    assert certificate(pem, now + timedelta(days=400)).days_left < 0
    assert certificate("", now) is None and certificate("no certificate", now) is None


def report(**changes):
    good = {
        "stack": "demo",
        "url": "https://localhost",
        "upstreams": (Upstream("api", "api-1", "127.0.0.1:8100", "in", "", "", 90, 0),),
        "guard": Guard(True, "its last verdict is 2 s old; out: none", 2.0),
        "traffic": figures([line(upstream="127.0.0.1:8100", cache="HIT", refused="login")], NOW),
        "connections": Connections(1, 0, 0, 1),
        "generation": Generation("abc", "abc"),
        "certificate": None,
        "trusted": None,
    }
    return EdgeReport(**(good | changes))


@pytest.fixture
def held(tmp_path):
    text = made(tmp_path, ("localhost",))
    return lambda days: certificate(text, datetime.now(UTC) + timedelta(days=396 - days))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"upstreams": (Upstream("a", "a-1", "", "out", "/ready: 503", "guard", 1, 1),)}, "a-1 gets no requests: /ready: 503"),
        ({"upstreams": (Upstream("a", "a-1", "", "out", "", "guard", None, 0),)}, "nobody noted why"),
        ({"upstreams": (Upstream("a", "a-1", "", "in", "/ready: 503", "", 1, 1),)}, "a-1 gets requests though it is not ready"),
        ({"guard": Guard(False, "its last verdict is 99 s old; out: none", 99.0)}, "the guard is not well: its last verdict is 99 s old"),
        ({"generation": Generation("", "abc"), "connections": None}, "does not answer at its control port"),
        ({"generation": Generation("abc", "def")}, "nginx goes on with configuration abc, def lies there"),
        ({"certificate": 13}, "the certificate ends in 13 days"),
        ({"certificate": 14}, None),
        ({"certificate": -3}, "the certificate ends in -3 days"),
        ({"certificate": None}, "there is no certificate"),
        ({"traffic": None}, None),
    ],
)  # fmt: skip
def test_what_an_operator_must_see(held, changes, words):
    days = changes.get("certificate", 300)
    seen = report(**changes | {"certificate": None if days is None else held(days)})
    problems = list(seen.problems())
    assert len(problems) == (words is not None) and all(words in one for one in problems)
    assert seen.as_json()["problems"] == problems and json.dumps(seen.as_json())
    assert all(f"! {one}" in text(seen) for one in problems)


def test_the_text_names_every_figure():
    shown = text(report())
    for words in (
        "api      api-1     127.0.0.1:8100  in     90 s",
        "1 requests in the 10 s that the log was read back; 0.1 a second",
        "100% of 1 answered from it: HIT 1",
        "rate 0, connections 0, credentials login 1",
        "1 open: 0 reading, 0 writing, 1 waiting",
        "well: verdict 2 s old",
    ):
        assert words in shown, shown
    assert "no request stands in the current log" in text(report(traffic=None))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_durations_are_short(seconds, words):
    assert duration(seconds) == words


class Runtime:
    def __init__(self, state):
        self.state = state

    def inspect(self, names):
        return {"edge": Running(self.state)} if self.state else {}

    def log(self, _name, _most):
        return []


def test_parts_that_are_missing_are_said_and_the_rest_is_shown():
    host, layout = RecordingHost(), Layout(Path("/state"), Path("/project"))
    with pytest.raises(ConfigurationError, match="no stack was started"):
        look(host, layout, Runtime("running"))
    guard = Member("edge", Target("guard", "guard"), "3", 60, 60)
    running.save(
        host,
        layout,
        RunningSet("demo", "development", "https://x", "1", "127.0.0.1", "", (guard,), 0, "cloudflare", "2026-01-01"),
    )
    for state in ("stopped", "restarting", ""):
        with pytest.raises(NeurmaticError, match=f"it is {state or 'absent'}") as error:
            look(host, layout, Runtime(state))
        assert error.value.exit_code == 1 and "neurmatic up" in error.value.hint
    seen = look(host, layout, Runtime("running"))
    assert (seen.upstreams, seen.traffic, seen.connections, seen.certificate) == ((), None, None, None)
    assert seen.trusted.cdn == "cloudflare" and seen.trusted.age_days > 300
    assert len(list(seen.problems())) == 3 and "cloudflare's addresses as of 2026-01-01" in text(seen)


def test_the_end_of_a_file_begins_with_a_whole_line(tmp_path):
    host, file = LocalHost(), tmp_path / "current"
    assert host.tail(file, 10) == "" and host.modified(file) is None
    file.write_text("first\nsecond\nthird\n")
    assert [host.tail(file, most) for most in (100, 19, 18, 13, 12, 6, 5)] == [
        "first\nsecond\nthird\n", "first\nsecond\nthird\n", "second\nthird\n", "second\nthird\n", "third\n", "third\n", "",
    ]  # fmt: skip
    assert host.modified(file) > 0
