"""Announcing a change of what is public: part of the transaction that makes it, so that both happen or neither.

Through PostgreSQL and not through Redis: nothing is announced that was rolled back, nothing is committed without
being announced, and Redis may be down.
"""

from collections.abc import Collection
from typing import Any

import msgspec

from neurmatic_backend.realtime.schemas import Announcement, Change, new_version

CHANNEL = "realtime"
LARGEST_BYTES = 7999  # PostgreSQL refuses a larger payload, and would undo the change with it
_NOTIFY = "SELECT pg_notify($1, $2)"
_decoder = msgspec.json.Decoder(Announcement)


async def announce(connection: Any, change: Change, slugs: Collection[str], *, told: bool = True) -> None:
    """Tell every instance once the connection's transaction commits, and their open pages if they shall be `told`."""
    payload = msgspec.json.encode(Announcement(change, tuple(slugs), told))
    if len(payload) > LARGEST_BYTES:
        payload = msgspec.json.encode(Announcement(Change(change.version), tuple(slugs), told))
    await connection.execute(_NOTIFY, CHANNEL, payload.decode())


def understood(payload: str) -> Announcement:
    """What was announced; something of another release, that this one can't read, is still a change."""
    try:
        return _decoder.decode(payload)
    except msgspec.MsgspecError:
        return Announcement(Change(new_version()))
