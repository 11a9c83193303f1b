"""Announcing a publication: part of the transaction that publishes, so that both happen or neither.

Through PostgreSQL and not through Redis: nothing is announced that was rolled back, nothing is committed without
being announced, and Redis may be down.
"""

from datetime import datetime
from typing import Any

import msgspec

from neurmatic_backend.realtime.schemas import Change, new_version

CHANNEL = "realtime"
LARGEST_BYTES = 7999  # PostgreSQL refuses a larger payload, and would undo the publication with it
_NOTIFY = "SELECT pg_notify($1, $2)"
_decoder = msgspec.json.Decoder(Change)


async def announce(connection: Any, slug: str, title: str, published_at: datetime) -> None:
    """Tell every instance about the article once the connection's transaction commits."""
    version = new_version()
    payload = msgspec.json.encode(Change(version, slug, title, published_at))
    if len(payload) > LARGEST_BYTES:
        payload = msgspec.json.encode(Change(version))
    await connection.execute(_NOTIFY, CHANNEL, payload.decode())


def understood(payload: str) -> Change:
    """What was announced; something of another release, that this one can't read, is still a change."""
    try:
        return _decoder.decode(payload)
    except msgspec.MsgspecError:
        return Change(new_version())
