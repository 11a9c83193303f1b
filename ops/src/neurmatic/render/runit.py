"""runit's service directories: how each instance is started, stopped, restarted and logged."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neurmatic.render.file import File, Files
from neurmatic.stack.layout import Layout

ROTATE_BYTES = 10_000_000
KEEP_FILES = 30
LOG_BUFFER = 16_384
"""Bytes that svlogd takes from its pipe at once; by default 1024, three lines of the edge's log."""


@dataclass(frozen=True)
class Process:
    """What one instance runs, and how it wants to be told to stop.

    Attributes:
        stop: the signal that begins an orderly end: TERM; nginx takes QUIT, PostgreSQL INT.
        stop_group: whether the whole process group gets it, as commands that start children need.
        user: account to run as; None leaves the one that started the tool.
        ends: whether its end with 0 is its work done, not to be counted as a restart: a timer's.
        low_ports: whether it listens below 1024: the account keeps that one right of root's, and no other.
        ascii_log: whether other bytes become ? in its log: nginx writes down what a stranger sent, in whatever encoding.
    """

    instance: str
    argv: tuple[str, ...]
    workdir: Path
    env: Mapping[str, str]
    secret_names: frozenset[str]
    stop: str
    stop_group: bool
    user: str | None
    ends: bool = False
    low_ports: bool = False
    ascii_log: bool = False


def render_process(process: Process, layout: Layout) -> Files:
    """The service directory of one instance, its variables one file each, for its own account's eyes alone."""
    folder = str(layout.service(process.instance).relative_to(layout.state))
    files = {
        f"{folder}/env/{name}": File(value + "\n", mode=0o600, secret=name in process.secret_names)
        for name, value in process.env.items()
    }
    target = "-" if process.stop_group else ""
    return files | {
        f"{folder}/run": File(_run(process, layout), mode=0o755),
        f"{folder}/finish": File(_finish(process), mode=0o755),
        f"{folder}/control/t": File(
            f'#!/bin/sh\nkill -s {process.stop} -- {target}"$(cat supervise/pid)"\n', mode=0o755
        ),
        f"{folder}/control/k": File('#!/bin/sh\nkill -s KILL -- -"$(cat supervise/pid)"\n', mode=0o755),
        f"{folder}/log/run": File(_log(process, layout), mode=0o755),
        f"logs/{process.instance}/config": File(f"s{ROTATE_BYTES}\nn{KEEP_FILES}\nt86400\n"),
    }


def _run(process: Process, layout: Layout) -> str:
    service = layout.service(process.instance)
    # -l, before the account changes: while the orphan of a killed supervisor still serves, the next one waits here.
    locked = ["chpst", "-l", f"{service}/lock"]
    # -P: a process group of its own, so that a signal reaches the children too.
    group = ["-P", "-e", f"{service}/env"]
    as_user = ["-u", process.user] if process.user and not process.low_ports else []
    command = shlex.join([*locked, "chpst", *as_user, *group])
    if process.user and process.low_ports:
        command += " " + as_account_with_low_ports(process.user)
    command += " " + shlex.join(process.argv)
    lines = ["#!/bin/sh", "exec 2>&1", f"cd {shlex.quote(str(process.workdir))} || exit 1"]
    if process.user:
        lines.append(f"chown {process.user} /dev/stdout  # nginx opens its log by this name")
    return "\n".join([*lines, "echo $$ >" + shlex.quote(f"{service}/group"), f"exec {command}"]) + "\n"


def as_account_with_low_ports(user: str) -> str:
    """Words of a shell command that runs what follows as the account, which may listen below 1024, too."""
    right = "--inh-caps=+net_bind_service --ambient-caps=+net_bind_service"
    return f'setpriv --reuid={user} --regid="$(id -g {user})" --init-groups {right}'


def _finish(process: Process) -> str:
    wanted = "grep -q 'want down\\|want exit' supervise/stat"
    if process.ends:
        wanted = f'[ "$1" = 0 ] || {wanted}'
    return _FINISH.replace("STOP_SIGNAL", process.stop).replace("WANTED", wanted)


def _log(process: Process, layout: Layout) -> str:
    as_user = ["-u", process.user] if process.user else []
    options = ["-b", f"{LOG_BUFFER}", *(["-r", "?"] if process.ascii_log else [])]
    command = ["chpst", *as_user, "svlogd", *options, f"{layout.logs}/{process.instance}"]
    return f"#!/bin/sh\nexec {shlex.join(command)}\n"


_FINISH = """\
#!/bin/sh
# runsv calls this when the process has ended: $1 exit code (-1: by a signal), $2 signal.
# What it left behind (the workers of a killed nginx) would keep its port and its lock: asked to end, then ended.
group=$(cat group)
kill -s STOP_SIGNAL -- -"$group" 2>/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10; do
    kill -s 0 -- -"$group" 2>/dev/null || break
    sleep 0.2
done
kill -s KILL -- -"$group" 2>/dev/null
# Wanted: nothing to count. Otherwise note the restart and back off: at once for the first in a minute, then 1, 2, 4, 8 s.
echo "$1 $2" >last-exit
WANTED && exit 0
now=$(date +%s)
echo "$now $1 $2" >>restarts
recent=$(tail -n 20 restarts | awk -v since=$((now - 60)) '$1 >= since' | wc -l)
case $recent in
    0 | 1) ;;
    2) sleep 1 ;;
    3) sleep 2 ;;
    4) sleep 4 ;;
    *) sleep 8 ;;
esac
"""
