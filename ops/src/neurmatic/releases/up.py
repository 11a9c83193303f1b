"""`up`: make exactly this stack run. The order of events stands in `up` and `_apply`; each step may be cut off and repeated."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from neurmatic.errors import CommandError, ConfigurationError, NeurmaticError
from neurmatic.hosts.base import Host
from neurmatic.probes.health import Health, Target
from neurmatic.releases import release as releases
from neurmatic.releases import running
from neurmatic.releases.certificates import ensure_certificate
from neurmatic.releases.events import EventLog, actor
from neurmatic.releases.facts import Desired, check_commands, check_ports, desired, gather, write_mark
from neurmatic.releases.plan import Plan, Step, make_plan
from neurmatic.releases.project import check_format, prepare_state
from neurmatic.releases.secrets import ensure_secrets
from neurmatic.render.environment import environment
from neurmatic.render.file import Files
from neurmatic.render.nginx import CONFIG as NGINX
from neurmatic.render.stack import Context
from neurmatic.runtimes.native import cluster
from neurmatic.runtimes.native.programs import find_programs, program_version
from neurmatic.runtimes.native.supervisor import Supervisor
from neurmatic.stack.instance import Instance
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack

BUILT_IN_START_SECONDS = 60.0
BUILT_IN_STOP_SECONDS = 30.0
HOPELESS_RESTARTS = 4  # with back-off that takes some 7 s; what ends that often won't come up by waiting


class Reporter(Protocol):
    """Hears of progress."""

    def say(self, line: str) -> None: ...


@dataclass
class Up:
    """One run of `up`: everything that its steps need."""

    host: Host
    layout: Layout
    stack: Stack
    reporter: Reporter
    user: str | None

    def __post_init__(self) -> None:
        self.runtime = Supervisor(self.host, self.layout)
        self.events = EventLog(self.host, self.layout)
        self.instances = {one.name: one for one in self.stack.instances()}

    def up(self) -> Plan:
        """Bring the stack up; when this returns, every instance is healthy.

        Raises:
            NeurmaticError: what failed, what its log says, and what to do next. What ran before goes on running.
        """
        check_format(self.host, self.layout)
        check_commands(self.host, self.stack, self.layout)
        self._check_account()
        self.programs = find_programs(self.host, self.stack, self.layout)
        self.release = releases.identify(self.host, self.stack.release, self.layout.project)
        with self.host.locked(self.layout.lock, f"neurmatic up by {actor()}"):
            prepare_state(self.host, self.layout, self.user)
            with self.events.recorded("up", release=self.release, environment=self.stack.environment):
                return self._up()

    def _up(self) -> Plan:
        self.secrets = ensure_secrets(self.host, self.layout, self.stack)
        if ensure_certificate(self.host, self.layout, self.stack, self.user):
            self.reporter.say(
                f"certificate for {self.stack.identity.host} made by the stack's own CA, {self.layout.tls}/ca.pem"
            )
        context = Context(self.layout, self.release, self.programs, self.secrets, self.user)
        self.desired: Desired = desired(self.host, self.stack, context)
        facts = gather(self.host, self.layout, self.runtime, self.release, self.desired)
        plan = make_plan(self.stack, self.release, self.desired.files, self.desired.marks, facts)
        check_ports(self.host, self.stack, facts, self.instances)
        self.prober = self._running_set().prober(self.host, self.layout, self._redis_password(), timeout=2)
        running.save(self.host, self.layout, self._running_set())
        self._apply(plan)
        return plan

    def _apply(self, plan: Plan) -> None:
        """Steps in their order; neighbours that start instances of one service start together."""
        actions: dict[str, Callable[[Step], None]] = {
            "build": self._build,
            "create": self._create,
            "supervise": lambda _: self.runtime.ensure_running(),
            "migrate": lambda step: self._run_once(step, self.stack.release.migrate),
            "seed": lambda step: self._run_once(step, self.stack.release.seed),
            "restart": self._restart,
            "reload": self._reload,
            "remove": self._remove,
        }
        steps = list(plan.steps)
        new = [self.instances[step.subject] for step in steps if step.verb == "start"]
        for one in new:  # before runsvdir's first look, so that it takes all of them up at once
            self._write(one.name)
        while steps:
            step = steps.pop(0)
            if step.verb != "start":
                actions[step.verb](step)
                continue
            together = [step]
            while steps and steps[0].verb == "start" and self._service(steps[0]) == self._service(step):
                together.append(steps.pop(0))
            self._start_together([self.instances[one.subject] for one in together])

    def _service(self, step: Step) -> str:
        return self.instances[step.subject].service

    def _build(self, step: Step) -> None:
        self.reporter.say(f"release {step.subject}: building")
        begun = time.monotonic()
        releases.make(self.host, self.layout, self.stack.release, step.subject)
        self.reporter.say(f"release {step.subject}: made in {time.monotonic() - begun:.1f} s")

    def _create(self, step: Step) -> None:
        self.reporter.say(f"{step.subject}: making a new cluster in {self.layout.data}/postgres")
        superuser = self.secrets["POSTGRES_SUPERUSER_PASSWORD"]
        cluster.create_cluster(self.host, self.layout, self.programs["postgres"], superuser, self.user)
        self.host.remove(self.layout.migrated)

    def _run_once(self, step: Step, command: tuple[str, ...]) -> None:
        """Run the release's migrations or seed; the marker is written after the last of the two."""
        self.reporter.say(f"{step.verb}: {' '.join(command)}")
        service = self.stack.release_service
        first = next(one for one in self.instances.values() if one.service == service)
        env = environment(self.stack, first, self.release, self.secrets)
        workdir = self.layout.workdir(self.release, has_files=bool(self.stack.release.files))
        with self.events.recorded(step.verb, release=self.release):
            try:
                # sh finds a relative program from the folder it runs in, as the services' own start does
                self.host.run(
                    ["sh", "-c", 'exec "$@"', "sh", *command],
                    env=env,
                    cwd=workdir,
                    user=self.user,
                    timeout=self.stack.release.timeout,
                )
            except CommandError as error:
                raise CommandError(
                    f"{step.verb} failed: {error}",
                    "correct the cause and run `neurmatic up` again; the database keeps what was applied",
                ) from error
        if step.verb == "seed" or not self.stack.release.seed:
            self.host.write(self.layout.migrated, self.release + "\n")

    def _start_together(self, together: list[Instance]) -> None:
        self._wait_for_needs(together[0])
        begun = time.monotonic()
        for one in together:
            self._prepare_folders(one)
            self.runtime.start(one.name)
        for one in together:
            self._gate(one, begun)

    def _wait_for_needs(self, one: Instance) -> None:
        """Nothing starts before what it needs is healthy, whoever started that and when."""
        needed = [other for other in self.instances.values() if other.service in self.stack.needs(one.service)]
        for other in needed:
            health = self._probe(other)
            if health.state == "unhealthy":
                self.reporter.say(f"{one.name} waits for {other.name}: {health.detail}")
                self.events.write("wait", "begun", instance=one.name, needs=other.name, reason=health.detail)
                self._await_health(other, f"{one.name} was not started: it needs {other.name}, which")

    def _restart(self, step: Step) -> None:
        one = self.instances[step.subject]
        self._wait_for_needs(one)
        self.reporter.say(f"{one.name}: restarting, {step.why}")
        self.runtime.stop(one.name, grace=self._stop_timeout(one))
        self._write(one.name)
        self._prepare_folders(one)
        begun = time.monotonic()
        self.runtime.start(one.name)
        self._gate(one, begun)

    def _reload(self, step: Step) -> None:
        self._write(step.subject)
        self._check_nginx()
        self.runtime.reload(step.subject)
        self._gate(self.instances[step.subject], time.monotonic())

    def _remove(self, step: Step) -> None:
        self.reporter.say(f"{step.subject}: removed, {step.why}")
        self.runtime.stop(step.subject, grace=BUILT_IN_STOP_SECONDS)
        self.runtime.forget(step.subject)
        self.events.write("remove", "done", instance=step.subject)

    def _gate(self, one: Instance, begun: float) -> None:
        """Wait until the instance is healthy, then mark it as started with its current files."""
        self._await_health(one, f"{one.name}")
        if one.kind == "postgres" and self.stack.postgres:
            passwords = self.secrets["POSTGRES_SUPERUSER_PASSWORD"], self.secrets["POSTGRES_PASSWORD"]
            cluster.ensure_database(self.host, self.stack.postgres, self.programs["postgres"], *passwords)
        write_mark(self.host, self.layout, one.name, self.desired.marks[one.name])
        seconds = time.monotonic() - begun
        self.reporter.say(f"{one.name}: healthy after {seconds:.1f} s")
        self.events.write("start", "done", instance=one.name, duration_s=round(seconds, 3))

    def _await_health(self, one: Instance, sentence: str) -> None:
        limit = self._start_timeout(one)
        until = time.monotonic() + limit
        pause = 0.02
        while not self._is_up(health := self._probe(one), one):
            restarts = self.runtime.restarts(one.name)
            if time.monotonic() > until or restarts >= HOPELESS_RESTARTS:
                self.events.write("start", "failed", instance=one.name, reason=health.detail)
                tried = (
                    f"ended {restarts} times"
                    if restarts >= HOPELESS_RESTARTS
                    else f"did not become healthy within {limit:g} s"
                )
                raise NeurmaticError(
                    f"{sentence} {tried}: {health.detail}{self._last_words(one)}",
                    f"look at `neurmatic logs {one.name}`, correct the cause and run `neurmatic up` again; what ran before goes on running",
                )
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5)

    def _is_up(self, health: Health, one: Instance) -> bool:
        """Healthy, and of this release where it says one; without a port, alive for two seconds is all there is to see."""
        if health.state == "unknown":
            state = self.runtime.inspect([one.name]).get(one.name)
            return bool(state and state.state == "running" and state.seconds >= 2 and not state.restarts)  # noqa: PLR2004
        return health.ok and (not health.version or health.version == self.release)

    def _probe(self, one: Instance) -> Health:
        return self.prober.probe(self._target(one))

    def _target(self, one: Instance) -> Target:
        if one.kind == "edge":
            return Target(one.name, one.kind, one.port, url=self.stack.url + self._edge_path())
        path = self.stack.services[one.service].health.ready if one.kind == "service" and one.port else None
        return Target(one.name, one.kind, one.port, path)

    def _edge_path(self) -> str:
        """A path that the edge answers: the site's front page, else the readiness of a service that is routed."""
        ready = [
            one.health.ready
            for one in self.stack.services.values()
            if any(one.health.ready.startswith(route) for route in one.routes)
        ]
        return "/" if self.stack.site or not ready else ready[0]

    def _running_set(self) -> running.RunningSet:
        versions = {
            name: program_version(self.host, path) for name, path in self.programs.items() if name != "runsvdir"
        }
        of = {
            "edge": versions.get("nginx", ""),
            "postgres": versions.get("postgres", ""),
            "redis": versions.get("redis-server", ""),
        }
        members = tuple(
            running.Member(
                one.service,
                self._target(one),
                of.get(one.kind, self.release),
                self._start_timeout(one),
                self._stop_timeout(one),
            )
            for one in self.instances.values()
        )
        address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.stack.edge.listen, self.stack.edge.listen)  # noqa: S104  what it listens on
        postgres_bin = str(Path(self.programs["postgres"]).parent) if self.stack.postgres else ""
        return running.RunningSet(
            self.stack.name, self.stack.environment, self.stack.url, self.release, address, postgres_bin, members
        )

    def _start_timeout(self, one: Instance) -> float:
        return self.stack.services[one.service].start_timeout if one.kind == "service" else BUILT_IN_START_SECONDS

    def _stop_timeout(self, one: Instance) -> float:
        return self.stack.services[one.service].stop_timeout if one.kind == "service" else BUILT_IN_STOP_SECONDS

    def _redis_password(self) -> str:
        return self.secrets["REDIS_PASSWORD"].reveal() if self.stack.redis else ""

    def _write(self, name: str) -> None:
        """Write an instance's files; a new service directory appears to runsvdir as a whole."""
        files = self.desired.files[name]
        folder = self.layout.service(name)
        self.host.make_folder(self.layout.logs / name, mode=0o750, owner=self.user)
        unseen = folder.with_name(f".{name}.new")
        is_new = not self.host.exists(folder)
        if is_new:
            self.host.remove(unseen)
            self.host.make_folder(unseen / "env", mode=0o700)
            self.host.write(unseen / "down", "")
        else:
            self._remove_stale_variables(name, files)
        for path, file in files.items():
            target = self.layout.state / path
            if is_new and target.is_relative_to(folder):
                target = unseen / target.relative_to(folder)
            if self.host.read(target) != file.text:
                if not self.host.exists(target.parent):
                    self.host.make_folder(target.parent)
                self.host.write(target, file.text, mode=file.mode, owner=self.user if file.service_owned else None)
        if is_new:
            self.host.rename(unseen, folder)

    def _remove_stale_variables(self, name: str, files: Files) -> None:
        folder = self.layout.service(name) / "env"
        for variable in self.host.names(folder):
            if f"services/{name}/env/{variable}" not in files:
                self.host.remove(folder / variable)

    def _prepare_folders(self, one: Instance) -> None:
        if one.kind == "redis":
            self.host.make_folder(self.layout.data / "redis", mode=0o700, owner=self.user)
        if one.kind == "edge":
            self.host.make_folder(self.layout.run / "nginx", mode=0o700, owner=self.user)
            self._check_nginx()

    def _check_nginx(self) -> None:
        argv = ["nginx", "-t", "-q", "-e", "stderr", "-p", str(self.layout.run), "-c", str(self.layout.state / NGINX)]
        argv[0] = self.programs["nginx"]
        if self.user:  # as the account that runs it, which must own what it logs to: nginx opens that by name
            argv = ["sh", "-c", 'chown "$0" /dev/stdout && exec chpst -u "$0" "$@"', self.user, *argv]
        said = self.host.run(argv, env={}, cwd=self.layout.run, check=False)
        if not said.ok:
            raise NeurmaticError(
                f"nginx refuses its configuration: {said.err.strip()}", "the running edge goes on with the one before"
            )

    def _last_words(self, one: Instance) -> str:
        lines = (self.host.read(self.layout.logs / one.name / "current") or "").splitlines()[-8:]
        return "\n  its log ends with:\n    " + "\n    ".join(lines) if lines else ""

    def _check_account(self) -> None:
        """The services' account must exist, and reach what it is to run."""
        if not self.user:
            return
        if not self.host.account_exists(self.user):
            self.reporter.say(f"account {self.user}: made, without password and shell, to run everything")
            self.host.run(
                [
                    "useradd",
                    "--system",
                    "--no-create-home",
                    "--home-dir",
                    "/nonexistent",
                    "--shell",
                    "/usr/sbin/nologin",
                    self.user,
                ]
            )
        folder = self.layout.state if self.stack.release.files else self.layout.project
        if not self.host.can_enter(folder, self.user):
            raise ConfigurationError(
                f"services run as {self.user}, which can't enter {folder}",
                "move the project to a folder open to it (such as /srv), or list what it runs under [release] files",
            )
