"""The platform itself, started for tests by the commands that a user types, beside whatever else runs on the machine."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NEURMATIC = Path(sys.executable).with_name("neurmatic")
PORTS = {"8443": 443, "8080": 80, "8081": 81, "8054": 54, "8063": 63, "8100-8115": 100, "8120-8129": 120}


class Platform:
    """The stack of this repository, with ports and a state folder of its own."""

    def __init__(self, beside=""):
        """`beside` is added to the stack file."""
        base = next(
            base for base in range(21000, 31000, 1000) if not any(_taken(base + offset) for offset in PORTS.values())
        )
        text = (ROOT / "neurmatic.toml").read_text()
        for port, offset in PORTS.items():
            size = 0 if "-" not in port else int(port[5:]) - int(port[:4])
            text, found = re.subn(
                rf"\b{port}\b", f"{base + offset}-{base + offset + size}" if size else str(base + offset), text
            )
            assert found, f"neurmatic.toml has no port {port} any more"
        self.file = ROOT / f"neurmatic.test-{base}.toml"
        self.file.write_text(text + beside)
        self.state = Path(tempfile.mkdtemp(prefix="neurmatic-", dir="/var/tmp"))
        self.state.chmod(0o755)
        self.url = f"https://localhost:{base + 443}"
        self.ca = self.state / "tls" / "ca.pem"

    def run(self, *words, check=True):
        done = subprocess.run(
            [NEURMATIC, *words, "--file", self.file, "--state", self.state],
            capture_output=True,
            text=True,
            check=False,
            timeout=1500,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def json(self, *words, check=True):
        return json.loads(self.run(*words, "--json", check=check).stdout)

    def remove(self):
        self.run("down", "--purge", "--yes", check=False)
        self.file.unlink()
        shutil.rmtree(self.state, ignore_errors=True)


def _taken(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def running(beside=""):
    """The platform, up; gone at the end."""
    one = Platform(beside)
    try:
        one.run("up")
        os.environ.setdefault("NEURMATIC_SITE_CA", str(one.ca))
        yield one
    finally:
        one.remove()


@pytest.fixture(scope="session")
def platform():
    yield from running()
