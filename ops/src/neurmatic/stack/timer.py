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
    """

    name: str
    command: tuple[str, ...]
    hours: tuple[int, ...]
    minute: int

    def pattern(self) -> tuple[str, ...]:
        """The times, in snooze's notation."""
        return ("-H", ",".join(map(str, self.hours)), "-M", str(self.minute))

    def __str__(self) -> str:
        return "daily at " + " and ".join(f"{hour:02}:{self.minute:02}" for hour in self.hours) + " UTC"


def renewal(host: str) -> Timer:
    """When a stack asks whether its certificate is due: twice a day, so that one failure leaves time for many more.

    The minutes differ from host to host, so that not all of a CA's clients come at once.
    """
    spread = zlib.crc32(host.encode())
    hour = spread % 12
    return Timer("timer-renew", ("certificates", "renew", "--wait", "600"), (hour, hour + 12), spread // 12 % 60)
