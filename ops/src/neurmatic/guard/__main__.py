"""`python3 -m guard FOLDER`: watch until SIGTERM. FOLDER is the stack's state folder."""

import fcntl
import http.client
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from .judge import Judge, Seen
from .peers import Peer, Settings, kept_out, upstream_lists

REFUSED = "connection refused"
HEARTBEAT_SECONDS = 5.0
RELOAD_SECONDS = 1.0
"""At least so long between two reloads: what changes meanwhile goes into the next one."""


class Guard:
    """Watches the peers of one stack."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.run = state / "run"
        self.settings = Settings.from_json((state / "config" / "guard" / "settings.json").read_text())
        rules = self.settings.rules
        before = self._read()
        now = time.monotonic()
        self.judges = [Judge(peer, rules, before.get(peer.name, ""), now) for peer in self.settings.peers]
        self.pool = ThreadPoolExecutor(2 * max(1, len(self.judges)))
        self.ending = False
        self.owed = False  # a reload: one that fell and is back already was counted against by nginx all the same
        self.written = self.reloaded = 0.0

    def watch(self) -> None:
        """Ask, judge, and act, until asked to end."""
        signal.signal(signal.SIGTERM, self._end)
        while not self.ending:
            begun = time.monotonic()
            changed = self._judge()
            if begun - self.reloaded >= RELOAD_SECONDS:
                self._keep_lists()
            if changed or begun - self.written > HEARTBEAT_SECONDS:
                self._note()
            time.sleep(max(0.0, begun + self.settings.rules.interval - time.monotonic()))

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self.ending = True

    def _judge(self) -> bool:
        begun = time.monotonic()
        changed = False
        drained = self._drained()
        watched = [judge for judge in self.judges if judge.peer.name not in drained]
        for judge in self.judges:
            if judge.peer.name in drained:  # the tool knows what it is at, and restarts it perhaps
                judge.served_by = 0
        for judge, seen in zip(watched, self.pool.map(self._ask, [one.peer for one in watched]), strict=True):
            pid, age = self._started(judge.peer) or (0, 0.0)
            if judge.hear(seen, begun, pid):
                changed = self.owed = True
                say("out" if judge.reason else "in", judge.peer.name, judge.reason or seen.words)
            if pid and judge.is_hung(time.monotonic(), pid, age):
                self._kill(judge, pid)
        return changed

    def _ask(self, peer: Peer) -> Seen:
        """Readiness and liveness at once: the one decides about requests, either shows that it is not hung."""
        live = self.pool.submit(self._get, peer, peer.live) if peer.live else None
        status, words = self._get(peer, peer.ready)
        served = status > 0 or (live is not None and live.result()[0] > 0)
        return Seen(status in range(200, 400), served, words == REFUSED, f"{peer.ready}: {words}")

    def _get(self, peer: Peer, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(peer.host, peer.port, timeout=self.settings.rules.timeout)
        try:
            connection.request("GET", path, headers={"Connection": "close", "User-Agent": "neurmatic-guard"})
            status = connection.getresponse().status
        except TimeoutError:
            return 0, f"no answer within {self.settings.rules.timeout:g} s"
        except ConnectionRefusedError:
            return 0, REFUSED
        except (OSError, http.client.HTTPException) as error:
            return 0, type(error).__name__
        finally:
            connection.close()
        return status, str(status)

    def _started(self, peer: Peer) -> tuple[int, float] | None:
        """The peer's process group and its age in seconds; None unless it is certain that it is the peer."""
        file = self.state / "services" / peer.name / "group"
        with suppress(OSError, ValueError):
            pid = int(file.read_text())
            age = time.time() - file.stat().st_mtime
            if f"NEURMATIC_INSTANCE={peer.name}" in Path(f"/proc/{pid}/environ").read_text().split("\0"):
                return pid, age
        return None

    def _kill(self, judge: Judge, pid: int) -> None:
        say(
            "killed",
            judge.peer.name,
            f"no answer for {self.settings.rules.hung_seconds:g} s; its supervisor starts it anew",
        )
        with suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
        judge.silent_since = None

    def _keep_lists(self) -> None:
        """Bring nginx's lists to the verdicts, whoever else wrote them meanwhile; reload it when they change."""
        unready = {judge.peer.name: judge.reason for judge in self.judges if judge.reason}
        with self._locked():
            lists = upstream_lists(self.settings, kept_out(self.settings, self._drained(), unready))
            stale = {name: text for name, text in lists.items() if self._list(name) != text}
            for name, text in stale.items():
                replace(self.run / "upstreams" / f"{name}.conf", text)
        if stale or self.owed:
            self.reloaded, self.owed = time.monotonic(), False
            say("reload", "edge", ", ".join(stale) or "failures that nginx counted are forgotten")
            with suppress(OSError, ValueError):
                os.kill(int((self.run / "nginx.pid").read_text()), signal.SIGHUP)

    def _list(self, service: str) -> str:
        with suppress(OSError):
            return (self.run / "upstreams" / f"{service}.conf").read_text()
        return ""

    def _drained(self) -> dict[str, str]:
        """Who the tool keeps out while it restarts or replaces them: a file each."""
        found = {}
        for file in (self.run / "drained").glob("*"):
            with suppress(OSError):
                found[file.name] = file.read_text().strip()
        return found

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.run / "upstreams" / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _read(self) -> dict[str, str]:
        """Verdicts of the guard before this one, so that its death changes nothing."""
        with suppress(OSError, ValueError, KeyError):
            peers = json.loads((self.run / "guard.json").read_text())["peers"]
            return {name: str(one["reason"]) for name, one in peers.items()}
        return {}

    def _note(self) -> None:
        self.written = now = time.monotonic()
        peers = {
            one.peer.name: {"reason": one.reason, "seconds": round(now - one.since, 1), "falls": len(one.falls)}
            for one in self.judges
        }
        replace(self.run / "guard.json", json.dumps({"at": time.time(), "pid": os.getpid(), "peers": peers}) + "\n")


def replace(path: Path, text: str) -> None:
    """Readers see the old text or the new, never a part."""
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.write_text(text)
    unfinished.replace(path)


def say(action: str, instance: str, reason: str) -> None:
    """One line of the guard's log."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    print(json.dumps({"at": at, "action": action, "instance": instance, "reason": reason}), flush=True)  # noqa: T201


if __name__ == "__main__":
    Guard(Path(sys.argv[1])).watch()
