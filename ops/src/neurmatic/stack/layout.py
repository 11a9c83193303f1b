"""Where everything lies under the state folder."""

from dataclasses import dataclass
from pathlib import Path

STATE_FORMAT = "1"
COMPOSE = "compose.yaml"
"""An instance's file for the container engine, in its folder."""
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""The PATH of everything that runs under the stack: the same whoever starts it."""


@dataclass(frozen=True)
class Layout:
    """Paths of one stack's state, and of the project it was started from.

    Attributes:
        contained: whether the stack runs as containers.
    """

    state: Path
    project: Path
    contained: bool = False
    checked_out: Path | None = None

    @property
    def sources(self) -> Path:
        """Where the files of a new release are: the project, or the project in a clean checkout."""
        return self.checked_out or self.project

    @property
    def checkout(self) -> Path:
        """Where a git reference is checked out while a release of it goes live."""
        return self.state / "checkout"

    @property
    def format_file(self) -> Path:
        return self.state / "FORMAT"

    @property
    def secrets(self) -> Path:
        return self.state / "secrets.env"

    @property
    def running(self) -> Path:
        """What was applied last: the set that `status` looks at."""
        return self.state / "running.json"

    @property
    def deployed(self) -> Path:
        """Which release serves, where its instances are, and which ones served before it."""
        return self.state / "deployed.json"

    @property
    def events(self) -> Path:
        return self.state / "events.jsonl"

    @property
    def lock(self) -> Path:
        return self.state / "lock"

    @property
    def releases(self) -> Path:
        return self.state / "releases"

    @property
    def config(self) -> Path:
        return self.state / "config"

    @property
    def services(self) -> Path:
        """One folder per instance, with what starts it: runit's, or a compose file."""
        return self.state / "services"

    @property
    def supervised(self) -> Path:
        """Runsvdir's folder: beside containers it has the timers alone, as it would start whatever else it finds there."""
        return self.state / "supervised" if self.contained else self.services

    @property
    def runtime(self) -> Path:
        """Says that the stack runs as containers; natively there is none."""
        return self.state / "runtime"

    @property
    def images(self) -> Path:
        """Which images the edge, PostgreSQL and Redis run."""
        return self.state / "images.json"

    @property
    def data(self) -> Path:
        return self.state / "data"

    @property
    def migrated(self) -> Path:
        """Names the releases whose migrations have run; lies with the data because it is about the data."""
        return self.data / "migrated"

    @property
    def migrations(self) -> Path:
        """Digests of the migrations that ran, by path; with the data for the same reason."""
        return self.data / "migrations.json"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def run(self) -> Path:
        """Process ids and temporary files of the servers."""
        return self.state / "run"

    @property
    def at_work(self) -> Path:
        """Held open by a command of the release, such as its migrations, for as long as it runs."""
        return self.run / "at-work"

    @property
    def upstreams(self) -> Path:
        """The edge's lists of instances, one file a service; the guard's to write, and the tool's."""
        return self.run / "upstreams"

    @property
    def drained(self) -> Path:
        """Instances that the tool keeps out of those lists: a file each, with the reason."""
        return self.run / "drained"

    @property
    def guard(self) -> Path:
        """The guard's verdicts, written every few seconds."""
        return self.run / "guard.json"

    def upstream(self, service: str) -> Path:
        return self.upstreams / f"{service}.conf"

    @property
    def tls(self) -> Path:
        return self.state / "tls"

    @property
    def certificate(self) -> Path:
        """The edge's key, certificate and chain in one file: they are replaced together or not at all."""
        return self.tls / "edge.pem"

    @property
    def trust(self) -> Path:
        """The authorities that the edge's certificate may come from: for whoever asks the edge from here."""
        return self.tls / "trust.pem"

    @property
    def stapling(self) -> Path:
        """What nginx is told of OCSP; it depends on the certificate, not on the stack."""
        return self.tls / "stapling.conf"

    @property
    def maintenance(self) -> Path:
        """What `neurmatic maintenance` writes and nginx reads: the switch, and what is answered while it is closed."""
        return self.state / "maintenance"

    @property
    def switch(self) -> Path:
        """Whether the edge is closed, for whom, and since when."""
        return self.maintenance / "switch.conf"

    @property
    def acme(self) -> Path:
        """The ACME client's own folder: its account, and what it answers challenges with."""
        return self.state / "acme"

    @property
    def challenges(self) -> Path:
        return self.acme / "challenges"

    @property
    def timers(self) -> Path:
        """One file a timer; its time of change is that of the last run."""
        return self.state / "timers"

    @property
    def backup_config(self) -> Path:
        """Configuration of pgBackRest: the stores, their keys and the encryption's."""
        return self.config / "backup" / "pgbackrest.conf"

    @property
    def backup_key(self) -> Path:
        """The key of the dumps, as age reads it."""
        return self.config / "backup" / "key"

    @property
    def backups(self) -> Path:
        """The local store, unless the stack file names another folder."""
        return self.state / "backups"

    @property
    def backup_lock(self) -> Path:
        return self.state / "backup.lock"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data folder."""
        return self.data / "postgres"

    @property
    def swapping(self) -> Path:
        """There while a restore exchanges PostgreSQL's folders: names the one put aside."""
        return self.data / "swapping"

    @property
    def scratch(self) -> Path:
        """Clusters that backups are restored to, to prove them; on the data's own disk, gone when the proof is made."""
        return self.data / "scratch"

    @property
    def reports(self) -> Path:
        return self.state / "reports"

    def service(self, instance: str) -> Path:
        return (self.supervised if instance.startswith("timer-") else self.services) / instance

    def release(self, release: str) -> Path:
        return self.releases / release

    def kept(self, release: str) -> Path:
        """What the edge serves of the files in the image of a release's site; their paths are those of their URLs."""
        return self.release(release) / "site"

    def workdir(self, release: str, *, has_files: bool) -> Path:
        """Where services run: the release's folder, or the project when the stack makes no releases of files."""
        return self.release(release) if has_files else self.project
