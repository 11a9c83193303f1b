"""The event log: who did what, when, with what result; one JSON object a line, only ever appended to."""

import getpass
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from neurmatic.hosts.base import Host
from neurmatic.stack.layout import Layout


class EventLog:
    """Events of one stack. An event that was begun and has no end was cut off: its process was killed."""

    def __init__(self, host: Host, layout: Layout) -> None:
        self.host = host
        self.layout = layout

    def write(self, action: str, result: str, **details: Any) -> None:
        """Append one event; it is on disk when this returns."""
        event = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "actor": actor(),
            "action": action,
            "result": result,
        }
        self.host.append(self.layout.events, json.dumps(event | details) + "\n")

    def read(self) -> list[dict[str, Any]]:
        """All events, oldest first; a line that a full disk cut short is left out."""
        events = []
        for line in (self.host.read(self.layout.events) or "").splitlines():
            try:
                events.append(json.loads(line))
            except ValueError:
                continue
        return events

    @contextmanager
    def recorded(self, action: str, **details: Any) -> Iterator[dict[str, Any]]:
        """Write that the action began, and how it ended, with its duration in seconds.

        What is added to the details that this gives stands in the event of its end.
        """
        begun = monotonic()
        self.write(action, "begun", **details)
        try:
            yield details
        except BaseException as error:
            reason = str(error) or type(error).__name__
            self.write(action, "failed", **details, duration_s=round(monotonic() - begun, 3), reason=reason)
            raise
        self.write(action, "done", **details, duration_s=round(monotonic() - begun, 3))


def actor() -> str:
    """Who acts: the person behind sudo where there is one."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
