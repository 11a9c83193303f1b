"""Where everything lies under the state folder."""

from dataclasses import dataclass
from pathlib import Path

STATE_FORMAT = "1"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""The PATH of everything that runs under the stack: the same whoever starts it."""


@dataclass(frozen=True)
class Layout:
    """Paths of one stack's state, and of the project it was started from."""

    state: Path
    project: Path

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
        """Runsvdir's folder: one service directory per instance."""
        return self.state / "services"

    @property
    def data(self) -> Path:
        return self.state / "data"

    @property
    def migrated(self) -> Path:
        """Names the release whose migrations ran last; lies with the data because it is about the data."""
        return self.data / "migrated"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def run(self) -> Path:
        """Process ids and temporary files of the servers."""
        return self.state / "run"

    @property
    def tls(self) -> Path:
        return self.state / "tls"

    @property
    def reports(self) -> Path:
        return self.state / "reports"

    def service(self, instance: str) -> Path:
        return self.services / instance

    def release(self, release: str) -> Path:
        return self.releases / release

    def workdir(self, release: str, *, has_files: bool) -> Path:
        """Where services run: the release's folder, or the project when the stack makes no releases of files."""
        return self.release(release) if has_files else self.project
