"""The running edge: its configuration checked and loaded, and requests led around an instance that is about to be restarted."""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from neurmatic.errors import BusyError, NeurmaticError
from neurmatic.guard.peers import Settings, kept_out, upstream_lists
from neurmatic.hosts.base import Host, Result
from neurmatic.probes.http import request
from neurmatic.render.guard import guard_settings
from neurmatic.render.inside import places_in
from neurmatic.render.maintenance import OPEN
from neurmatic.render.nginx import CONFIG, generation
from neurmatic.render.places import LOOPBACK, Places
from neurmatic.render.runit import as_account_with_low_ports
from neurmatic.runtimes.base import Runtime
from neurmatic.runtimes.choice import runtime_of
from neurmatic.runtimes.containers.engine import Engine
from neurmatic.stack.instance import Instance
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack

SETTLE_SECONDS = 0.5
"""From nginx's reload to the stop of an instance: measured, with 48 connections, to drop nothing; no pause, to drop hundreds."""
LOCK_SECONDS = 5.0
LOAD_SECONDS = 10.0


@dataclass(frozen=True)
class Edge:
    """nginx in front of one stack. Its lists of instances are shared with the guard, which keeps them from then on."""

    host: Host
    layout: Layout
    stack: Stack
    runtime: Runtime
    user: str | None
    places: Places = LOOPBACK

    @property
    def settings(self) -> Settings:
        """What the guard is told of this stack."""
        return guard_settings(self.stack, self.places)

    @property
    def control(self) -> str:
        """Where nginx is asked about itself."""
        return f"http://{self.places.of('edge')}:{self.stack.edge.control_port}"

    def prepare(self, missing: Iterable[str]) -> None:
        """Make the folders and lists; instances in `missing` get no requests until `let_in`, all others do.

        What an interrupted command kept out gets requests again.
        """
        for folder in (self.layout.run / "nginx", self.layout.upstreams, self.layout.drained):
            self.host.make_folder(folder, mode=0o700 if folder.name == "nginx" else 0o755, owner=self.user)
        if not self.host.exists(self._lock):
            self.host.write(self._lock, "", owner=self.user)
        stale = set(self.host.names(self.layout.drained)) - set(missing)
        for name in stale:
            self.host.remove(self.layout.drained / name)
        for name in missing:
            self.host.write(self.layout.drained / name, "not started yet\n")
        if not self.host.exists(self.layout.switch):
            self.host.make_folder(self.layout.maintenance)
            self.host.write(self.layout.switch, OPEN)
        self._keep_lists()

    def check(self) -> None:
        """Have nginx test the configuration that lies there.

        Raises:
            NeurmaticError: it refuses it; the running edge goes on with the one before.
        """
        config = str(self.layout.state / CONFIG)
        said = self._try(["-t", "-q", "-e", "stderr", "-p", str(self.layout.run), "-c", config])
        if said and not said.ok:
            raise NeurmaticError(
                f"nginx refuses its configuration: {said.err.strip()}", "the running edge goes on with the one before"
            )

    def _try(self, words: list[str]) -> Result | None:
        """Call nginx as it runs; None where it has no container yet: starting, it will test its configuration itself."""
        if isinstance(self.runtime, Engine):
            running = self.runtime.inspect(["edge"]).get("edge")
            return self.runtime.execute("edge", ["nginx", *words]) if running and running.pid else None
        argv = [self.host.which("nginx") or "nginx", *words]
        if self.user:  # as the account that runs it, which must own what it logs to: nginx opens that by name
            account = as_account_with_low_ports(self.user) if self.stack.edge.low_ports else f"chpst -u {self.user}"
            argv = ["sh", "-c", f'chown {self.user} /dev/stdout && exec {account} "$@"', "sh", *argv]
        return self.host.run(argv, env={}, cwd=self.layout.run, check=False)

    def reload(self) -> None:
        """Have nginx load what lies there; when this returns, new requests meet it.

        Raises:
            NeurmaticError: it goes on with the configuration before.
        """
        self.runtime.reload("edge")
        time.sleep(SETTLE_SECONDS)
        wanted = generation(self.host.read(self.layout.state / CONFIG) or "")
        url = f"{self.control}/generation"
        until = time.monotonic() + LOAD_SECONDS
        while wanted and request(url, timeout=1).body.decode() != wanted:
            if time.monotonic() > until:
                raise NeurmaticError(
                    f"nginx did not load its new configuration {wanted}; it goes on with the one before",
                    "`neurmatic logs edge` says why; `neurmatic restart edge` starts it anew",
                )
            time.sleep(0.1)

    def lead_around(self, one: Instance, why: str) -> None:
        """Send no more requests to the instance, if another can take them; when this returns it may be stopped."""
        if any(peer.name == one.name for peer in self.settings.peers):
            self.host.write(self.layout.drained / one.name, why + "\n")
            self._keep_lists()
            time.sleep(SETTLE_SECONDS)  # the guard may have led around it before us, a moment ago

    def let_in(self, name: str) -> None:
        """Send requests to the instance from now on, as the guard sees fit."""
        if self.host.exists(self.layout.drained / name):
            self.host.remove(self.layout.drained / name)
            self._keep_lists()

    def exchange(self, leaving: Iterable[str], coming: Iterable[str], why: str) -> None:
        """Send requests to those who come instead of those who leave, all at once; when this returns, these may be stopped.

        nginx loads its configuration, too.
        """
        for name in coming:
            self.host.remove(self.layout.drained / name)
        for name in leaving:
            self.host.write(self.layout.drained / name, why + "\n")
        if not self._keep_lists():
            self.check()
            self.reload()

    def _keep_lists(self) -> bool:
        """Write the lists, as the guard would, and load them where they changed; whether they were loaded."""
        with self._locked():
            drained = {
                n: (self.host.read(self.layout.drained / n) or "").strip() for n in self.host.names(self.layout.drained)
            }
            lists = upstream_lists(self.settings, kept_out(self.settings, drained, self._unready()))
            stale = [name for name, text in lists.items() if self.host.read(self.layout.upstream(name)) != text]
            for name in stale:
                self.host.write(self.layout.upstream(name), lists[name], owner=self.user)
        running = self.runtime.inspect(["edge"]).get("edge")
        if not stale or not running or not running.pid:
            return False
        self.check()
        self.reload()
        return True

    def _unready(self) -> dict[str, str]:
        try:
            peers = json.loads(self.host.read(self.layout.guard) or "{}").get("peers", {})
        except ValueError:
            return {}
        return {name: str(one["reason"]) for name, one in peers.items() if one["reason"]}

    @property
    def _lock(self) -> Path:
        return self.layout.upstreams / "lock"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """The guard holds it for milliseconds."""
        until = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                with self.host.locked(self._lock, "neurmatic"):
                    yield
                    return
            except BusyError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)


def edge_of(host: Host, layout: Layout, stack: Stack, user: str | None) -> Edge:
    """The edge of a stack. `user` is the account that runs nginx; None: the tool's own."""
    return Edge(host, layout, stack, runtime_of(host, layout), user, places_in(layout, stack))
