"""What was measured on, and with: figures compare within one run alone, and this says which."""

import json
import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from stack import ROOT

NODE_PEERS = ("express", "fastify", "pg")


def describe():
    """The machine, the moment and the versions."""
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())[1]) / 1024**2
    return {
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
        "cpu": f"{os.cpu_count()} x {cpu[1] if cpu else platform.machine()}",
        "memory": f"{memory:.0f} GB",
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        "load_before": round(os.getloadavg()[0], 1),
        "versions": _versions(),
    }


def _versions():
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "requirements/bench.txt").read_text(), re.MULTILINE))
    lock = json.loads((ROOT / "bench/peers/package-lock.json").read_text())["packages"]
    return {
        "Python": platform.python_version(),
        "Node": node.removeprefix("v"),
        **{name: version(name) for name in ("litestar", "uvicorn", "asyncpg")},
        **{name: pinned[name] for name in ("django", "gunicorn", "psycopg")},
        **{name: lock[f"node_modules/{name}"]["version"] for name in NODE_PEERS},
    }
