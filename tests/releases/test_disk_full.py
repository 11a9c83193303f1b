"""A deploy on a disk that becomes full: the state folder lies on a small file system of its own."""

import contextlib
import os
import shutil
import subprocess

import pytest
from rolling import Rolling

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system")


@pytest.fixture(scope="module")
def small():
    """A running stack with 500 MB for everything."""
    one = Rolling()
    one.state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=500m,mode=755", "none", str(one.state)], check=True)
    try:
        one.run("up")
        yield one
    finally:
        with contextlib.suppress(AssertionError):
            one.run("down")
        subprocess.run(["umount", str(one.state)], check=True)
        one.remove()


@pytest.mark.parametrize(("step", "way"), [("build", "fill"), ("migrate", "fill"), ("migrate", "filled")])
def test_a_disk_that_becomes_full_costs_nothing(small, step, way):
    """A build's own files go with it; what somebody else wrote stays until somebody removes it."""
    greeting, before = small.get()["greeting"], small.deployed
    with small.unharmed():
        small.behave(**{step: way})
        said = small.run("deploy", code=1)
        assert "No space left on device" in said
        assert (small.get()["greeting"], small.deployed) == (greeting, before)
        (small.state / "data" / "fill").unlink(missing_ok=True)
        greeting = small.behave()
        small.run("deploy")
        small.check_whole(greeting)


def test_a_disk_with_too_little_room_is_refused_before_anything_is_copied(small):
    with (small.state / "data" / "fill").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(small.state).free - 150_000_000)
    greeting = small.get()["greeting"]
    small.behave()
    assert "a release needs 200 MB" in small.run("deploy", code=2)
    (small.state / "data" / "fill").unlink()
    small.behave_as(greeting)
    small.check_whole(greeting)
