"""How a stack runs as processes of this machine: its programs, its releases of files, and a command of a release."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from neurmatic.errors import ConfigurationError
from neurmatic.releases import release as releases
from neurmatic.releases.facts import check_commands
from neurmatic.releases.way import Started, at_work
from neurmatic.render.environment import SecretValues, environment
from neurmatic.render.file import Files
from neurmatic.render.places import LOOPBACK, Places
from neurmatic.render.stack import Context, render
from neurmatic.runtimes.native.programs import HELPERS, find_modules, find_programs, program_version
from neurmatic.stack.instance import Instance


@dataclass
class NativeWay:
    """See neurmatic.releases.way.Way."""

    started: Started
    programs: Mapping[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()

    @property
    def places(self) -> Places:
        return LOOPBACK

    def check(self) -> None:
        host, layout, stack, user = self.started.host, self.started.layout, self.started.stack, self.started.user
        check_commands(host, stack, layout)
        folder = layout.state if stack.release.files else layout.project
        if user and host.exists(folder) and not host.can_enter(folder, user):
            raise ConfigurationError(
                f"services run as {user}, which can't enter {folder}",
                "move the project to a folder open to it (such as /srv), or list what it runs under [release] files",
            )
        self.programs = find_programs(host, stack, layout)
        self.modules = find_modules(host)

    def check_limits(self) -> None:
        """Processes have none."""

    def refresh(self) -> None:
        """A server's program is the machine's: there is one."""

    def identify(self) -> str:
        return releases.identify(self.started.host, self.started.stack.release, self.started.layout.sources)

    def make(self, release: str) -> None:
        releases.make(self.started.host, self.started.layout, self.started.stack.release, release)

    def fetch(self, version: str) -> str:
        raise ConfigurationError(f"there is no release {version!r}", "`neurmatic releases` lists those that are here")

    def forget(self, release: str) -> None:
        self.started.host.remove(self.started.layout.release(release))

    def render(self, release: str, secrets: SecretValues, before: str) -> dict[str, Files]:
        one = self.started
        context = Context(one.layout, release, self.programs, secrets, one.user, self.modules, one.tool, before)
        return render(one.stack, context)

    def versions(self) -> dict[str, str]:
        return {
            name: program_version(self.started.host, path)
            for name, path in self.programs.items()
            if name not in HELPERS
        }

    def prepare_folders(self, one: Instance) -> None:
        if one.kind == "redis":
            self.started.host.make_folder(self.started.layout.data / "redis", mode=0o700, owner=self.started.user)

    def run(self, command: tuple[str, ...], release: str, secrets: SecretValues) -> None:
        one = self.started
        env = environment(one.stack, one.first(), release, secrets)
        env.pop("PORT", None)  # that port is the instance's
        workdir = one.layout.workdir(release, has_files=bool(one.stack.release.files))
        one.host.run(
            at_work(one.layout, command), env=env, cwd=workdir, user=one.user, timeout=one.stack.release.timeout
        )
