"""Whether an instance is well, asked the way its clients ask."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from neurmatic.hosts.base import Host
from neurmatic.probes.http import request
from neurmatic.stack.instance import Kind


@dataclass(frozen=True)
class Target:
    """Where and how to ask one instance.

    Attributes:
        path: for a service, the path that answers 200 when it is ready; None when it has no port to ask at.
        url: for the edge, the public URL to ask for.
    """

    name: str
    kind: Kind
    port: int | None = None
    path: str | None = None
    url: str = ""


@dataclass(frozen=True)
class Health:
    """What a probe saw; `version` is the release that the answer named, if any."""

    state: Literal["healthy", "unhealthy", "unknown"]
    detail: str = ""
    version: str = ""

    @property
    def ok(self) -> bool:
        return self.state == "healthy"


class Prober:
    """Asks instances of one stack.

    Args:
        postgres_bin: folder with pg_isready.
        redis_password: given to redis-cli in its environment.
        edge: address on which the edge listens, and the CA of its certificate.
    """

    def __init__(
        self, host: Host, *, postgres_bin: Path | None, redis_password: str, edge: tuple[str, Path], timeout: float = 3
    ) -> None:
        self.host = host
        self.postgres_bin = postgres_bin
        self.redis_password = redis_password
        self.edge_address, self.ca = edge
        self.timeout = timeout

    def probe_all(self, targets: list[Target]) -> dict[str, Health]:
        """All targets at once, by name."""
        with ThreadPoolExecutor(max_workers=max(1, len(targets))) as pool:
            return dict(zip([t.name for t in targets], pool.map(self.probe, targets), strict=True))

    def probe(self, target: Target) -> Health:
        """One question to one instance, answered within the time limit."""
        if target.kind == "postgres":
            return self._postgres(target)
        if target.kind == "redis":
            return self._redis(target)
        if target.kind == "edge":
            answer = request(target.url, timeout=self.timeout, ca=self.ca, address=self.edge_address)
            # Any answer is the edge's own; 502 and 504 say that it answers for instances that don't.
            return Health("healthy" if answer.status and answer.status < 500 else "unhealthy", str(answer))  # noqa: PLR2004
        if target.path is None or target.port is None:
            return Health("unknown", "has no port to ask at")
        answer = request(f"http://127.0.0.1:{target.port}{target.path}", timeout=self.timeout)
        well = answer.status in range(200, 400)
        return Health("healthy" if well else "unhealthy", str(answer), answer.headers.get("x-release", ""))

    def _postgres(self, target: Target) -> Health:
        program = str(self.postgres_bin / "pg_isready") if self.postgres_bin else "pg_isready"
        said = self.host.run(
            [program, "--host", "127.0.0.1", "--port", str(target.port), "--timeout", f"{self.timeout:.0f}"],
            env={},
            check=False,
        )
        return Health("healthy" if said.ok else "unhealthy", said.out.strip().rpartition(" - ")[2])

    def _redis(self, target: Target) -> Health:
        try:
            said = self.host.run(
                ["redis-cli", "-h", "127.0.0.1", "-p", str(target.port), "ping"],
                env={"REDISCLI_AUTH": self.redis_password},
                timeout=self.timeout,
                check=False,
            )
        except Exception as error:  # noqa: BLE001  whatever it is, the answer is that Redis did not answer
            return Health("unhealthy", str(error))
        words = (said.out + said.err).strip().splitlines()
        return Health("healthy" if "PONG" in words else "unhealthy", " ".join(words)[:200])
