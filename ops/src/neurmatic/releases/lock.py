"""The stack's lock, waited for: by what runs on a schedule, which nobody would run again by hand."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from neurmatic.errors import BusyError
from neurmatic.hosts.base import Host
from neurmatic.releases.project import Reporter
from neurmatic.stack.layout import Layout


@contextmanager
def locked(host: Host, layout: Layout, holder: str, reporter: Reporter, wait: float = 0) -> Iterator[None]:
    """Hold the stack's lock, waiting up to `wait` seconds for whoever has it, which is said once.

    Raises:
        BusyError: somebody still has it.
    """
    with locked_path(host, layout.lock, holder, reporter, wait):
        yield


@contextmanager
def locked_path(host: Host, path: Path, holder: str, reporter: Reporter, wait: float = 0) -> Iterator[None]:
    """The same for a lock of this path."""
    until, said = time.monotonic() + wait, False
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(host.locked(path, holder))
                break
            except BusyError as error:
                if time.monotonic() >= until:
                    raise
                if not said:
                    reporter.say(f"{error}; waiting for its end")
                    said = True
                time.sleep(1)
        yield
