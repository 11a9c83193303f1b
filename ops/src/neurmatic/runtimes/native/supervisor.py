"""runit: one runsvdir for the stack, one runsv for each instance; their own death stops no traffic."""

import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from neurmatic.errors import CommandError, NeurmaticError
from neurmatic.hosts.base import Host
from neurmatic.runtimes.base import Running, State
from neurmatic.stack.layout import SYSTEM_PATH, Layout

SCAN_SECONDS = 12  # runsvdir looks for new folders every 5 s by itself; twice that, and some more on a busy machine
TITLE_BYTES = 400
_TITLE = "log: "
"""Runsvdir keeps the end of what it and its runsv complain of in the last of its arguments, for `ps` to show."""
SLOWEST_STOP_SECONDS = 90
_STATUS = re.compile(r"^(run|down|finish|fail|warning): (\S+): (?:\(pid (\d+)\) )?(?:(\d+)s)?")
_STATES: dict[str, State] = {"run": "running", "finish": "restarting", "down": "stopped"}


class Supervisor:
    """The native runtime: see neurmatic.runtimes.base.Runtime."""

    def __init__(self, host: Host, layout: Layout) -> None:
        self.host = host
        self.layout = layout

    def inspect(self, names: Iterable[str]) -> dict[str, Running]:
        present = [name for name in names if self.host.exists(self.layout.service(name) / "run")]
        if not present:
            return {}
        said = self.host.run(["sv", "status", *(str(self.layout.service(name)) for name in present)], check=False)
        found = {}
        for line in said.out.splitlines():
            if match := _STATUS.match(line):
                name = match[2].rpartition("/")[2]
                found[name] = self._running(name, match[1], line, int(match[3] or 0), int(match[4] or 0))
        return {name: found.get(name, Running("stopped")) for name in present}

    def _running(self, name: str, word: str, line: str, pid: int, seconds: int) -> Running:
        restarts = self.restarts(name)
        state = _STATES.get(word)
        waits = state == "running" and self._waits(pid)
        begins = state == "stopped" and "want up" in line  # a runsv that is so new that it started nothing yet
        # Without a runsv, too, whoever holds the lock was started by one that was killed.
        if (state is None or waits or begins) and (orphan := self._orphan(name)):
            return Running("orphaned", orphan, seconds if waits else 0, restarts)
        if state is None:
            return Running("stopped")
        if waits or begins:
            return Running("restarting", None, seconds, restarts)
        if state == "running" and "want down" in line:
            state = "stopping"
        return Running(state, pid or None, seconds, restarts)

    def present(self) -> list[str]:
        return [name for name in self.host.names(self.layout.supervised) if not name.startswith(".")]

    def check(self) -> None:
        """There is nothing to be there before: `ensure_running` starts it."""

    def restarts(self, name: str) -> int:
        """How often the instance ended by itself since it was last started."""
        return len((self.host.read(self.layout.service(name) / "restarts") or "").splitlines())

    def _waits(self, pid: int) -> bool:
        """Whether the supervised process is still the script, or its chpst, which waits for an orphan's lock."""
        return self.host.command_line(pid).startswith(("/bin/sh ./run", "chpst -l "))

    def _orphan(self, name: str) -> int | None:
        """The process that runs outside supervision; its group's first process holds the instance's lock."""
        holders = self.host.holders(self.layout.service(name) / "lock")
        return next((pid for pid in holders if not self._waits(pid)), None)

    def start(self, name: str) -> None:
        self.ensure_supervised(name)
        folder = self.layout.service(name)
        if self.inspect([name])[name].state == "stopping":  # else its last answers pass for the new one's first
            self.host.run(
                ["sv", "-w", str(SLOWEST_STOP_SECONDS), "down", str(folder)], timeout=SLOWEST_STOP_SECONDS + 5
            )
        self.host.remove(folder / "down")
        self.host.remove(folder / "restarts")
        self.host.run(["sv", "up", str(folder)])

    @property
    def _pid_file(self) -> Path:
        return self.layout.state / "runsvdir.pid"

    def _pid(self) -> int:
        """Runsvdir's process; 0 when it does not run."""
        pid = int((self.host.read(self._pid_file) or "").strip() or 0)
        return pid if pid and f"runsvdir -P {self.layout.supervised}" in self.host.command_line(pid) else 0

    def is_supervising(self) -> bool:
        return self._pid() > 0

    def ensure_running(self) -> None:
        """Start runsvdir unless it runs; the runsv it finds alive keep what they supervise."""
        if self.is_supervising():
            return
        pid_file = self._pid_file
        script = 'echo $$ >"$1.new" && mv "$1.new" "$1" && exec runsvdir -P "$2" "$3"'
        # The lock keeps a second one out while the first has not yet written its number; --close: its children, which
        # outlive it, must not hold it.
        lock = str(self.layout.state / "runsvdir.lock")
        self.host.spawn(
            [
                "flock",
                "--nonblock",
                "--close",
                lock,
                "sh",
                "-c",
                script,
                "sh",
                str(pid_file),
                str(self.layout.supervised),
                f"{_TITLE}{'.' * TITLE_BYTES}",
            ],
            env={"PATH": SYSTEM_PATH, "LANG": "C.UTF-8"},
            cwd=self.layout.state,
            log=self.layout.state / "runsvdir.log",
        )

    def ensure_supervised(self, name: str) -> None:
        """Wait until the instance has a runsv.

        Raises:
            NeurmaticError: runsvdir did not take it up within SCAN_SECONDS.
        """
        self.ensure_running()
        until = time.monotonic() + SCAN_SECONDS
        while not self._supervised(name):
            self._wake()
            if time.monotonic() > until:
                said = self.host.command_line(self._pid()).rpartition(_TITLE)[2].strip(". ")
                raise NeurmaticError(f"{name}: runsvdir did not take it up: {said}", "run the command again")
            time.sleep(0.05)

    def _wake(self) -> None:
        """Have runsvdir look for new folders now: it does when something is written to its log, at most once a second."""
        if pid := self._pid():
            self.host.run(["sh", "-c", 'printf . >"$0"', f"/proc/{pid}/fd/2"], check=False)

    def _supervised(self, name: str) -> bool:
        said = self.host.run(["sv", "status", str(self.layout.service(name))], check=False)
        return said.out.startswith(("run:", "down:", "finish:"))

    def stop(self, name: str, *, grace: float) -> None:
        folder = self.layout.service(name)
        if not self.host.exists(folder / "run"):
            return
        self.host.write(folder / "down", "")
        if self._supervised(name):
            try:
                self.host.run(["sv", "-w", str(int(grace) + 1), "down", str(folder)], timeout=grace + 10)
            except CommandError:
                self.host.run(["sv", "-w", "5", "force-stop", str(folder)], check=False)
        self._stop_orphans(name, grace)

    def _stop_orphans(self, name: str, grace: float) -> None:
        for sign, seconds in (("TERM", grace), ("KILL", 5.0)):
            until = time.monotonic() + seconds
            while pid := self._orphan(name):
                self.host.signal(pid, sign)
                time.sleep(0.2)
                if time.monotonic() > until:
                    break

    def reload(self, name: str) -> None:
        self.host.run(["sv", "hup", str(self.layout.service(name))])

    def signal(self, name: str, signal: str) -> None:
        running = self.inspect([name]).get(name, Running())
        if running.pid:
            self.host.signal(running.pid, signal, tree=True)

    def log(self, name: str, most: int) -> list[str]:
        return self.host.tail(self.layout.logs / name / "current", most).splitlines()

    def supervisor_pid(self, name: str) -> int:
        """The instance's runsv; 0 when it has none."""
        holders = self.host.holders(self.layout.service(name) / "supervise" / "lock")
        return holders[0] if holders else 0

    def forget(self, name: str) -> None:
        """Remove a stopped instance from supervision and from the disk."""
        folder = self.layout.service(name)
        gone = folder.with_name(f".{name}.gone")
        self.host.remove(gone)
        self.host.rename(folder, gone)  # first, so that runsvdir doesn't start what is about to end
        self._remove(gone)

    def clear(self) -> None:
        """Remove what was half made or half forgotten when a command was killed; runsvdir passes over such names."""
        for name in self.host.names(self.layout.supervised):
            if name.startswith("."):
                self._remove(self.layout.supervised / name)

    def _remove(self, folder: Path) -> None:
        self.host.run(["sv", "exit", str(folder)], check=False)
        self._wait_until(lambda: not self.host.holders(folder / "supervise" / "lock"))  # until then it writes there
        self.host.remove(folder)

    def shut_down(self) -> None:
        """End runsvdir and every runsv; every instance must be stopped before."""
        if pid := self._pid():
            self.host.signal(pid, "HUP")  # runsvdir's own way: it ends its runsv, then itself
            self._wait_until(lambda: not self.host.alive(pid))
        names = self.present()
        for name in names:  # a runsv that outlived its runsvdir
            self.host.run(["sv", "exit", str(self.layout.service(name))], check=False)
        self._wait_until(lambda: not any(self._supervised(name) for name in names))
        self.host.remove(self._pid_file)

    @staticmethod
    def _wait_until(done: Callable[[], bool], seconds: float = 10) -> None:
        until = time.monotonic() + seconds
        while not done() and time.monotonic() < until:
            time.sleep(0.05)
