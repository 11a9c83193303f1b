"""Being asked to end: a command that gets SIGTERM cleans up behind itself as it does on Ctrl-C."""

import signal
from types import FrameType


class Terminated(BaseException):
    """SIGTERM came. No error, so that no handler of errors swallows it."""


def raise_when_terminated() -> None:
    """Turn the first SIGTERM into `Terminated`, so that every `finally` runs; a second one ends the process at once."""
    signal.signal(signal.SIGTERM, _raise)


def _raise(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise Terminated
