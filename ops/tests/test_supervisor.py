from pathlib import Path

import pytest

from neurmatic.hosts.base import Result
from neurmatic.runtimes.base import Running
from neurmatic.runtimes.native.supervisor import Supervisor
from neurmatic.stack.layout import Layout
from neurmatic.testing import RecordingHost

STATE = Path("/state")


@pytest.fixture
def host():
    one = RecordingHost()
    for name in ("api-1", "edge"):
        one.files[STATE / "services" / name / "run"] = ""
    return one


def inspect(host, said):
    host.answers["sv", "status"] = Result(0, said, "")
    return Supervisor(host, Layout(STATE, STATE)).inspect(["api-1"])["api-1"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("run: /state/services/api-1: (pid 12) 345s; run: log: (pid 11) 346s\n", Running("running", 12, 345)),
        ("down: /state/services/api-1: 3s, normally up; run: log: (pid 11) 9s\n", Running("stopped", None, 3)),
        (
            "down: /state/services/api-1: 1s, normally up, want up; run: log: (pid 11) 9s\n",
            Running("restarting", None, 1),
        ),
        ("finish: /state/services/api-1: (pid 12) 2s; run: log: (pid 11) 9s\n", Running("restarting", 12, 2)),
        ("fail: /state/services/api-1: runsv not running\n", Running("stopped")),
        ("", Running("stopped")),
    ],
)
def test_what_sv_says(host, said, expected):
    assert inspect(host, said) == expected


def test_an_orphan_is_found_by_its_lock(host):
    host.lock_holders[STATE / "services" / "api-1" / "lock"] = [7]
    host.processes[7] = "serve"
    assert inspect(host, "fail: /state/services/api-1: runsv not running\n") == Running("orphaned", 7)
    host.processes[12] = "chpst -l /state/services/api-1/lock chpst -P serve"
    host.lock_holders[STATE / "services" / "api-1" / "lock"] = [7, 12]
    assert inspect(host, "run: /state/services/api-1: (pid 12) 5s\n") == Running("orphaned", 7, 5)


def test_the_moment_in_which_a_new_runsv_has_started_nothing_yet_is_no_restart_of_what_serves(host):
    host.lock_holders[STATE / "services" / "api-1" / "lock"] = [7]
    host.processes[7] = "serve"
    assert inspect(host, "down: /state/services/api-1: 0s, normally down, want up\n") == Running("orphaned", 7)
    host.processes[12] = "/bin/sh ./run"
    assert inspect(host, "run: /state/services/api-1: (pid 12) 0s\n") == Running("orphaned", 7)


def test_restarts_are_counted(host):
    host.files[STATE / "services" / "api-1" / "restarts"] = "1 -1 9\n2 -1 9\n"
    assert inspect(host, "run: /state/services/api-1: (pid 12) 3s\n").restarts == 2


def test_what_was_never_made_is_absent(host):
    assert Supervisor(host, Layout(STATE, STATE)).inspect(["worker-1"]) == {}
