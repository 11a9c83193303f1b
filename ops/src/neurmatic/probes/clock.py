"""An event loop whose timers are exact enough to measure with, and a thread that needn't wait long for its turn."""

import asyncio
import contextlib
import os
import select
import selectors
import threading
from typing import Any

SELECT_LIMIT = 1024  # select(2) knows no file descriptor beyond
FAVOURED = -10
"""The thread's nice value: it gets nine times as much of a busy processor as another (sched(7), the kernel's weights)."""


class _PreciseSelector(selectors.EpollSelector):
    """Waits for microseconds: epoll's own time limit counts in whole milliseconds, half of one too late on average."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, Any]]:
        if timeout is not None and timeout > 0 and self.fileno() < SELECT_LIMIT:
            select.select([self.fileno()], [], [], timeout)
            timeout = 0
        return super().select(timeout)


def precise_loop() -> asyncio.AbstractEventLoop:
    """A new event loop; its timers are late by some 0.1 ms instead of 0.6."""
    return asyncio.SelectorEventLoop(_PreciseSelector())


def favour_this_thread() -> None:
    """Let this thread come first on a busy machine, where the system permits it: to root, or by a limit of `nice`.

    A client that waits for its turn measures that instead of the server. And what was due meanwhile is due at once then: each request on
    a connection of its own, whose handshakes take so long on that machine that the next ones become due, and so on.
    """
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), FAVOURED)  # on Linux, a thread alone
