"""The stack's lock, waited for: by what runs on a schedule, which nobody would run again by hand."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from neurmatic.errors import BusyError
from neurmatic.hosts.base import Host
from neurmatic.stack.layout import Layout


@contextmanager
def locked(host: Host, layout: Layout, holder: str, wait: float = 0) -> Iterator[None]:
    """Hold the stack's lock, waiting up to `wait` seconds for whoever has it.

    Raises:
        BusyError: somebody still has it.
    """
    until = time.monotonic() + wait
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(host.locked(layout.lock, holder))
                break
            except BusyError:
                if time.monotonic() >= until:
                    raise
                time.sleep(1)
        yield
