"""What the stack does by the clock: its timers, when each ran last and runs next, and a run that comes late."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from neurmatic.backups.setting import Setting
from neurmatic.probes.health import next_run
from neurmatic.stack.backup import Backup

PUNCTUAL = timedelta(minutes=10)


@dataclass(frozen=True)
class Scheduled:
    """One timer. `last` and `next` are in UTC, empty where nobody knows."""

    name: str
    command: str
    when: str
    state: str
    last: str
    next: str

    @property
    def installed(self) -> bool:
        return self.state == "running"


def scheduled(setting: Setting) -> list[Scheduled]:
    """The timers of backups, as their scheduler and their supervisor see them."""
    timers = list(setting.backup.timers())
    states = setting.runtime.inspect([timer.name for timer in timers])
    return [
        Scheduled(
            timer.name,
            " ".join(("neurmatic", *timer.command)),
            str(timer),
            states[timer.name].state if timer.name in states else "absent",
            _last(setting, timer.name),
            next_run(setting.host, timer.pattern()),
        )
        for timer in timers
    ]


def _last(setting: Setting, name: str) -> str:
    """When it ran last; empty until it has: the file is made with the timer, and written to by each run."""
    path = setting.layout.timers / name
    at = setting.host.modified(path) if setting.host.read(path) else None
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if at else ""


def due(backup: Backup, now: datetime) -> datetime:
    """The last moment at which a daily run was to begin."""
    hour, minute = backup.clock
    today = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return today if today <= now else today - timedelta(days=1)


def lateness(backup: Backup, now: datetime) -> timedelta | None:
    """How late a scheduled run is that begins now; None when it is punctual."""
    late = now - due(backup, now)
    return late if late > PUNCTUAL else None
