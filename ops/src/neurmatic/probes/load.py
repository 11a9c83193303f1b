"""Constant load on one URL: requests are sent when they are due, whatever became of those before them.

    ledger = run_load(Load("https://localhost:8443/", rate=100, seconds=10, ca=ca))

    with Background(Load(url, rate=50, seconds=300)) as load:
        restart()
    assert not load.ledger.failed

An open loop: a server that pauses doesn't make the client pause, so everyone who would have waited is in the ledger. Each due request
has exactly one entry there, and its time counts from the moment it was due.
"""

import asyncio
import contextlib
import threading
from concurrent.futures import Future, wait
from types import TracebackType
from typing import Self

from neurmatic.probes.clock import favour_this_thread, precise_loop
from neurmatic.probes.ledger import Entry, Ledger
from neurmatic.probes.openloop import OpenLoop, Progress
from neurmatic.probes.target import Load, aim

__all__ = ["Background", "Load", "Progress", "run_load"]


def run_load(load: Load) -> Ledger:
    """Run a load to its end: `load.seconds`, and at most `load.timeout` more.

    Raises:
        ConfigurationError: nothing was sent.
    """
    with Background(load) as running:
        running.wait()
    return running.ledger


class Background:
    """A load in a thread of its own, from `with` to the end of its block, or of its time when that is shorter.

    The first request is due when the block begins. Leaving the block stops the load and waits for what is in flight. Work in this
    process's other threads can hold the load up (see `Summary.client_delay_ms`), and so can that in other processes where this thread
    may not come first.
    """

    def __init__(self, load: Load) -> None:
        self.load = load
        self._result: Future[Ledger] = Future()
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._work, name="load", daemon=True)
        self._open_loop: OpenLoop
        self._loop: asyncio.AbstractEventLoop

    def __enter__(self) -> Self:
        self._open_loop = OpenLoop(self.load, aim(self.load))
        self._thread.start()
        self._begun.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(grace=None if error is None else 0)

    @property
    def ledger(self) -> Ledger:
        """Every request that was due; when the load isn't over yet, this waits for it."""
        return self._result.result()

    @property
    def progress(self) -> Progress:
        """How it stands now."""
        return self._open_loop.progress

    @property
    def seconds(self) -> float:
        """How long it has been since it began."""
        return self._open_loop.seconds

    def failed_since(self, seconds: float) -> list[Entry]:
        """Those requests that were due since then, in seconds since it began, and have failed so far."""
        return self._open_loop.failed_since(seconds)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end of the load, or for so many seconds; whether it is over."""
        # Not by Thread.join: interrupted by Ctrl-C, that of Python 3.11 takes a living thread for a dead one.
        return bool(wait([self._result], seconds).done)

    def settle(self) -> None:
        """Wait until each request that is in flight now is answered, or counts as failed; the load goes on."""
        with contextlib.suppress(RuntimeError):  # as in stop
            wait([asyncio.run_coroutine_threadsafe(self._open_loop.settle(), self._loop)])

    def stop(self, grace: float | None = None) -> Ledger:
        """Let no more requests become due, and wait for those in flight.

        Args:
            grace: seconds after which they are given up, and stand in the ledger as abandoned; None: their own time limit.
        """
        with contextlib.suppress(RuntimeError):  # the loop was closed in this very moment
            self._loop.call_soon_threadsafe(self._open_loop.stop, grace)
        wait([self._result])
        self._thread.join()
        return self.ledger

    def _work(self) -> None:
        favour_this_thread()
        with asyncio.Runner(loop_factory=precise_loop) as runner:
            self._loop = runner.get_loop()
            try:
                self._result.set_result(runner.run(self._open_loop.run(self._begun.set)))
            except BaseException as error:  # noqa: BLE001  whatever it is, whoever asks for the ledger is told
                self._result.set_exception(error)
            finally:
                self._begun.set()
