"""Hears what is announced, by whichever process: on one connection of its own, made again whenever it breaks."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from neurmatic_backend.core.database import Database
from neurmatic_backend.realtime.schemas import Announcement, Change, new_version
from neurmatic_backend.realtime.service import CHANNEL, understood

log = logging.getLogger(__name__)
PROBE_SECONDS = 15.0
ANSWER_SECONDS = 5.0
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.25, 8.0

PassOn = Callable[[Announcement], Awaitable[None]]


class Listener:
    """Passes on every announcement. What was announced while it could not listen it makes up for by one change."""

    def __init__(self, database: Database, pass_on: PassOn) -> None:
        self._database = database
        self._pass_on = pass_on
        self._failures = 0

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self._listen()
            except Exception as error:  # noqa: BLE001  whatever ended it, it must listen again
                log.warning("announcements can't be heard, trying again: %s", type(error).__name__)
            await asyncio.sleep(wait_seconds(self._failures))
            self._failures += 1

    async def _listen(self) -> None:
        heard: asyncio.Queue[str | None] = asyncio.Queue()
        connection = await self._database.connect()
        try:
            connection.add_termination_listener(lambda _: heard.put_nowait(None))
            await connection.add_listener(CHANNEL, lambda *said: heard.put_nowait(str(said[-1])))
            self._failures = 0
            # Nobody knows what was announced before this moment.
            await self._pass_on(Announcement(Change(new_version())))
            while True:
                try:
                    async with asyncio.timeout(PROBE_SECONDS):
                        payload = await heard.get()
                except TimeoutError:  # a connection that died without a word is found only by using it
                    await connection.execute(f'LISTEN "{CHANNEL}"', timeout=ANSWER_SECONDS)  # it does already
                    continue
                if payload is None:
                    raise ConnectionError
                await self._pass_on(understood(payload))
        finally:
            connection.terminate()


def wait_seconds(failures: int) -> float:
    """Ever longer, and different in each instance, so that they don't fall upon a returning server together."""
    wait: float = min(FIRST_WAIT_SECONDS * 2 ** min(failures, 10), LONGEST_WAIT_SECONDS)
    return wait * random.uniform(0.7, 1.3)  # noqa: S311  no secret
