"""How a stack runs as containers: its images, its compose files, and a command of a release in a container of its own."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from neurmatic.errors import CommandError, ConfigurationError
from neurmatic.releases.images import MADE_OF, Images
from neurmatic.releases.project import prepare_state
from neurmatic.releases.release import COMPLETE
from neurmatic.releases.way import Started, at_work
from neurmatic.render.contained import Contained, archive_folders, edge_folders, render_contained, render_once
from neurmatic.render.containers import MODULES
from neurmatic.render.environment import SecretValues
from neurmatic.render.file import Files
from neurmatic.render.inside import SITE, Inside, places_in
from neurmatic.render.places import Places
from neurmatic.render.stack import Context
from neurmatic.runtimes.containers.engine import ENGINE_VARIABLES, Engine
from neurmatic.runtimes.native.programs import find_helpers
from neurmatic.stack.containers import Containers
from neurmatic.stack.instance import Instance
from neurmatic.stack.layout import COMPOSE


@dataclass
class ContainerWay:
    """See neurmatic.releases.way.Way."""

    started: Started
    programs: Mapping[str, str] = field(default_factory=dict)
    fresh: bool = False

    @property
    def engine(self) -> Engine:
        return Engine(self.started.host, self.started.layout)

    @property
    def containers(self) -> Containers:
        """The stack file's [containers].

        Raises:
            ConfigurationError: it has none.
        """
        if self.started.stack.containers is None:
            raise ConfigurationError(
                "there is no [containers] in the stack file", "docs/reference/stack-file.md describes it"
            )
        return self.started.stack.containers

    @property
    def images(self) -> Images:
        one = self.started
        return Images(one.host, one.layout, one.stack, self.containers, one.reporter)

    @property
    def places(self) -> Places:
        return places_in(self.started.layout, self.started.stack)

    def check(self) -> None:
        one = self.started
        self.engine.check()
        self.programs = find_helpers(one.host, one.stack, one.layout)

    def check_limits(self) -> None:
        stack = self.started.stack
        if excess := list(self.containers.excess(stack.parts(), stack.postgres, stack.redis)):
            raise ConfigurationError(
                "; ".join(excess), "fewer instances, lower [containers.limits], or a larger host; nothing was changed"
            )

    def refresh(self) -> None:
        self.fresh = True

    def identify(self) -> str:
        """Only the images themselves tell whether they are others than before: so they are built, or pulled, to see it."""
        return self.fetch(self.started.stack.release.version)

    def fetch(self, version: str) -> str:
        host, images = self.started.host, self.images.of_project(version)
        release = self.images.release_name(version, images)
        folder = self.started.layout.release(release)
        if not host.exists(folder / COMPLETE):
            prepare_state(host, self.started.layout, self.started.user)  # it may be the first thing that is written
            self.images.tag(release, images)
            host.make_folder(folder)
            self._keep(release, images)
            host.write(folder / MADE_OF, json.dumps(images, indent=1) + "\n")
            host.write(folder / COMPLETE, "")
        return release

    def _keep(self, release: str, images: Mapping[str, str]) -> None:
        """Have what the edge serves of the site in the release's folder.

        Raises:
            ConfigurationError: the image has no such folder.
        """
        for prefix, folder in self.containers.site_kept.items() if SITE in images else ():
            target = self.started.layout.kept(release) / prefix.strip("/")
            self.started.host.make_folder(target)
            try:
                self.engine.copy_out(images[SITE], folder, target)
            except CommandError as error:
                raise ConfigurationError(
                    f"containers.site_kept: {folder} can't be had from the site's image: {error}",
                    "name the folder that the image has; nothing was changed",
                ) from error

    def make(self, release: str) -> None:
        """Whoever knows its name has made it: see `identify`."""

    def forget(self, release: str) -> None:
        folder = self.started.layout.release(release)
        if self.started.host.exists(folder / MADE_OF):
            self.images.untag(release)
        self.started.host.remove(folder)

    def render(self, release: str, secrets: SecretValues, before: str) -> dict[str, Files]:
        return render_contained(self._among(), self._given(release, secrets, before))

    def versions(self) -> dict[str, str]:
        """A server's version is its image's."""
        programs = {"edge": "nginx", "postgres": "postgres", "redis": "redis-server"}
        servers = self.images.of_servers(fresh=False)
        return {programs[name]: image.removeprefix("sha256:")[:12] for name, image in servers.items()}

    def prepare_folders(self, one: Instance) -> None:
        host, layout, user = self.started.host, self.started.layout, self.started.user
        if one.kind == "redis":
            host.make_folder(layout.data / "redis", mode=0o700, owner=user)
        if one.kind == "edge":
            for folder in edge_folders(layout):
                if not host.exists(folder):
                    host.make_folder(folder)
        if one.kind == "postgres":
            for folder in archive_folders(self.started.stack, layout):
                host.make_folder(folder, mode=0o700, owner=user)

    def run(self, command: tuple[str, ...], release: str, secrets: SecretValues) -> None:
        one = self.started
        folder = one.layout.run / "once"
        name = self.engine.container("once")
        files = render_once(self._among(), self._given(release, secrets), command, one.stack.release.timeout)
        self.engine.docker("rm", "--force", name, check=False)  # whoever began it is gone: two at once may do harm
        one.host.remove(folder)
        for path, file in files.items():
            one.host.make_folder((folder / path).parent)
            one.host.write(folder / path, file.text, mode=file.mode, owner=one.user if file.service_owned else None)
        compose = ["docker", "compose", "--file", str(folder / COMPOSE)]
        argv = at_work(one.layout, [*compose, "run", "--rm", "--no-TTY", "--name", name, "once"])
        try:
            one.host.run(argv, timeout=one.stack.release.timeout)
        except CommandError:
            self.engine.docker("rm", "--force", name, check=False)
            raise
        finally:
            one.host.remove(folder)

    def _among(self) -> Inside:
        stack = self.started.stack
        return Inside(stack, self.containers, self.places, stack.edge.listen, {})

    def _given(self, release: str, secrets: SecretValues, before: str = "") -> Contained:
        one = self.started
        engine = {name: os.environ[name] for name in ENGINE_VARIABLES if name in os.environ}
        context = Context(one.layout, release, self.programs, secrets, one.user, MODULES, one.tool, before, engine)
        images = self.images.of_release(release) | self.images.of_servers(fresh=self.fresh)
        self.fresh = False  # once is enough
        return Contained(context, self.engine.project, one.host.account(one.user), images)
