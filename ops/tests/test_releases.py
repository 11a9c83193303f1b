import errno
import json
import os
import stat

import pytest

from neurmatic.errors import BusyError, CommandError, ConfigurationError, NeurmaticError
from neurmatic.hosts.local import LocalHost
from neurmatic.releases import release as releases
from neurmatic.releases.events import EventLog
from neurmatic.releases.project import check_format
from neurmatic.releases.secrets import ensure_secrets, weakness
from neurmatic.stack.layout import Layout
from neurmatic.stack.loading import load
from neurmatic.stack.release import Release
from neurmatic.stack.secret import Secret
from neurmatic.testing import RecordingHost

HOST = LocalHost()
STACK = '[stack]\nname = "x"\n[services.app]\ncommand = ["x"]\n[redis]\n[secrets]\ngenerate = ["KEY"]\n'


@pytest.fixture
def layout(tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    return Layout(state, tmp_path)


def test_a_release_is_named_after_its_content(layout):
    (layout.project / "app").mkdir()
    (layout.project / "app" / "a.py").write_text("1")
    release = Release(files=("app",))
    first = releases.identify(HOST, release, layout.project)
    (layout.project / "app" / "__pycache__").mkdir()
    (layout.project / "app" / "__pycache__" / "a.pyc").write_text("derived")
    assert releases.identify(HOST, release, layout.project) == first
    (layout.project / "app" / "a.py").write_text("2")
    assert releases.identify(HOST, release, layout.project) != first
    with pytest.raises(ConfigurationError, match="nowhere"):
        releases.identify(HOST, Release(files=("nowhere",)), layout.project)


def test_a_release_is_complete_or_not_there(layout):
    (layout.project / "app").write_text("1")
    with pytest.raises(CommandError, match="nothing was changed|building"):
        releases.make(HOST, layout, Release(files=("app",), build=(("false",),)), "r")
    assert not layout.release("r").exists()
    layout.release("r").mkdir(parents=True)  # as a killed attempt leaves it
    (layout.release("r") / "half").touch()
    assert not releases.is_complete(HOST, layout, "r")
    releases.make(HOST, layout, Release(files=("app",), build=(("cp", "app", "built"),)), "r")
    assert releases.is_complete(HOST, layout, "r")
    assert sorted(os.listdir(layout.release("r"))) == [".complete", "app", "built"]


def test_secrets_are_made_once_and_kept_from_others(layout):
    stack = load(STACK, "f").stack
    first = ensure_secrets(HOST, layout, stack)
    assert set(first) == {"REDIS_PASSWORD", "KEY"}
    assert all(len(one.reveal()) == 64 for one in first.values())
    assert stat.S_IMODE(layout.secrets.stat().st_mode) == 0o600
    assert ensure_secrets(HOST, layout, stack) == first
    assert first["KEY"].reveal() not in repr(first) and first["KEY"].reveal() not in f"{first['KEY']}"


def test_a_required_secret_is_asked_for_and_production_takes_no_weak_one(layout):
    with pytest.raises(ConfigurationError, match="SMTP is missing"):
        ensure_secrets(HOST, layout, load(STACK + 'require = ["SMTP"]\n', "f").stack)
    layout.secrets.write_text("KEY=changeme\nREDIS_PASSWORD=" + "ab" * 40 + "\n")
    with pytest.raises(ConfigurationError, match="KEY has 8 characters"):
        ensure_secrets(HOST, layout, load(STACK, "f", "production").stack)
    assert weakness(Secret("password" * 8)) and not weakness(Secret(os.urandom(40).hex()))


def test_events_survive_a_line_that_was_cut_short(layout):
    log = EventLog(HOST, layout)
    with log.recorded("up", release="r"):
        log.write("start", "done", instance="a")
    with pytest.raises(RuntimeError), log.recorded("down"):
        raise RuntimeError("no")
    with layout.events.open("a") as file:
        file.write('{"at": "2026')
    assert [(e["action"], e["result"]) for e in log.read()] == [
        ("up", "begun"), ("start", "done"), ("up", "done"), ("down", "begun"), ("down", "failed"),
    ]  # fmt: skip
    assert log.read()[-1]["reason"] == "no"


def test_a_folder_that_is_not_ours_is_refused_untouched(layout):
    (layout.state / "precious").write_text("x")
    with pytest.raises(ConfigurationError, match="precious"):
        check_format(HOST, layout)
    layout.format_file.write_text("99\n")
    with pytest.raises(ConfigurationError, match="format 99"):
        check_format(HOST, layout)


def test_the_lock_names_its_holder_and_ends_with_it(layout):
    with HOST.locked(layout.lock, "ada"), pytest.raises(BusyError, match="ada"), HOST.locked(layout.lock, "bob"):
        pass
    with HOST.locked(layout.lock, "bob"):
        assert layout.lock.read_text() == "bob"


def test_what_fails_under_a_lock_is_not_told_of_the_lock(layout):
    with pytest.raises(BrokenPipeError), HOST.locked(layout.lock, "ada"):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")  # as a reader such as `head` leaves behind
    with (
        pytest.raises(NeurmaticError, match=r"nowhere/lock: No such file"),
        HOST.locked(layout.state / "nowhere/lock", "ada"),
    ):
        pass


def test_writing_is_all_or_nothing(layout, monkeypatch):
    path = layout.state / "file"
    HOST.write(path, "old", mode=0o600)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(NeurmaticError, match="No space left") as error:
        HOST.write(path, "new")
    assert "free some space" in error.value.hint
    assert (path.read_text(), os.listdir(layout.state)) == ("old", ["file"])


def test_the_recording_host_keeps_what_it_is_told(tmp_path):
    host = RecordingHost()
    log = EventLog(host, Layout(tmp_path, tmp_path))
    log.write("up", "done")
    assert json.loads(host.files[tmp_path / "events.jsonl"])["action"] == "up"
    assert host.run(["echo", "x"], env={"A": "1"}).ok
    assert host.commands == [("echo", "x")]
