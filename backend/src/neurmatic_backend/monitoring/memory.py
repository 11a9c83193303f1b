"""Memory of this process, against the limit that really ends it: the control group's, else the machine's."""

import os
import time
from collections import deque
from pathlib import Path

import msgspec

DEGRADED_PERCENT, ALERT_PERCENT = 90.0, 95.0
SAMPLES = 60
PROC, GROUPS = Path("/proc"), Path("/sys/fs/cgroup")


class Memory(msgspec.Struct):
    """Use and limit in bytes; growth over the last minutes, in bytes a minute."""

    status: str
    critical: bool
    detail: str
    used_bytes: int
    limit_bytes: int
    used_percent: float
    limit_source: str
    growth_bytes_per_minute: int


class MemoryWatch:
    """Looks at memory, and remembers for the trend."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque(maxlen=SAMPLES)

    def look(self) -> Memory:
        """How it is now."""
        used, limit, source = measure()
        self._samples.append((time.monotonic(), used))
        percent = 100 * used / limit
        detail, status = "", "up"
        if percent > DEGRADED_PERCENT:
            status = "degraded"
            over = ALERT_PERCENT if percent > ALERT_PERCENT else DEGRADED_PERCENT
            detail = f"{'alert' if percent > ALERT_PERCENT else 'degraded'}: over {over:g} % of the limit"
        return Memory(status, False, detail, used, limit, round(percent, 2), source, self._growth())

    def _growth(self) -> int:
        (begin, first), (end, last) = self._samples[0], self._samples[-1]
        return round((last - first) / (end - begin) * 60) if end - begin >= 1 else 0


def measure() -> tuple[int, int, str]:
    """(used, limit, source): the group's working set and limit where it has one below the machine's memory."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for line in (PROC / "self" / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        mount = GROUPS / ("memory" if controllers == "memory" else "")
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if controllers else ("memory.max", "memory.current")
        # In a container the path may be the host's word for the group, which is the whole mount there.
        for group in (mount / path.lstrip("/"), mount):
            if controllers in ("memory", "") and (limit := _number(group / names[0])) and limit < machine:
                return _working_set(group, names[1]), limit, "cgroup"
    resident = int((PROC / "self" / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return resident, machine, "host"


def _working_set(group: Path, name: str) -> int:
    """What the kernel can't take back by dropping caches: the measure by which it ends processes."""
    stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    cache = int(stat.get("total_inactive_file", stat.get("inactive_file", "0")))
    return max(0, (_number(group / name) or 0) - cache)


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
