"""What the platform does because it is in a container: its secrets come as files, its memory's limit is its group's."""

import importlib.util
from pathlib import Path

import pytest

from neurmatic_backend.monitoring import memory

ENTRYPOINT = Path(__file__).parents[1] / "container" / "entrypoint.py"


@pytest.fixture
def filled():
    spec = importlib.util.spec_from_file_location("entrypoint", ENTRYPOINT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.filled


def test_secrets_become_variables_and_take_their_places_in_others(filled):
    environ = {"URL": "x://user:{PASS}@host/{other}", "PLAIN": "{PASSPORT} {}"}
    assert filled(environ, {"PASS": "a{KEY}", "KEY": "k"}) == {
        "PASS": "a{KEY}",
        "KEY": "k",
        "URL": "x://user:a{KEY}@host/{other}",
        "PLAIN": "{PASSPORT} {}",
    }
    assert filled(environ, {}) == environ


@pytest.mark.parametrize(
    ("line", "limit", "usage"),
    [
        # As seen in a container of an engine with control groups of version 1: the path is the host's.
        ("5:memory:/docker/abc", "memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
        ("0::/", "memory.max", "memory.current"),
    ],
)
def test_the_limit_in_a_container_is_its_groups(tmp_path, monkeypatch, line, limit, usage):
    groups, proc = tmp_path / "groups", tmp_path / "proc" / "self"
    (groups / limit).parent.mkdir(parents=True)
    proc.mkdir(parents=True)
    (proc / "cgroup").write_text(line + "\n")
    (groups / limit).write_text("1000000\n")
    (groups / usage).write_text("400000\n")
    ((groups / limit).parent / "memory.stat").write_text("inactive_file 100000\n")
    monkeypatch.setattr(memory, "PROC", tmp_path / "proc")
    monkeypatch.setattr(memory, "GROUPS", tmp_path / "groups")
    assert memory.measure() == (300000, 1000000, "cgroup")
