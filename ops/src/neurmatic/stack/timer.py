"""A command of the tool that the stack runs by itself, at certain times of the day."""

import zlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Timer:
    """One of the stack's timers. Times are UTC; a run that was missed is made up for at the next start.

    Attributes:
        name: of its instance.
        command: words for the tool.
        hours: of the day at which it runs, at `minute`.
        days: of the month; empty: every day.
        months: of the year; empty: every month.
    """

    name: str
    command: tuple[str, ...]
    hours: tuple[int, ...]
    minute: int
    days: tuple[int, ...] = ()
    months: tuple[int, ...] = ()

    def pattern(self) -> tuple[str, ...]:
        """The times, in snooze's notation."""
        dates = (("-d", self.days), ("-m", self.months), ("-H", self.hours), ("-M", (self.minute,)))
        return tuple(word for flag, ones in dates if ones for word in (flag, ",".join(map(str, ones))))

    @property
    def made_up_for(self) -> str:
        """How late a run may begin that nothing was there to start at its time, in snooze's notation."""
        return "20d" if self.days else "1d"

    def __str__(self) -> str:
        if len(self.hours) == 24:  # noqa: PLR2004  hours of a day
            return f"hourly at :{self.minute:02}"
        when = " and ".join(f"{hour:02}:{self.minute:02}" for hour in self.hours) + " UTC"
        if not self.days:
            return f"daily at {when}"
        months = f" of months {', '.join(map(str, self.months))}" if self.months else " of each month"
        return f"day {', '.join(map(str, self.days))}{months} at {when}"


def renewal(host: str) -> Timer:
    """When a stack asks whether its certificate is due: twice a day, so that one failure leaves time for many more.

    The minutes differ from host to host, so that not all of a CA's clients come at once.
    """
    spread = zlib.crc32(host.encode())
    hour = spread % 12
    return Timer("timer-renew", ("certificates", "renew", "--wait", "600"), (hour, hour + 12), spread // 12 % 60)
