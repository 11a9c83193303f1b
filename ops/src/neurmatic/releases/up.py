"""`up`: make exactly this stack run. `_apply` is the order of events; any step may be cut off, and repeated."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from neurmatic.errors import CommandError, ConfigurationError, NeurmaticError
from neurmatic.hosts.base import Host
from neurmatic.releases import members, migrations, running
from neurmatic.releases.certificate import LOCAL, moment
from neurmatic.releases.certificates import Certificates
from neurmatic.releases.deployed import Deployed, check_same, read_deployed, save_deployed
from neurmatic.releases.edge import edge_of
from neurmatic.releases.events import EventLog, actor
from neurmatic.releases.facts import Desired, check_ports, desired, gather, write_mark
from neurmatic.releases.gate import Gate
from neurmatic.releases.plan import Plan, Step, make_plan
from neurmatic.releases.project import Reporter, check_format, prepare_state
from neurmatic.releases.secrets import ensure_secrets, imagined_secrets
from neurmatic.releases.swapping import settle_swap
from neurmatic.releases.way import Started
from neurmatic.releases.ways import way_of
from neurmatic.releases.writing import write_instance
from neurmatic.render.environment import SecretValues
from neurmatic.render.file import Files
from neurmatic.runtimes.choice import runtime_of
from neurmatic.runtimes.native import cluster
from neurmatic.stack.instance import Instance
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack
from neurmatic.stack.postgres import Postgres


@dataclass
class Up:
    """One run of `up`, or of a part of it.

    Args:
        user: the account that runs everything; None when the tool itself isn't root.
        tool: the command line by which the stack's timers call the tool for it.
        chosen: the release to run; empty: the one that the project's files make.
        deployed: what `stack` and `chosen` follow from; None: from nothing that another command could change.
    """

    host: Host
    layout: Layout
    stack: Stack
    reporter: Reporter
    user: str | None
    tool: tuple[str, ...] = ()
    chosen: str = ""
    deployed: Deployed | None = None

    def __post_init__(self) -> None:
        self.runtime = runtime_of(self.host, self.layout)
        self.way = way_of(Started(self.host, self.layout, self.stack, self.reporter, self.user, self.tool))
        self.events = EventLog(self.host, self.layout)
        self.instances = {one.name: one for one in self.stack.instances()}

    def up(self) -> Plan:
        """Bring the stack up; when this returns, every instance is healthy.

        Raises:
            NeurmaticError: what failed, what its log says, and what to do next. What ran before goes on running.
        """
        self.check()
        with self.host.locked(self.layout.lock, f"neurmatic up by {actor()}"):
            check_same(self.host, self.layout, self.deployed)
            return self.converge()

    def converge(self) -> Plan:
        """What `up` does, for whoever has had it checked and holds the stack's lock."""
        prepare_state(self.host, self.layout, self.user)
        self.runtime.clear()
        self.way.refresh()
        if done := settle_swap(self.host, self.layout):
            self.reporter.say(done)
        with self.events.recorded("up", release=self.release, environment=self.stack.environment):
            self.prepare()
            plan = self._plan()
            running.save(self.host, self.layout, self.running)
            self._apply(plan)
            self._note_release()
            return plan

    def _note_release(self) -> None:
        deployed = read_deployed(self.host, self.layout)
        if deployed.release != self.release:
            save_deployed(self.host, self.layout, deployed.serving(self.release, held=bool(self.chosen)))

    def preview(self) -> Plan:
        """What `up` would do to a stack whose release stays, or has no room for two; changes nothing."""
        self.check()
        self._desire(imagined_secrets(self.host, self.layout, self.stack))
        return self._plan()

    def preview_files(self) -> dict[str, Files]:
        """Every file that `up` would write, by instance, with secrets that say that they are secret."""
        self.check()
        self._desire(imagined_secrets(self.host, self.layout, self.stack, shown=True))
        return dict(self.desired.files)

    def restart(self, service: str) -> list[str]:
        """Restart the instances of a service (or one instance), one after the other, each gated on its health.

        Raises:
            ConfigurationError: the stack has no such service.
        """
        chosen = [one for one in self.instances.values() if service in (one.service, one.name)]
        if not chosen:
            known = dict.fromkeys(one.service for one in self.instances.values())
            raise ConfigurationError(f"there is no service {service!r}", f"services here: {', '.join(known)}")
        self.check()
        with self.host.locked(self.layout.lock, f"neurmatic restart by {actor()}"):
            check_same(self.host, self.layout, self.deployed)
            prepare_state(self.host, self.layout, self.user)
            with self.events.recorded("restart", service=service):
                self.prepare()
                self.edge.prepare(())
                for one in chosen:
                    self._restart(Step("restart", one.name, "asked for"))
        return [one.name for one in chosen]

    def check(self) -> None:
        """Everything that can be refused before anything changes."""
        check_format(self.host, self.layout)
        self.ensure_account()
        self.way.check()
        self.release = self.chosen or self.way.identify()
        self.edge = edge_of(self.host, self.layout, self.stack, self.user)
        self.certificates = Certificates(
            self.host, self.layout, self.stack, self.edge, self.events, self.reporter, self.user
        )

    def prepare(self) -> None:
        secrets = ensure_secrets(self.host, self.layout, self.stack)
        self.certificates.provide()
        self._desire(secrets)
        programs, places = self.way.programs, self.way.places
        folder = str(Path(programs["postgres"]).parent) if self.stack.postgres else ""
        self.running = members.running_set(self.stack, self.release, folder, self.way.versions(), places)
        password = secrets["REDIS_PASSWORD"].reveal() if self.stack.redis else ""
        prober = self.running.prober(self.host, self.layout, password, timeout=2)
        self.gate = Gate(self.stack, places, self.release, self.runtime, prober, self.events, self.reporter)

    def _desire(self, secrets: SecretValues) -> None:
        self.secrets = secrets
        before = read_deployed(self.host, self.layout).served_before(self.release)
        files = self.way.render(self.release, secrets, before)
        self.desired: Desired = desired(self.host, self.layout, files, self.edge.settings)

    def _plan(self) -> Plan:
        self.way.check_limits()
        facts = gather(self.host, self.layout, self.runtime, self.release, self.desired)
        facts = replace(facts, certificate=self.certificates.to_ask())
        check_ports(self.host, self.layout, self.stack, facts, self.instances)
        return make_plan(self.stack, self.release, self.desired.files, self.desired.marks, facts)

    def _apply(self, plan: Plan) -> None:
        """Steps in their order; neighbours that start instances of one service, or timers, start together."""
        actions: dict[str, Callable[[Step], None]] = {
            "build": lambda _: self.build(),
            "create": self._create,
            "supervise": lambda _: self.runtime.ensure_running(),
            "migrate": lambda _: self._run_once("migrate", self.stack.release.migrate),
            "seed": lambda _: self._run_once("seed", self.stack.release.seed),
            "restart": self._restart,
            "reload": self._reload,
            "remove": self._remove,
            "issue": self._issue,
        }
        missing = {step.subject for step in plan.steps if step.verb == "start"}
        self.edge.prepare(missing)
        for name in missing:  # before runsvdir's first look, so that it takes all of them up at once
            self.write(name)
        steps = list(plan.steps)
        while steps:
            step = steps.pop(0)
            if step.verb != "start":
                actions[step.verb](step)
                continue
            together = [self.instances[step.subject]]
            while steps and steps[0].verb == "start" and _alike(self.instances[steps[0].subject], together[0]):
                together.append(self.instances[steps.pop(0).subject])
            self._start(together)

    def build(self) -> None:
        """Make the release of the project's files.

        Raises:
            ConfigurationError: it was chosen by its name, and is not here.
        """
        if self.chosen:
            raise ConfigurationError(
                f"release {self.chosen} is not here any more", "`neurmatic releases` lists those that are"
            )
        self.reporter.say(f"release {self.release}: building")
        begun = time.monotonic()
        with self.events.recorded("build", release=self.release):
            self.way.make(self.release)
        self.reporter.say(f"release {self.release}: made in {time.monotonic() - begun:.1f} s")

    def _create(self, step: Step) -> None:
        self.reporter.say(f"{step.subject}: making a new cluster in {self.layout.data}/postgres")
        superuser = self.secrets["POSTGRES_SUPERUSER_PASSWORD"]
        with self.events.recorded("create", instance=step.subject):
            cluster.create_cluster(self.host, self.layout, self.way.programs["postgres"], superuser, self.user)
        self.host.remove(self.layout.migrated)

    def migrate(self) -> None:
        """Run the release's migrations and seed, and note that they have run.

        Raises:
            CommandError: one failed.
        """
        release = self.stack.release
        for what, command in (("migrate", release.migrate), ("seed", release.seed)):
            if command:
                self._run_once(what, command)

    def _run_once(self, what: str, command: tuple[str, ...]) -> None:
        """Run the release's migrations or seed; that it is done is noted after the last of the two."""
        self.reporter.say(f"{what}: {' '.join(command)}")
        first = next(one for one in self.instances.values() if one.service == self.stack.release_service)
        self.gate.await_needs(first)
        with self.events.recorded(what, release=self.release):
            try:
                self._end_earlier(what)
                self.run_in_release(command)
            except CommandError as error:
                raise CommandError(
                    f"{what} failed: {error}",
                    "correct the cause and run the command again; what ran before goes on running",
                ) from error
        if what == "migrate" and self.stack.release.migrations:
            migrations.note(self.host, self.layout, self.layout.sources, self.stack.release.migrations)
        if what == "seed" or not self.stack.release.seed:
            before = self.host.read(self.layout.migrated) or ""
            self.host.write(self.layout.migrated, f"{before}{self.release}\n")

    def _end_earlier(self, what: str) -> None:
        """Wait for one that goes on though its `neurmatic` was killed, and kill it in the end: two at once may do harm."""
        until = time.monotonic() + self.stack.release.timeout
        said = False
        while pids := self.host.holders(self.layout.at_work):
            if not said:
                self.reporter.say(f"{what}: waits for process {pids[0]}, whose command was killed")
            said = True
            for pid in pids if time.monotonic() > until else []:
                self.host.signal(pid, "KILL")
            time.sleep(0.1)

    def run_in_release(self, command: tuple[str, ...]) -> None:
        """Run a command of the release, with the environment that its service's first instance has.

        Raises:
            CommandError: it ended with anything but 0, or took too long.
        """
        self.way.run(command, self.release, self.secrets)

    def _start(self, together: list[Instance]) -> None:
        for one in self.launch(together):
            self.edge.let_in(one.name)

    def launch(self, together: list[Instance]) -> Iterator[Instance]:
        """Start instances at once; each is given when it is healthy and of this release.

        Raises:
            NeurmaticError: one isn't within its time, or what they need isn't there.
        """
        self.gate.await_needs(together[0])
        begun = time.monotonic()
        for one in together:
            self._prepare_folders(one)
        with ThreadPoolExecutor() as pool:  # an engine takes half a second for each
            list(pool.map(self.runtime.start, [one.name for one in together]))
        for one in together:
            self._pass(one, begun)
            yield one

    def _restart(self, step: Step) -> None:
        """Lead requests around the instance, stop it, start it, and lead them back once it is healthy."""
        one = self.instances[step.subject]
        self.gate.await_needs(one)
        self.reporter.say(f"{one.name}: restarting, {step.why}")
        self.edge.lead_around(one, f"restarting, {step.why}")
        self.runtime.stop(one.name, grace=members.stop_timeout(self.stack, one))
        self.write(one.name)
        self._start([one])

    def restart_guard(self) -> None:
        """Start the edge's guard anew with the files that it should have; no request depends on it."""
        self.runtime.stop("guard", grace=members.BUILT_IN_SECONDS)
        self.write("guard")
        self.runtime.start("guard")  # whatever it is to watch may come later
        self._pass(self.instances["guard"], time.monotonic())

    def _reload(self, step: Step) -> None:
        self.write(step.subject)
        self.edge.check()
        self.edge.reload()
        self._pass(self.instances[step.subject], time.monotonic())

    def _remove(self, step: Step) -> None:
        self.reporter.say(f"{step.subject}: removed, {step.why}")
        self.runtime.stop(step.subject, grace=members.BUILT_IN_SECONDS)
        self.runtime.forget(step.subject)
        self.events.write("remove", "done", instance=step.subject)

    def _issue(self, _: Step) -> None:
        """Ask the CA. While one that it issued before is still valid, a failure only is said: the timer asks again."""
        try:
            self.certificates.renew()
        except NeurmaticError as error:
            current = self.certificates.current()
            if current is None or current.source == LOCAL:
                raise
            self.reporter.say(f"! {error}\n  the certificate before serves until {moment(current.not_after)}")

    def _pass(self, one: Instance, begun: float) -> None:
        """Wait until the instance is healthy, then mark it as started with its current files."""
        self.gate.await_health(one)
        if one.kind == "postgres" and self.stack.postgres:
            cluster.ensure_database(self.host, self.server(self.stack.postgres), self.secrets["POSTGRES_PASSWORD"])
        write_mark(self.host, self.layout, one.name, self.desired.marks[one.name])
        seconds = time.monotonic() - begun
        self.reporter.say(f"{one.name}: healthy after {seconds:.1f} s")
        self.events.write("start", "done", instance=one.name, duration_s=round(seconds, 3))

    def server(self, postgres: Postgres) -> cluster.Server:
        """The stack's PostgreSQL, as its superuser asks it."""
        superuser, address = self.secrets["POSTGRES_SUPERUSER_PASSWORD"], self.way.places.of("postgres")
        return cluster.Server(postgres, self.way.programs["postgres"], superuser, address)

    def write(self, name: str) -> None:
        """Bring an instance's files to what they should be."""
        write_instance(self.host, self.layout, name, self.desired.files[name], self.user)

    def _prepare_folders(self, one: Instance) -> None:
        self.way.prepare_folders(one)
        if one.kind == "edge":
            self.edge.check()
        if one.kind == "timer" and not self.host.exists(self.layout.timers / one.name):
            self.host.make_folder(self.layout.timers)
            self.host.write(self.layout.timers / one.name, "")  # so that it begins with its next time, not at once

    def ensure_account(self) -> None:
        """Make the services' account where there is none."""
        if self.user and not self.host.account_exists(self.user):
            self.reporter.say(f"account {self.user}: made, without password and shell, to run everything")
            nobody = ["--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
            self.host.run(["useradd", "--system", *nobody, self.user])


def _alike(one: Instance, other: Instance) -> bool:
    return one.service == other.service or one.kind == other.kind == "timer"
