"""[containers]: the same stack as containers: which images, in which network, within which limits."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from neurmatic.stack.postgres import Postgres
from neurmatic.stack.redis import Redis
from neurmatic.stack.section import Command, Name, Port, Section, Size, UrlPath, VariableName, Words, size_bytes

HERE = "localhost"
"""The registry's name where there is none: images are built on the host that runs them."""
BLOCK = 64
"""Addresses kept for each service: as many as it may have instances."""
CONNECTION_BYTES = 5 * 1024**2
"""What one connection of PostgreSQL takes beside the shared memory, in the long run."""
MEGABYTE = 1024**2


def _network(subnet: str) -> str:
    network = ipaddress.IPv4Network(subnet)  # its ValueError says what is wrong
    if not network.is_private:
        raise ValueError("must be a private network")
    return subnet


Prefix = Annotated[str, Field(pattern=r"^/(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)+$")]
Folder = Annotated[str, Field(pattern=r"^/[^\s:]*$")]


class Image(Section):
    """One image of the application: where it is built from, and which services run it."""

    dockerfile: str = Field(description="Its Dockerfile, in the project; the project's own folder is the context.")
    services: Words = Field(description="Services that run it: names under [services], `site`, or `edge`.")
    args: Annotated[tuple[VariableName, ...], Field(strict=False)] = Field(
        default=(), description="Build arguments taken from the environment where it names them, such as a base image."
    )


class Limit(Section):
    """What one instance may use; what is left out has a default that fits the service."""

    memory: Size | None = Field(default=None, description="Memory; beyond it the kernel ends the instance.")
    cpus: float | None = Field(default=None, gt=0, le=1024, description="Processors, such as 0.5.")


class Reload(Section):
    """How a service runs in development, so that an edited source takes effect by itself."""

    command: Command | None = Field(default=None, description="Instead of the service's own; none: the image's.")
    mounts: dict[str, str] = Field(description="Folders of the project, and where the image has them; read-only.")
    writable: Words = Field(default=(), description="Folders in the image for what the command writes; in memory.")
    port: Port | None = Field(default=None, description="For `site`: a port of this machine that leads to it as well.")


