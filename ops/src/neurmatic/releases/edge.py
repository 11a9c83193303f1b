"""The running edge: its configuration checked, loaded, and led around an instance that is about to be restarted."""

import time
from dataclasses import dataclass

from neurmatic.errors import NeurmaticError
from neurmatic.hosts.base import Host
from neurmatic.releases.facts import read_mark, write_mark
from neurmatic.releases.plan import Mark
from neurmatic.render.file import Files
from neurmatic.render.nginx import CONFIG, render_nginx
from neurmatic.runtimes.base import Runtime
from neurmatic.stack.instance import Instance
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack

SETTLE_SECONDS = 0.5
"""From nginx's reload to the stop of an instance: measured, with 48 connections, to drop nothing; none to drop hundreds."""


@dataclass(frozen=True)
class Edge:
    """nginx in front of one stack."""

    host: Host
    layout: Layout
    stack: Stack
    release: str
    runtime: Runtime
    nginx: str
    user: str | None

    def check(self) -> None:
        """Have nginx test the configuration that lies there.

        Raises:
            NeurmaticError: it refuses it; the running edge goes on with the one before.
        """
        argv = [
            self.nginx,
            "-t",
            "-q",
            "-e",
            "stderr",
            "-p",
            str(self.layout.run),
            "-c",
            str(self.layout.state / CONFIG),
        ]
        if self.user:  # as the account that runs it, which must own what it logs to: nginx opens that by name
            argv = ["sh", "-c", 'chown "$0" /dev/stdout && exec chpst -u "$0" "$@"', self.user, *argv]
        said = self.host.run(argv, env={}, cwd=self.layout.run, check=False)
        if not said.ok:
            raise NeurmaticError(
                f"nginx refuses its configuration: {said.err.strip()}", "the running edge goes on with the one before"
            )

    def lead_around(self, one: Instance, missing: frozenset[str]) -> bool:
        """Send no more requests to the instance, nor to those in `missing`; True when somebody else can take them.

        Until `lead_back` the edge is marked as not current, so that an interrupted run is mended by the next.
        """
        service = self.stack.services.get(one.service)
        others = [i for i in self.stack.instances() if i.service == one.service and i.name not in {one.name, *missing}]
        running = self.runtime.inspect(["edge"]).get("edge")
        if not (service and service.routes and others and running and running.pid):
            return False
        self._load(render_nginx(self.stack, self.layout, self.release, missing | {one.name}))
        time.sleep(SETTLE_SECONDS)
        return True

    def lead_back(self, missing: frozenset[str]) -> None:
        """Send requests to every instance again but those in `missing`."""
        self._load(render_nginx(self.stack, self.layout, self.release, missing))

    def _load(self, files: Files) -> None:
        before = read_mark(self.host, self.layout, "edge")
        write_mark(self.host, self.layout, "edge", Mark(before.process if before else "", ""))
        for path, file in files.items():
            self.host.write(self.layout.state / path, file.text, mode=file.mode)
        self.check()
        self.runtime.reload("edge")
