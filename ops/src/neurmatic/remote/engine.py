"""Bring a container engine to a Debian server: Debian's, with compose v2 and buildx, and started where an init system does that."""

import json
import platform
import tarfile
from pathlib import Path
from typing import IO, Any

from neurmatic.errors import NeurmaticError
from neurmatic.hosts.base import Host
from neurmatic.hosts.ssh import Connection
from neurmatic.remote.scripts import carry_out

PACKAGES = ("dockerd:docker.io", "docker-init:tini", "iptables:iptables")
PLUGINS = ("compose", "buildx")
BESIDE = "/usr/libexec/docker/cli-plugins/docker-"
"""Where Debian 13's packages put them. Debian 12 has neither: its docker-compose is version 1."""
HAS_NEWER = "apt-cache show docker-buildx >/dev/null 2>&1"


def bring_engine(host: Host, there: Connection) -> bool:
    """Install what is missing of it; False where nothing was.

    Raises:
        NeurmaticError: a step failed, or the plugins can be had neither from the server's Debian nor from this machine.
    """
    missing = [name for name in PLUGINS if not there.run(["docker", name, "version"]).ok]
    programs = [one.partition(":")[0] for one in PACKAGES]
    if not missing and all(there.run([one, "--version"]).ok for one in programs):
        return False
    carry_out(there, "install-packages", *PACKAGES)
    if missing and there.run(["sh", "-c", HAS_NEWER]).ok:
        carry_out(there, "install-packages", *(f"{BESIDE}{name}:docker-{name}" for name in missing))
    elif missing:
        _send(host, there, missing)
    return True


def start_engine(there: Connection) -> bool:
    """Whether the engine answers there; started, where systemd runs."""
    there.run(["sh", "-c", "[ ! -d /run/systemd/system ] || systemctl enable --now docker"])
    return there.run(["docker", "info"]).ok


def _send(host: Host, there: Connection, missing: list[str]) -> None:
    """This machine's own plugins: single programs that stand on nothing."""
    said = (
        host.run(["docker", "info", "--format", "{{json .ClientInfo.Plugins}}"], check=False)
        if host.which("docker")
        else None
    )
    plugins: list[dict[str, Any]] = json.loads(said.out or "[]") if said and said.ok else []
    here = {one["Name"]: Path(one["Path"]) for one in plugins}
    architecture = there.run(["uname", "-m"]).out.strip()
    if platform.machine() != architecture or set(missing) - set(here):
        raise NeurmaticError(
            f"{there.destination}: its Debian has no {' and no '.join(missing)} for the engine, and this machine none to send",
            "install Docker's own packages there, then run it again",
        )

    def write(target: IO[bytes]) -> None:
        with tarfile.open(fileobj=target, mode="w|") as tar:
            for name in missing:
                tar.add(here[name].resolve(), f"docker-{name}")

    carry_out(there, "install-plugins", write=write)
