"""Processes and ports of this machine, read from /proc; psutil where that alone isn't enough."""

import random
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from neurmatic.errors import NeurmaticError

PROC = Path("/proc")


def is_alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return False


def command_line(pid: int) -> str:
    """The process's words, separated by blanks; empty when it is gone."""
    try:
        return (PROC / str(pid) / "cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""


def tree(pid: int) -> list[int]:
    """The process and its descendants."""
    found = [pid]
    for one in found:
        try:
            for task in (PROC / str(one) / "task").glob("*/children"):
                found += [int(child) for child in task.read_text().split()]
        except OSError:
            continue  # it ended while it was looked at
    return found


def memory_bytes(pid: int) -> int:
    """Bytes one process holds: PSS where it may be read, else RSS; 0 when it is gone."""
    for name, field in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        try:
            lines = (PROC / str(pid) / name).read_text().splitlines()
        except OSError:
            continue
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), 0)
    return 0


def listener(port: int) -> str | None:
    """Who listens on a TCP port; the process is unknown when it is another user's."""
    import psutil  # noqa: PLC0415  slow to import, and needed only where a port is taken

    for one in psutil.net_connections(kind="tcp"):
        if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port:
            if one.pid is None:
                return "a process of another user"
            try:
                process = psutil.Process(one.pid)
                return f"{process.name()}, pid {one.pid}, user {process.username()}"
            except psutil.Error:
                return f"pid {one.pid}"
    return None


def addresses() -> list[str]:
    """The machine's own addresses but loopback and link-local ones."""
    import psutil  # noqa: PLC0415  as above

    found = [
        one.address
        for ones in psutil.net_if_addrs().values()
        for one in ones
        if one.family in (socket.AF_INET, socket.AF_INET6)
    ]
    return [
        one
        for one in found
        if not (ip_address(one.partition("%")[0]).is_loopback or ip_address(one.partition("%")[0]).is_link_local)
    ]


def accepts(address: str, port: int) -> bool:
    """Whether somebody accepts a TCP connection there."""
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


def connections_to(ports: Sequence[int]) -> set[tuple[int, int]]:
    """(port, client's port) of every connection on loopback to one of these ports, those closed within the last minute too."""
    import psutil  # noqa: PLC0415  as above

    ends = [(one.laddr.port, one.raddr.port) for one in psutil.net_connections(kind="tcp4") if one.laddr and one.raddr]
    # Of one that was closed only the end is left that closed it first.
    return {pair for here, there in ends for pair in ((here, there), (there, here)) if pair[0] in ports}


def free_ports(count: int) -> int:
    """The first of `count` consecutive ports that nobody listens on, below the range for outgoing connections.

    Raises:
        NeurmaticError: there is no such range.
    """
    for base in random.sample(range(10000, 21000 - count), k=200):
        if all(_is_free(port) for port in range(base, base + count)):
            return base
    raise NeurmaticError(f"no {count} consecutive free ports between 10000 and 21000")


def _is_free(port: int) -> bool:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def holders(path: Path) -> list[int]:
    """Process ids that have this file open; other users' processes are seen by root alone."""
    try:
        wanted = path.stat()
    except OSError:
        return []
    found = []
    for folder in PROC.glob("[0-9]*"):
        try:
            links = list((folder / "fd").iterdir())
        except OSError:
            continue
        for link in links:
            try:
                seen = link.stat()
            except OSError:
                continue
            if (seen.st_dev, seen.st_ino) == (wanted.st_dev, wanted.st_ino):
                found.append(int(folder.name))
                break
    return sorted(found)


def machine_memory() -> tuple[int, int]:
    """(available, total) bytes of memory of the machine."""
    fields = dict(line.split(":") for line in (PROC / "meminfo").read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) * 1024, int(fields["MemTotal"].split()[0]) * 1024
