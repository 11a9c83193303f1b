"""Maintenance: the edge closed to everybody but a few, and opened again, without dropping a request.

The switch is a file in the state folder that nginx includes, so it outlives `up`, `restart`, nginx and the machine.
"""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from neurmatic.errors import ConfigurationError, NeurmaticError
from neurmatic.hosts.base import Host
from neurmatic.releases.edge import LOAD_SECONDS, Edge, edge_of
from neurmatic.releases.events import EventLog, actor
from neurmatic.releases.switch import closed, loaded
from neurmatic.render.maintenance import OPEN, Closed, switch, texts
from neurmatic.render.nginx import CONFIG
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack

SERVING = ("running", "orphaned")


@dataclass(frozen=True)
class Maintenance:
    """The switch of one stack's edge. Needs no lock of the stack's: the edge may be closed during a deploy that hangs."""

    edge: Edge
    events: EventLog

    def close(self) -> bool:
        """Close the edge as [edge.maintenance] says; when this returns, new requests meet it. False: it was just so.

        Raises:
            ConfigurationError: the page can't be read, or the edge was never started by a tool that knows of this.
            NeurmaticError: nginx goes on with what it had, and the switch is as before.
        """
        with self._alone("on"):
            section = self.edge.stack.edge.maintenance
            answers = texts(section.message, self._page())
            now = Closed(
                since=datetime.now(UTC).isoformat(timespec="seconds"),
                actor=actor(),
                allow=section.allow,
                retry_after=section.retry_after,
                message=section.message,
                page=section.page or "",
                texts=sha256("".join(answers.values()).encode()).hexdigest()[:12],
            )
            if before := closed(self.edge.host, self.edge.layout):
                now = replace(now, since=before.since, actor=before.actor)
            return self._turn({**answers, self.edge.layout.switch.name: switch(now)}, "on", allow=list(now.allow))

    def open(self) -> bool:
        """Let everybody in again; False: the edge was open.

        Raises:
            NeurmaticError: nginx goes on with what it had, and the switch is as before.
        """
        with self._alone("off"):
            return self._turn({self.edge.layout.switch.name: OPEN}, "off")

    def _alone(self, word: str) -> AbstractContextManager[None]:
        layout = self.edge.layout
        if str(layout.switch) not in (self.edge.host.read(layout.state / CONFIG) or ""):
            raise ConfigurationError(
                f"the edge in {layout.state} has no such switch yet", "`neurmatic up` gives it one"
            )
        return self.edge.host.locked(layout.maintenance / "lock", f"neurmatic maintenance {word} by {actor()}")

    def _page(self) -> str | None:
        name = self.edge.stack.edge.maintenance.page
        if name is None:
            return None
        page = self.edge.host.read(self.edge.layout.project / name)
        if page is None:
            raise ConfigurationError(f"edge.maintenance.page: there is no {name} in {self.edge.layout.project}")
        return page

    def _turn(self, files: Mapping[str, str], word: str, **details: object) -> bool:
        """Bring the files to these and have nginx load them, or leave all as it was."""
        host, folder = self.edge.host, self.edge.layout.maintenance
        before = {name: host.read(folder / name) for name in files}
        if before == files and self._is_loaded():
            return False
        with self.events.recorded("maintenance", switch=word, **details):
            try:
                for name, text in files.items():  # the switch is the last of them
                    host.write(folder / name, text)
                self.edge.check()
                self._load()
            except NeurmaticError:
                for name, old in before.items():
                    _put(host, folder / name, old)
                raise
        return True

    def _is_running(self) -> bool:
        return self.edge.runtime.inspect(["edge"])["edge"].state in SERVING

    def _is_loaded(self) -> bool:
        return not self._is_running() or loaded(self.edge.host, self.edge.layout, self.edge.control)

    def _load(self) -> None:
        """Have nginx load the switch. One that doesn't run will find it when it starts."""
        if not self._is_running():
            return
        self.edge.reload()
        until = time.monotonic() + LOAD_SECONDS
        while not self._is_loaded():
            if time.monotonic() > until:
                raise NeurmaticError(
                    "nginx did not load the switch; it goes on with the configuration before",
                    "`neurmatic logs edge` says why",
                )
            time.sleep(0.1)


def maintenance_of(host: Host, layout: Layout, stack: Stack, user: str | None) -> Maintenance:
    """The switch of a stack that was started before. `user` is the account that runs nginx; None: the tool's own."""
    return Maintenance(edge_of(host, layout, stack, user), EventLog(host, layout))


def _put(host: Host, path: Path, text: str | None) -> None:
    if text is None:
        host.remove(path)
    else:
        host.write(path, text)
