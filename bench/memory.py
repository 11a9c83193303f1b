"""What is resident: of each part of the stack, and of the container engine for it."""

from pathlib import Path

from stack import Stack

from neurmatic.hosts.processes import command_line, memory_bytes, tree

APPLICATION = ("api", "worker", "site")
GUARD, TIMER = "guard", "timer-"
PIDFILES = ("/run/docker.pid", "/var/run/docker.pid")
SHIM = "containerd-shim"


def of_stack(stack: Stack):
    """Bytes (PSS) of each part of the stack as it stands now, by its processes in `neurmatic status --json`.

    What supervises is none of them: runsvdir, runsv and svlogd are found as runsvdir's descendants.
    """
    parts, counted = {}, set()
    # Among containers the guard is a descendant of nginx: whoever has a row of its own within another's is counted first.
    for row in sorted(stack.platform.json("status")["services"], key=lambda row: row["instance"] != GUARD):
        mine = set(tree(row["pid"])) - counted if row["pid"] else set()
        counted |= mine
        part = _part(row)
        parts[part] = parts.get(part, 0) + sum(map(memory_bytes, mine))
    supervisor = int((stack.platform.state / "runsvdir.pid").read_text())
    parts["supervision"] = sum(memory_bytes(pid) for pid in tree(supervisor) if pid not in counted)
    return parts


def of_engine(pidfile: Path, containers: list[str]):
    """Bytes (PSS) of what the engine itself holds: its daemons, and the processes it keeps for these containers, by their ids."""
    found = next((path for path in (pidfile, *map(Path, PIDFILES)) if path.exists()), None)
    assert found, "no engine wrote its process id"
    own = {pid: command_line(pid) for pid in tree(int(found.read_text()))}
    everybody = {int(one.name): command_line(int(one.name)) for one in Path("/proc").glob("[0-9]*")}
    daemons = {pid: line for pid, line in own.items() if _is(line, "dockerd")}
    # A service of its own on most machines, the daemon's child where an engine was started by hand.
    runtime = {pid: line for pid, line in own.items() if _is(line, "containerd")} or {
        pid: line for pid, line in everybody.items() if line == "/usr/bin/containerd"
    }
    shims = {pid: line for pid, line in everybody.items() if SHIM in line and any(one in line for one in containers)}
    parts = {
        "dockerd": daemons,
        "containerd": runtime,
        f"{SHIM}, {len(shims)} of them": shims,
        "docker-proxy": {pid: line for pid, line in own.items() if _is(line, "docker-proxy")},
    }
    return {name: sum(map(memory_bytes, pids)) for name, pids in parts.items()}


def _part(row):
    if row["service"] in APPLICATION:
        return "application"
    return "timers" if row["instance"].startswith(TIMER) else row["instance"]


def _is(line, program):
    return Path(line.partition(" ")[0]).name == program
