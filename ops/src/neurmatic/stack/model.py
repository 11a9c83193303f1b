"""The whole stack: its sections, what they must satisfy together, and the instances that follow from them."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field, model_validator

from neurmatic.stack.backup import Backup
from neurmatic.stack.checks import Checks
from neurmatic.stack.containers import Containers
from neurmatic.stack.deploy import Deploy
from neurmatic.stack.edge import Edge
from neurmatic.stack.identity import Identity
from neurmatic.stack.instance import BUILT_IN, Instance
from neurmatic.stack.postgres import Postgres
from neurmatic.stack.redis import Redis
from neurmatic.stack.release import Release
from neurmatic.stack.secrets import Secrets
from neurmatic.stack.section import Section, port_range
from neurmatic.stack.service import Service, ServiceName
from neurmatic.stack.site import Site
from neurmatic.stack.timer import Timer, renewal
from neurmatic.stack.tls import Tls
from neurmatic.stack.watch import Watch


class Stack(Section):
    """What should run, as the stack file and its environment's overlay say."""

    identity: Identity = Field(alias="stack", description="Name and public host.")
    release: Release = Field(default_factory=Release, description="How a version is made.")
    deploy: Deploy = Field(default_factory=Deploy, description="How a release goes live, and how many are kept.")
    edge: Edge = Field(default_factory=Edge, description="nginx.")
    tls: Tls = Field(default_factory=Tls, description="The edge's certificate.")
    site: Site | None = Field(default=None, description="Static files.")
    services: Annotated[dict[ServiceName, Service], Field(min_length=1)] = Field(
        description="The application's processes."
    )
    postgres: Postgres | None = Field(default=None, description="The database.")
    redis: Redis | None = Field(default=None, description="Memory for what can be rebuilt.")
    backup: Backup | None = Field(default=None, description="What is kept of the database.")
    secrets: Secrets = Field(default_factory=Secrets, description="Names of secret variables.")
    containers: Containers | None = Field(default=None, description="The same stack as containers.")
    watch: Watch = Field(default_factory=Watch, description="When the machine counts as not well.")
    checks: Checks = Field(default_factory=Checks, description="Requests that the readiness checks make.")

    @property
    def name(self) -> str:
        return self.identity.name

    @property
    def environment(self) -> str:
        return self.identity.environment

    @property
    def url(self) -> str:
        """Public base URL, without a trailing slash."""
        port = "" if self.edge.https_port == 443 else f":{self.edge.https_port}"  # noqa: PLR2004  HTTPS's own port
        return f"https://{self.identity.host}{port}"

    @property
    def tls_names(self) -> tuple[str, ...]:
        """Every name that the edge's certificate must be valid for, the public host first."""
        return tuple(dict.fromkeys((self.identity.host, *self.tls.names)))

    @property
    def release_service(self) -> str:
        """The service whose environment migrations get."""
        return self.release.service or next(iter(self.services))

    def instances(self) -> tuple[Instance, ...]:
        """Every instance, in an order in which each comes after what it needs."""
        found: list[Instance] = []
        for service in self.start_order():
            if service == "edge":
                found.append(Instance("guard", "edge", "guard", 1, None))
                found.append(Instance("edge", "edge", "edge", 1, self.edge.https_port))
            elif service == "postgres" and self.postgres:
                found.append(Instance("postgres", "postgres", "postgres", 1, self.postgres.port))
            elif service == "redis" and self.redis:
                found.append(Instance("redis", "redis", "redis", 1, self.redis.port))
            else:
                one = self.services[service]
                found += [Instance(f"{service}-{n}", service, "service", n, one.port(n)) for n in one.numbers]
        found += [Instance(timer.name, timer.name, "timer", 1, None) for timer in self.timers()]
        return tuple(found)

    def placed(self, numbers: Mapping[str, tuple[int, ...]]) -> "Stack":
        """The same stack with these services' instances at these numbers."""
        moved = {name: one.numbered(numbers[name]) if name in numbers else one for name, one in self.services.items()}
        return self.replace(services=moved)

    def pooled_connections(self) -> int:
        """Database connections that all instances together may hold."""
        return sum(len(one.numbers) * one.pool_size for one in self.services.values() if "postgres" in one.needs)

    def parts(self) -> dict[str, int]:
        """How many instances of each service run as containers: the site is one of its own there."""
        built_in = ("edge", *(name for name in ("postgres", "redis", "site") if getattr(self, name)))
        return dict.fromkeys(built_in, 1) | {name: one.instances for name, one in self.services.items()}

    def routed(self) -> dict[str, Service]:
        """Services that the edge sends requests to."""
        return {name: one for name, one in self.services.items() if one.routes}

    def timers(self) -> tuple[Timer, ...]:
        """What the stack does by itself, by the clock."""
        renewals = (renewal(self.identity.host),) if self.tls.certificates == "acme" else ()
        return (*renewals, *(self.backup.timers() if self.backup else ()))

    def needs(self, service: str) -> tuple[str, ...]:
        """Services that must be healthy before this one starts."""
        if service == "edge":
            return tuple(self.routed())
        return self.services[service].needs if service in self.services else ()

    def start_order(self) -> tuple[str, ...]:
        """Service names such that each comes after what it needs; the edge comes last."""
        waiting = [name for name in ("postgres", "redis") if getattr(self, name)] + list(self.services)
        ordered: list[str] = []
        while waiting:
            ready = next((name for name in waiting if set(self.needs(name)) <= set(ordered)), None)
            if ready is None:
                raise ValueError(f"services: {', '.join(waiting)} need each other in a circle")
            waiting.remove(ready)
            ordered.append(ready)
        return (*ordered, "edge")

    def ports(self) -> Iterator[tuple[str, int, int]]:
        """(who, first port, last port) of everything that listens."""
        yield "edge.https_port", self.edge.https_port, self.edge.https_port
        yield "edge.http_port", self.edge.http_port, self.edge.http_port
        yield "edge.control_port", self.edge.control_port, self.edge.control_port
        for name, server in (("postgres", self.postgres), ("redis", self.redis)):
            if server:
                yield f"{name}.port", server.port, server.port
        for name, service in self.services.items():
            if service.ports:
                yield f"services.{name}.ports", *port_range(service.ports)

    @model_validator(mode="after")
    def _fits_together(self) -> "Stack":
        problems = [
            *self._name_problems(),
            *self._port_problems(),
            *self._connection_problems(),
            *self.tls.problems(self.identity.host),
            *(["backup: there is no [postgres] to keep anything of"] if self.backup and not self.postgres else []),
            *(self.backup.problems() if self.backup else ()),
            *(self._container_problems(self.containers) if self.containers else ()),
        ]
        if problems:
            raise ValueError("; ".join(problems))
        self.start_order()
        return self

    def _container_problems(self, containers: Containers) -> Iterator[str]:
        yield from containers.problems(self.parts(), self.postgres, self.redis)
        for name in self.checks.edits.keys() - containers.reload.keys():
            yield f"checks.edits.{name}: there is no [containers.reload.{name}]"
        if "site" in self.services:
            yield "services.site: among containers the name belongs to the site's files; choose another"
        if self.edge.static:
            yield "edge.static: the edge's container has no files of the application; serve them by the site or a service"

    def _name_problems(self) -> Iterator[str]:
        known = {*self.services, *(name for name in ("postgres", "redis") if getattr(self, name))}
        for name, service in self.services.items():
            if name in (*BUILT_IN, "guard") or name.startswith("timer-"):
                yield f"services.{name}: the name belongs to a built-in service; choose another"
            for need in service.needs:
                if need not in known:
                    yield f"services.{name}.needs: there is no service {need!r} (known: {', '.join(sorted(known))})"
            if service.routes and not service.ports:
                yield f"services.{name}: routes need ports, so that instances have somewhere to listen"
        if self.release.service and self.release.service not in self.services:
            yield f"release.service: there is no service {self.release.service!r}"
        yield from self._route_problems()

    def _route_problems(self) -> Iterator[str]:
        claimed: dict[str, str] = {}
        for name, service in self.services.items():
            for route in service.routes:
                if route in claimed:
                    yield f"services.{name}.routes: {route} is claimed by {claimed[route]} already"
                claimed[route] = name
        if self.site and "/" in claimed:
            yield f"site: services.{claimed['/']} claims / already; give it a narrower route or drop [site]"
        edge = self.edge
        listed = {
            "cache.paths": edge.cache.paths,
            "websocket.paths": edge.websocket.paths,
            "limits.paths": edge.limits.paths,
        }
        listed |= {f"limits.credentials.{name}.paths": one.paths for name, one in edge.limits.credentials.items()}
        for field, paths in listed.items():
            for path in paths or ():
                if self.routed_to(path) is None:
                    yield f"edge.{field}: {path} lies in no service's routes"
        if self.checks.websocket and not self.checks.websocket.startswith(edge.websocket.paths):
            yield f"checks.websocket: {self.checks.websocket} lies in none of edge.websocket.paths"

    def routed_to(self, path: str) -> str | None:
        """The service that the edge sends this path to: the one with the longest route that it begins with."""
        routes = (
            (len(route), name) for name, one in self.services.items() for route in one.routes if path.startswith(route)
        )
        return max(routes, default=(0, None))[1]

    def _port_problems(self) -> Iterator[str]:
        seen: list[tuple[str, int, int]] = []
        for who, first, last in self.ports():
            for other, low, high in seen:
                if first <= high and low <= last:
                    yield f"{who}: {first}-{last} overlaps {other} ({low}-{high})"
            seen.append((who, first, last))
        for name, service in self.services.items():
            if (
                service.ports
                and (size := port_range(service.ports)[1] - port_range(service.ports)[0] + 1) < service.instances
            ):
                yield f"services.{name}: {service.instances} instances don't fit into {size} ports ({service.ports})"

    def _connection_problems(self) -> Iterator[str]:
        if not self.postgres:
            return
        users = {n: s for n, s in self.services.items() if "postgres" in s.needs}
        wanted = sum(s.instances * s.pool_size for s in users.values())
        free = self.postgres.free_connections
        if wanted > free:
            sums = " + ".join(f"{n} {s.instances} x {s.pool_size}" for n, s in users.items())
            yield (
                f"postgres.max_connections: {sums} = {wanted} pooled connections, but only {free} are free "
                f"({self.postgres.max_connections} less {self.postgres.reserved_connections} reserved)"
            )
