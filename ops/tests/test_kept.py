"""Commands that outlive whoever started them: started by one process here, looked at by another."""

import os
import signal
import time

import pytest

from neurmatic.errors import NeurmaticError
from neurmatic.hosts import kept


@pytest.fixture
def place(tmp_path):
    return tmp_path / "records"


def started(place, script, name="one", *, together=False):
    return kept.start(place, ["sh", "-c", script], name=name, words=script, cwd=place.parent, together=together)


def waited(one):
    until = time.monotonic() + 20
    while one.is_running():
        assert time.monotonic() < until
        time.sleep(0.01)
    return one.code


def test_both_outputs_and_the_exit_code(place, capfdbinary):
    one = started(place, "echo out; echo err >&2; exit 3")
    assert one.follow() == 3
    assert capfdbinary.readouterr() == (b"out\n", b"err\n")
    assert one.follow() == 3
    assert capfdbinary.readouterr().out == b"out\n", "from its beginning, each time"


def test_together_they_keep_their_order(place, capfdbinary):
    script = "for n in 1 2 3 4 5 6 7 8 9; do echo $n; echo e$n >&2; done"
    assert started(place, script, together=True).follow() == 0
    assert capfdbinary.readouterr().out.split() == [part for n in range(1, 10) for part in (b"%d" % n, b"e%d" % n)]


def test_signals_end_it_and_its_code_says_how(place):
    one = started(place, "trap 'exit 5' INT; echo ready; while :; do sleep 0.05; done")
    while (one.folder / "out").read_text() != "ready\n":
        time.sleep(0.01)
    one.signal("INT")
    assert waited(one) == 5
    one.signal("INT")
    two = started(place, "echo ready; sleep 60", "two")
    while (two.folder / "out").read_text() != "ready\n":
        time.sleep(0.01)
    two.signal("TERM")
    assert waited(two) == 128 + signal.SIGTERM


def test_what_was_killed_with_its_keeper_has_no_code(place):
    one = started(place, "sleep 60")
    while not (one.folder / "pid").exists() or not (one.folder / "pid").read_text():
        time.sleep(0.01)
    os.killpg(int((one.folder / "pid").read_text()), signal.SIGKILL)
    with pytest.raises(NeurmaticError, match="killed before its end"):
        one.follow()


def test_what_it_leaves_running_does_not_keep_it_from_ending(place):
    script = "import subprocess; subprocess.Popen(['sleep', '5'], start_new_session=True)"
    one = kept.start(place, ["python3", "-c", script], name="one", words="", cwd=place.parent, together=False)
    assert one.follow() == 0


def test_only_the_newest_records_are_kept_and_what_runs(place):
    running = started(place, "sleep 60", "running")
    for number in range(kept.MOST + 3):
        waited(started(place, "true", f"n{number}"))
    names = [one.folder.name for one in kept.every(place)]
    assert len(names) == kept.MOST + 1 and names[0] == "running" and names[-1] == f"n{kept.MOST + 2}"
    running.signal("TERM")
    waited(running)