class Containers(Section):
    """The stack as containers: `neurmatic render --runtime containers` writes the files for `docker compose`."""

    registry: str = Field(
        default=HERE,
        pattern=r"^[a-z0-9][a-z0-9.:/_-]*[a-z0-9]$",
        description="Where images are pulled from: REGISTRY/IMAGE:VERSION; localhost: `up` builds them itself. "
        "The variable REGISTRY overrides it.",
    )
    images: dict[Name, Image] = Field(description="The application's images.")
    postgres_image: str = Field(default="postgres:15-bookworm", description="PostgreSQL; POSTGRES_IMAGE overrides it.")
    redis_image: str = Field(default="redis:7-bookworm", description="Redis; REDIS_IMAGE overrides it.")
    site_port: Port = Field(default=8080, description="Where the image of `site` serves it.")
    site_health: UrlPath = Field(default="/health", description="Where it says that it does.")
    site_kept: dict[Prefix, Folder] = Field(
        default_factory=dict,
        description="URL prefixes of the site whose files have a hash in their name, and the folder of its image where each "
        "lies: the edge serves them itself, so that pages of the release before find theirs after a deploy.",
    )
    subnet: Annotated[str, AfterValidator(_network)] = Field(
        default="172.31.192.0/20",
        description="Private network of the stack's own; nothing outside reaches it. Each stack of a host needs another.",
    )
    host_memory: Size = Field(default="8GB", description="What the host has for all instances together.")
    host_cpus: float = Field(default=4, gt=0, description="Processors of the host.")
    limits: dict[Name, Limit] = Field(default_factory=dict, description="What one instance may use, by service.")
    reload: dict[Name, Reload] = Field(default_factory=dict, description="Development: sources from a mount.")

    def image_of(self, service: str) -> str | None:
        """The name of the image that a service runs."""
        return next((name for name, image in self.images.items() if service in image.services), None)

    def problems(self, instances: Mapping[str, int], postgres: Postgres | None, redis: Redis | None) -> Iterator[str]:
        """What can't work for these numbers of instances by service; each problem names its field."""
        servers = {name for name, one in (("postgres", postgres), ("redis", redis)) if one}
        for service in instances.keys() - servers:
            if self.image_of(service) is None:
                yield f"containers.images: none runs the service {service!r}"
        for name, image in self.images.items():
            for service in image.services:
                if service not in instances:
                    yield f"containers.images.{name}.services: there is no service {service!r}"
        for table in ("limits", "reload"):
            for service in getattr(self, table).keys() - instances.keys():
                yield f"containers.{table}: there is no service {service!r}"
        if (len(instances) + 1) * BLOCK > ipaddress.IPv4Network(self.subnet).num_addresses:
            yield f"containers.subnet: {self.subnet} is too small for {len(instances)} services with {BLOCK} addresses each"
        yield from self._limit_problems(postgres, redis)

    def limit(self, service: str, postgres: Postgres | None, redis: Redis | None) -> tuple[int, float]:
        """(bytes, processors) that one instance of the service may use."""
        chosen = self.limits.get(service, Limit())
        memory = size_bytes(chosen.memory) if chosen.memory else _memory(service, postgres, redis)
        return memory, chosen.cpus or _CPUS.get(service, 0.5)

    def _limit_problems(self, postgres: Postgres | None, redis: Redis | None) -> Iterator[str]:
        if postgres and self.limit("postgres", postgres, redis)[0] < (needed := _least_postgres(postgres)):
            yield (
                f"containers.limits.postgres.memory: shared_buffers and {postgres.max_connections} connections "
                f"need {needed // MEGABYTE} MB"
            )
        if redis and self.limit("redis", postgres, redis)[0] < (needed := _least_redis(redis)):
            yield f"containers.limits.redis.memory: maxmemory and what a save copies need {needed // MEGABYTE} MB"

    def excess(self, instances: Mapping[str, int], postgres: Postgres | None, redis: Redis | None) -> Iterator[str]:
        """What the host doesn't have for all instances' limits together; natively there are none."""
        limits = {service: self.limit(service, postgres, redis) for service in instances}
        memory = sum(limits[service][0] * count for service, count in instances.items())
        if memory > size_bytes(self.host_memory):
            yield (
                f"containers.host_memory: the instances' limits are {memory // MEGABYTE} MB together, "
                f"and the host has {self.host_memory}"
            )
        cpus = sum(limits[service][1] * count for service, count in instances.items())
        if cpus > self.host_cpus:
            yield f"containers.host_cpus: the limits are {cpus:g} together, and the host has {self.host_cpus:g}"


_CPUS = {"postgres": 1.0, "edge": 0.5, "redis": 0.25, "site": 0.25}


def _memory(service: str, postgres: Postgres | None, redis: Redis | None) -> int:
    if service == "postgres" and postgres:  # the kernel's cache counts, too: as much as the planner is told of
        return max(size_bytes(postgres.effective_cache_size), size_bytes(postgres.shared_buffers)) + _connections(
            postgres
        )
    if service == "redis" and redis:
        return _least_redis(redis)
    return {"edge": 256, "site": 64}.get(service, 512) * MEGABYTE


def _least_postgres(postgres: Postgres) -> int:
    return size_bytes(postgres.shared_buffers) + _connections(postgres)


def _connections(postgres: Postgres) -> int:
    return postgres.max_connections * CONNECTION_BYTES


def _least_redis(redis: Redis) -> int:
    """While it saves, every page that is written to exists twice: half of them, on a busy day."""
    return size_bytes(redis.maxmemory) * 3 // 2 + 32 * MEGABYTE
