"""Backups by the clock: the scheduler's own processes, their next runs, and their commands in an empty environment."""

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from neurmatic.backups.schedule import due, scheduled
from neurmatic.backups.setting import Setting
from neurmatic.hosts.base import Result
from neurmatic.probes.health import next_run
from neurmatic.readiness.backups import live_setting, times_of
from neurmatic.readiness.finding import Evidence, Refuted
from neurmatic.readiness.subject import Subject
from neurmatic.stack.backup import BACKUP_TIMER
from neurmatic.stack.timer import Timer

QUICK = False
CLAIMED = "02:00"


def check(subject: Subject, evidence: Evidence) -> None:
    setting = live_setting(subject)
    evidence.expect(setting.backup.at == CLAIMED, f"[backup] at is {setting.backup.at} UTC, claimed is {CLAIMED}")
    for one in scheduled(setting):
        evidence.expect(one.installed, f"{one.name}, {one.when}, is {one.state}", "neurmatic backup schedule")
    for timer in setting.backup.timers():
        _runs_in_time(setting, timer, evidence)
        command = _command(setting, timer)
        said = _in_nothing(setting, [*command, "--help"])
        evidence.expect(
            said.code == 0 and timer.command[0] in said.out,
            f"`{' '.join(command[-len(timer.command) :])}` is a command that the tool takes: exit {said.code} {_end(said)}",
            "neurmatic up",
        )
    _run_of_its_own(setting, evidence)


def _runs_in_time(setting: Setting, timer: Timer, evidence: Evidence) -> None:
    """As the process that waits was told, not as the stack file has it."""
    found = next_run(setting.host, times_of(setting, timer.name))
    wanted = next_run(setting.host, timer.pattern())
    if timer.name == BACKUP_TIMER:
        wanted = f"{due(setting.backup, datetime.now(UTC)) + timedelta(days=1):%Y-%m-%d %H:%M:%S} UTC"
    evidence.expect(
        found == wanted,
        f"{timer.name}: the scheduler's own next run is {found or 'not known'}, due {wanted}",
        "neurmatic up",
    )


def _command(setting: Setting, timer: Timer) -> Sequence[str]:
    """What the timer becomes when its time has come.

    Raises:
        Refuted: it is another command than the stack's.
    """
    text = setting.host.read(setting.layout.service(timer.name) / "run") or ""
    words = shlex.split((text.splitlines() or [""])[-1])
    noted = f"{setting.layout.timers}/{timer.name}"
    command = words[words.index(noted, words.index("sh")) + 1 :] if "sh" in words and noted in words else []
    if tuple(command[-len(timer.command) :]) != timer.command:
        raise Refuted(f"{timer.name} runs `{' '.join(command)}`, not {' '.join(timer.command)}", "neurmatic up")
    return command


def _run_of_its_own(setting: Setting, evidence: Evidence) -> None:
    """The look that comes every hour: it asks every store and the database."""
    watch = next(timer for timer in setting.backup.timers() if timer.command == ("backup", "watch"))
    said = _in_nothing(setting, _command(setting, watch))
    evidence.expect(
        said.code in (0, 1) and ("all is well" in said.out or said.out.startswith("! ")),
        f"`{' '.join(watch.command)}` in an empty environment: exit {said.code}, {_end(said)}",
    )


def _in_nothing(setting: Setting, command: Sequence[str]) -> Result:
    return setting.host.run(list(command), env={}, cwd=Path("/"), timeout=600, check=False)


def _end(said: Result) -> str:
    return ((said.out + said.err).strip().splitlines() or [""])[-1][:160]
