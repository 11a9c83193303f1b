"""The open loop: starts each request at its due moment and writes down what became of it."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from h11 import RemoteProtocolError

from neurmatic.probes.ledger import Entry, Ledger, Lost
from neurmatic.probes.target import Load, Target
from neurmatic.probes.wire import Connection, Pool, Reply, explain

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
"""Methods that may be sent a second time without being asked to (RFC 9110, 9.2.2)."""

AS_ROW = attrgetter(*Entry.__slots__)
"""An entry as the plain tuple that is kept during the run: the garbage collector passes over those, while half a million objects
would have it hold up the clock for 100 ms and more."""


@dataclass
class Progress:
    """How many requests were due, answered as expected, and not, so far; the others are in flight."""

    due: int = 0
    good: int = 0
    failed: int = 0


@dataclass(slots=True)
class _Draft:
    """An entry in the making; moments as in Entry."""

    due: float
    begun: float
    sent: float | None = None
    retried: bool = False


class OpenLoop:
    """One run of one load, in one event loop."""

    def __init__(self, load: Load, target: Target) -> None:
        self.load = load
        self.target = target
        self.progress = Progress()
        self._rows: list[tuple[Any, ...]] = []
        self._pool = Pool(target.addresses, target.port, target.tls, load.label_header)
        self._flying: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop
        self._group: asyncio.TaskGroup
        self._start = 0.0
        self._seconds = load.seconds
        self._all_started = asyncio.Event()

    async def run(self, begun: Callable[[], None]) -> Ledger:
        """Run it to its end; calls `begun` when the first request is due."""
        self._loop = asyncio.get_running_loop()
        begun_at, self._start = time.time(), self._loop.time()
        async with asyncio.TaskGroup() as self._group:
            self._tick()
            begun()
            await self._all_started.wait()
        await self._pool.close()
        entries = [Entry(*row) for row in sorted(self._rows, key=lambda row: row[0])]
        return Ledger(self.load.rate, self._seconds, self.load.planned, entries, begun_at, self.load.expect)

    def stop(self, grace: float | None) -> None:
        """Let no more requests become due; those in flight have `grace` seconds left, or their own time limit when it is None."""
        if not self._all_started.is_set():
            now = self._now()
            self._start_due(now)
            if self.progress.due < self.load.planned:
                self._seconds = now
            self._all_started.set()
        if grace is not None:
            self._loop.call_later(grace, self._abandon)

    async def settle(self) -> None:
        """Wait for the requests that are in flight now; more become due meanwhile."""
        if self._flying:
            await asyncio.wait(set(self._flying))

    @property
    def seconds(self) -> float:
        """How long it has been since it began."""
        return self._now()

    def failed_since(self, seconds: float) -> list[Entry]:
        """Those requests that were due since then and have failed so far."""
        entries = [Entry(*row) for row in tuple(self._rows) if row[0] >= seconds]
        return [one for one in entries if not one.is_good(self.load.expect)]

    def _abandon(self) -> None:
        for task in self._flying:
            task.cancel()

    def _now(self) -> float:
        return self._loop.time() - self._start

    def _tick(self) -> None:
        """Start what is due, and come again when the next one is."""
        if self._all_started.is_set():
            return
        self._start_due(self._now())
        if self.progress.due < self.load.planned:
            self._loop.call_at(self._start + self.progress.due / self.load.rate, self._tick)
        else:
            self._all_started.set()

    def _start_due(self, now: float) -> None:
        while self.progress.due < self.load.planned and (due := self.progress.due / self.load.rate) <= now:
            self.progress.due += 1
            self._start_one(_Draft(due, self._now()))

    def _start_one(self, draft: _Draft) -> None:
        if draft.begun - draft.due >= self.load.timeout:
            self._lose(draft, Lost.NEVER_SENT, "this machine was too busy to send it within the time limit")
        elif len(self._flying) >= self.load.connections:
            self._lose(draft, Lost.NEVER_SENT, f"{self.load.connections} requests were in flight, the most allowed")
        else:
            task = self._group.create_task(self._ask(draft))
            self._flying.add(task)
            task.add_done_callback(self._flying.discard)

    async def _ask(self, draft: _Draft) -> None:
        try:
            async with asyncio.timeout_at(self._start + draft.due + self.load.timeout):
                reply = await self._exchange(draft)
        except asyncio.CancelledError:
            self._lose(draft, Lost.ABANDONED, "the load was broken off")
        except TimeoutError:
            what = "connection" if draft.sent is None else "whole answer"
            self._lose(draft, Lost.TIMED_OUT, f"no {what} within {self.load.timeout:g} s")
        except (OSError, RemoteProtocolError) as error:
            self._lose(draft, *explain(error, connected=draft.sent is not None))
        else:
            self._record(
                Entry(
                    *(draft.due, draft.begun, draft.sent, self._now()),
                    status=reply.status,
                    size=reply.size,
                    label=reply.label,
                    retried=draft.retried,
                )
            )

    async def _exchange(self, draft: _Draft) -> Reply:
        """One request and its answer, on an idle connection or a new one."""
        connection = self._pool.take()
        if connection:
            try:
                return await self._send(connection, draft)
            except OSError:
                # The server closed the idle connection while the request was on its way: every client tries again.
                if connection.heard or self.load.method not in IDEMPOTENT:
                    raise
                draft.retried, draft.sent = True, None
        return await self._send(await self._pool.open(), draft)

    async def _send(self, connection: Connection, draft: _Draft) -> Reply:
        try:
            answer = connection.send(self.target.request, self.load.body)
            draft.sent = self._now()
            reply = await answer
        except BaseException:
            connection.abort()
            raise
        if connection.reusable and self.load.keep_alive:
            self._pool.give_back(connection)
        else:
            connection.close()
        return reply

    def _lose(self, draft: _Draft, why: Lost, detail: str) -> None:
        self._record(
            Entry(*(draft.due, draft.begun, draft.sent, self._now()), lost=why, detail=detail, retried=draft.retried)
        )

    def _record(self, entry: Entry) -> None:
        self._rows.append(AS_ROW(entry))
        if entry.is_good(self.load.expect):
            self.progress.good += 1
        else:
            self.progress.failed += 1
