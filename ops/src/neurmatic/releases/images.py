"""Images: built from the project's Dockerfiles or pulled from a registry, and kept by the engine's own name for them, a digest."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from neurmatic.errors import CommandError, ConfigurationError
from neurmatic.hosts.base import Host, Result
from neurmatic.releases.project import Reporter
from neurmatic.stack.containers import HERE, Containers
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack

MADE_OF = "images.json"
BUILD_SECONDS = 3600
WHAT_RUNS = ("User", "Env", "Entrypoint", "Cmd", "WorkingDir", "StopSignal", "Healthcheck", "Volumes", "ExposedPorts")
SERVERS = ("edge", "postgres", "redis")
"""Services whose images a release doesn't bring: `up` alone changes them, as it may have to restart them."""


@dataclass(frozen=True)
class Images:
    """The images of one stack."""

    host: Host
    layout: Layout
    stack: Stack
    containers: Containers
    reporter: Reporter

    def of_project(self, version: str) -> dict[str, str]:
        """The image of each service of the application, built or pulled as it is now.

        Raises:
            CommandError: a build failed, or the registry doesn't give one that isn't here.
        """
        services = [name for name in self.stack.services if name not in SERVERS]
        return self._made(services, version)

    def of_servers(self, *, fresh: bool) -> dict[str, str]:
        """The images of the edge, PostgreSQL and Redis; those that run, unless `fresh` ones are asked for."""
        kept = self.layout.images
        wanted = [name for name in SERVERS if name == "edge" or getattr(self.stack, name)]
        known: dict[str, str] = json.loads(self.host.read(kept) or "{}")
        if fresh or set(wanted) - set(known):
            found = self._made(wanted, self.stack.release.version)
            # One that differs in what it says of itself alone, such as its revision, is no reason to restart a server.
            same = [name for name in wanted if name in known and self.content(known[name]) == self.content(found[name])]
            known = found | {name: known[name] for name in same}
            self.host.write(kept, json.dumps(known, indent=1) + "\n")
        return known

    def content(self, image: str) -> str:
        """A digest of what an image holds and runs, its labels left out; empty when the engine doesn't have it."""
        said = self._docker("image", "inspect", image, check=False)
        if not said.ok:
            return ""
        one = json.loads(said.out)[0]
        config = {name: value for name, value in one["Config"].items() if name in WHAT_RUNS}
        whole = json.dumps([one["RootFS"]["Layers"], config], sort_keys=True)
        return hashlib.sha256(whole.encode()).hexdigest()

    def release_name(self, version: str, images: Mapping[str, str]) -> str:
        """``VERSION-DIGEST``: images with the same content are the same release."""
        contents = {service: self.content(image) for service, image in images.items()}
        total = hashlib.sha256(json.dumps(contents, sort_keys=True).encode())
        return f"{version}-{total.hexdigest()[:8]}"

    def of_release(self, release: str) -> dict[str, str]:
        """What a release that is here consists of.

        Raises:
            ConfigurationError: it isn't here.
        """
        text = self.host.read(self.layout.release(release) / MADE_OF)
        if text is None:
            raise ConfigurationError(f"release {release} is not here", "`neurmatic releases` lists those that are")
        return dict(json.loads(text))

    def tag(self, release: str, images: Mapping[str, str]) -> None:
        """Name a release's images, so that the engine's own clearing up leaves them alone."""
        for service, image in images.items():
            self._docker("image", "tag", image, self._tag(service, release))

    def untag(self, release: str) -> None:
        """Let go of a release's images: those that nothing else uses are removed."""
        for service in self.of_release(release):
            self._docker("image", "rm", self._tag(service, release), check=False)

    def _tag(self, name: str, version: str) -> str:
        return f"{self.stack.name}-{self.stack.environment}/{name}:{version}"

    def _made(self, services: Iterable[str], version: str) -> dict[str, str]:
        made: dict[str, str] = {}
        for service in services:
            name = self.containers.image_of(service)
            reference = name or self._public(service)
            if reference not in made:
                made[reference] = self._id(self._built_or_pulled(name, version) if name else self._here(reference))
        return {service: made[self.containers.image_of(service) or self._public(service)] for service in services}

    def _public(self, service: str) -> str:
        default = {"postgres": self.containers.postgres_image, "redis": self.containers.redis_image}[service]
        return os.environ.get(f"{service.upper()}_IMAGE", default)

    def _built_or_pulled(self, name: str, version: str) -> str:
        registry = os.environ.get("REGISTRY", self.containers.registry)
        if registry == HERE:
            return self._built(name, version)
        return self._here(f"{registry}/{name}:{version}", again=True)

    def _built(self, name: str, version: str) -> str:
        made_of = self.containers.images[name]
        project = self.layout.project
        tag = self._tag(name, version)
        given = {arg: os.environ[arg] for arg in made_of.args if arg in os.environ}
        args = [f"--build-arg={arg}={value}" for arg, value in (given | self._words(version)).items()]
        self._docker(  # when a step fails, what it said stands at the end of the plain progress; quiet would hide it
            *("buildx", "build", "--load", "--progress", "plain", "--target", "production", "--tag", tag),
            *("--file", str(project / made_of.dockerfile), *args, str(project)),
            timeout=BUILD_SECONDS,
        )
        return tag

    def _words(self, version: str) -> dict[str, str]:
        """What an image says of itself; without a repository its revision is unknown."""
        git = ["git", "-C", str(self.layout.project), "rev-parse", "HEAD"]
        said = self.host.run(git, check=False) if self.host.which("git") else None
        return {"VERSION": version} | ({"REVISION": said.out.strip()} if said and said.ok else {})

    def _here(self, reference: str, *, again: bool = False) -> str:
        """The reference, once the engine has its image; with `again` the registry is asked though it has one."""
        is_here = self._docker("image", "inspect", reference, check=False).ok
        if is_here and not again:
            return reference
        pulled = self._docker("pull", "--quiet", reference, check=False, timeout=BUILD_SECONDS)
        if pulled.ok:
            return reference
        why = (pulled.err.strip() or pulled.out.strip()).splitlines()[-1:]
        if not is_here:
            raise CommandError(f"image {reference} can't be pulled: {' '.join(why)}", "what serves goes on serving")
        self.reporter.say(f"! image {reference} can't be pulled, the one that is here is used: {' '.join(why)}")
        return reference

    def _id(self, reference: str) -> str:
        return self._docker("image", "inspect", "--format", "{{.Id}}", reference).out.strip()

    def _docker(self, *words: str, check: bool = True, timeout: float = 120) -> Result:
        return self.host.run(["docker", *words], check=check, timeout=timeout, cwd=Path("/"))
