"""Whether an instance is well, asked the way its clients ask."""

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from neurmatic.hosts.base import Host
from neurmatic.probes.http import request
from neurmatic.render.maintenance import closed_in
from neurmatic.render.places import LOOPBACK_ADDRESS
from neurmatic.stack.instance import Kind

GUARD_SECONDS = 15.0
"""The guard is not well when its last verdict is older."""


@dataclass(frozen=True)
class Target:
    """Where and how to ask one instance.

    Attributes:
        address: where it listens.
        path: for a service, the path that answers 200 when it is ready; None when it has no port to ask at.
        url: for the edge, the public URL to ask for.
        times: for a timer, when it runs, in snooze's notation.
    """

    name: str
    kind: Kind
    port: int | None = None
    path: str | None = None
    url: str = ""
    times: tuple[str, ...] = ()
    address: str = LOOPBACK_ADDRESS


@dataclass(frozen=True)
class Health:
    """What a probe saw; `version` is the release that the answer named, if any."""

    state: Literal["healthy", "unhealthy", "unknown"]
    detail: str = ""
    version: str = ""

    @property
    def ok(self) -> bool:
        return self.state == "healthy"


def next_run(host: Host, times: Sequence[str]) -> str:
    """When a timer runs next, as its own scheduler says; empty when that says nothing."""
    said = host.run(["snooze", "-n", *times], env={"TZ": "UTC"}, check=False)
    return said.out.partition("+")[0].replace("T", " ") + " UTC" if said.ok and said.out else ""


class Prober:
    """Asks instances of one stack.

    Args:
        postgres_bin: folder with pg_isready.
        redis_password: given to redis-cli in its environment.
        edge: address on which the edge listens, and the authorities of its certificate.
        guard: the file in which the guard's verdicts stand.
        switch: the file that closes the edge for maintenance.
        is_contained: whether the guard's own number isn't the one by which this machine knows it.
    """

    def __init__(  # noqa: PLR0913  each is where one kind of instance is asked; all but the first are by keyword
        self,
        host: Host,
        *,
        postgres_bin: Path | None,
        redis_password: str,
        edge: tuple[str, Path],
        guard: Path,
        switch: Path,
        is_contained: bool = False,
        timeout: float = 3,
    ) -> None:
        self.host = host
        self.postgres_bin = postgres_bin
        self.redis_password = redis_password
        self.edge_address, self.ca = edge
        self.verdicts = guard
        self.switch = switch
        self.is_contained = is_contained
        self.timeout = timeout

    def probe_all(self, targets: list[Target]) -> dict[str, Health]:
        """All targets at once, by name."""
        with ThreadPoolExecutor(max_workers=max(1, len(targets))) as pool:
            return dict(zip([t.name for t in targets], pool.map(self.probe, targets), strict=True))

    def probe(self, target: Target) -> Health:  # noqa: PLR0911  one answer for each kind
        """One question to one instance, answered within the time limit."""
        if target.kind == "postgres":
            return self._postgres(target)
        if target.kind == "redis":
            return self._redis(target)
        if target.kind == "guard":
            return self._guard()
        if target.kind == "edge":
            return self._edge(target)
        if target.kind == "timer":
            return Health("unknown", f"next run {next_run(self.host, target.times)}")
        if target.path is None or target.port is None:
            return Health("unknown", "has no port to ask at")
        answer = request(f"http://{target.address}:{target.port}{target.path}", timeout=self.timeout)
        well = answer.status in range(200, 400)
        return Health("healthy" if well else "unhealthy", str(answer), answer.headers.get("x-release", ""))

    def _postgres(self, target: Target) -> Health:
        program = str(self.postgres_bin / "pg_isready") if self.postgres_bin else "pg_isready"
        said = self.host.run(
            [program, "--host", target.address, "--port", str(target.port), "--timeout", f"{self.timeout:.0f}"],
            env={},
            check=False,
        )
        return Health("healthy" if said.ok else "unhealthy", said.out.strip().rpartition(" - ")[2])

    def _edge(self, target: Target) -> Health:
        answer = request(target.url, timeout=self.timeout, ca=self.ca, address=self.edge_address)
        if answer.status == 503 and closed_in(self.host.read(self.switch) or ""):  # noqa: PLR2004  HTTP's own number
            return Health("healthy", f"closed for maintenance: {answer}")
        # Any other answer is the edge's own; 502 and 504 say that it answers for instances that don't.
        return Health("healthy" if answer.status and answer.status < 500 else "unhealthy", str(answer))  # noqa: PLR2004

    def _guard(self) -> Health:
        """It writes its verdicts every few seconds, changed or not."""
        try:
            verdicts = json.loads(self.host.read(self.verdicts) or "")
        except ValueError:
            return Health("unhealthy", "has written no verdict yet")
        age = time.time() - float(verdicts["at"])
        out = [name for name, one in verdicts["peers"].items() if one["reason"]]
        words = f"its last verdict is {age:.0f} s old; out: {', '.join(out) or 'none'}"
        if not self.is_contained and not self.host.alive(
            verdicts["pid"]
        ):  # what the guard before wrote says nothing of this one
            return Health("unhealthy", f"{words}; it was written by one that is gone")
        return Health("healthy" if age < GUARD_SECONDS else "unhealthy", words)

    def _redis(self, target: Target) -> Health:
        try:
            said = self.host.run(
                ["redis-cli", "-h", target.address, "-p", str(target.port), "ping"],
                env={"REDISCLI_AUTH": self.redis_password},
                timeout=self.timeout,
                check=False,
            )
        except Exception as error:  # noqa: BLE001  whatever it is, the answer is that Redis did not answer
            return Health("unhealthy", str(error))
        words = (said.out + said.err).strip().splitlines()
        return Health("healthy" if "PONG" in words else "unhealthy", " ".join(words)[:200])
