"""Being asked to end: a command that gets SIGTERM cleans up behind itself as it does on Ctrl-C."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(BaseException):
    """SIGTERM came. No error, so that no handler of errors swallows it."""


def raise_when_terminated() -> None:
    """Turn the first SIGTERM into `Terminated`, so that every `finally` runs; a second one ends the process at once."""
    signal.signal(signal.SIGTERM, _raise)


def _raise(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise Terminated


_holding: list[bool] = []


def are_held_back() -> bool:
    """Whether programs that are run now must not hear of Ctrl-C, which a terminal sends to all of its group."""
    return bool(_holding)


@contextmanager
def held_back(*, heeded: bool = True) -> Iterator[None]:
    """Ctrl-C and SIGTERM wait for the end of the block: it is what leaves nothing half done.

    Args:
        heeded: whether they are then acted on; not where the block is the rest of what the command does.
    """
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in numbers}
    _holding.append(True)
    try:
        yield
    finally:
        _holding.pop()
        for number, handler in before.items():
            signal.signal(number, handler)
        for sent in came[: int(heeded)]:
            signal.raise_signal(sent)
