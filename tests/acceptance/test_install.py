"""Installing: from a clean clone without a network, as an ordinary user, and from the wheel with no repository around."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALL = ROOT / "scripts" / "install-packages"
UV = Path(sys.executable).with_name("uv")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can take the network away")


def run(*argv, cwd=ROOT, env=None):
    return subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=300)


def test_a_missing_package_without_root_is_named_with_the_command_that_installs_it(ordinary_user, tmp_path):
    script = shutil.copy(INSTALL, "/var/tmp/install-packages-under-test")
    drop = ["setpriv", f"--reuid={ordinary_user}", "--regid=nogroup", "--clear-groups"] if ordinary_user else []
    try:
        done = run(*drop, script, "no-such-program:hello", cwd="/")
    finally:
        os.unlink(script)
    assert done.returncode == 1
    assert "missing: hello" in done.stderr and "as root, apt-get install --no-install-recommends hello" in done.stderr


@root_only
def test_without_a_network_system_packages_say_what_to_do_next():
    guard = Path("/usr/sbin/policy-rc.d")
    before = guard.exists()  # a machine may have one of its own
    done = run("unshare", "--net", INSTALL, "no-such-program:no-such-package")
    assert done.returncode == 1
    assert "next: see that the package mirror is reachable" in done.stderr
    assert guard.exists() == before


@root_only
def test_without_a_network_a_clean_clone_says_what_to_do_next_and_counts_nothing_as_made(tmp_path):
    clone = tmp_path / "clone"
    run("git", "clone", "--quiet", ROOT, clone)
    env = os.environ | {"PIP_RETRIES": "0", "PIP_CACHE_DIR": str(tmp_path), "MAKEFLAGS": ""}
    done = run("unshare", "--net", "make", "build", cwd=clone, env=env)
    assert done.returncode != 0
    assert "uv could not be installed" in done.stderr and "run make again" in done.stderr
    assert not (clone / ".venv" / "bin" / "uv").exists()


def test_somebody_elses_application_with_the_wheel_and_no_repository_around(make_stack, tmp_path):
    venv = tmp_path / "venv"
    wheels = tmp_path / "wheels"
    for words in (
        ["build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", wheels, ROOT / "ops"],
        ["venv", "--quiet", "--no-project", "--python", sys.executable, venv],
        ["pip", "install", "--quiet", "--python", venv, "--require-hashes", "-r", ROOT / "requirements" / "ops.txt"],
        ["pip", "install", "--quiet", "--python", venv, "--no-deps", "--no-index", "--find-links", wheels, "neurmatic"],
    ):  # fmt: skip
        done = run(UV, *words)
        assert done.returncode == 0, done.stderr
    stack = make_stack()
    stack.file.unlink()
    stack.tool = venv / "bin" / "neurmatic"
    stack.run("init", "--name", "theirs", "--command", "python3 demo_app.py", "--health", "/ready")
    stack.edit('name = "theirs"', 'name = "theirs"\nuser = "nobody"')
    stack.run("up")
    status = json.loads(stack.run("status", "--json"))
    stack.url = status["url"]
    assert stack.get("/")["instance"] in ("app-1", "app-2")
    assert {row["service"] for row in status["services"]} == {"edge", "app", "postgres", "redis"}
