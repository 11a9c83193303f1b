"""The switch that closes the edge for maintenance, as nginx includes it, and what is answered meanwhile. Pure."""

import html
import json
from dataclasses import asdict, dataclass
from hashlib import sha256

CLOSED = "@maintenance"
"""What the edge's log says of a request that was refused for it; no limit can be named so. errors.lua knows it, too."""
_NOTE = "# closed: "
_HEAD = "# Written by neurmatic: `neurmatic maintenance` closes and opens the edge. What nginx includes of it says:\n"
_BODY = """\
# how many seconds a client should wait before it asks again; 0: it is let in
geo $closed_for {{
    default {seconds};
{allowed}}}
# and which of these nginx has loaded, at its control port
geo $maintenance {{
    default {mark};
}}
"""
OPEN = _HEAD + _BODY.format(seconds=0, allowed="", mark="open")
TITLE = "Closed for maintenance"
_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<h1>{title}</h1>
<p>{message}</p>
<p><small>503, request $request_id</small></p>
</html>
"""


@dataclass(frozen=True)
class Closed:
    """The edge as it is closed: since when (UTC, ISO 8601) and by whom, for everybody but `allow`, and what they are told.

    Attributes:
        page: name of the project's own page; empty for the tool's.
        texts: digest of what is answered.
    """

    since: str
    actor: str
    allow: tuple[str, ...]
    retry_after: int
    message: str
    page: str
    texts: str

    def __str__(self) -> str:
        let_in = f"everybody but {', '.join(self.allow)}" if self.allow else "everybody"
        return f"closed for maintenance to {let_in}, since {self.since} by {self.actor}"


def switch(closed: Closed) -> str:
    """The file that closes the edge."""
    note = json.dumps(asdict(closed))
    allowed = "".join(f"    {network} 0;\n" for network in dict.fromkeys(closed.allow))
    mark = sha256(note.encode()).hexdigest()[:12]
    return f"{_HEAD}{_NOTE}{note}\n" + _BODY.format(seconds=closed.retry_after, allowed=allowed, mark=mark)


def closed_in(text: str) -> Closed | None:
    """What this switch says; None when the edge is open."""
    note = next((line.removeprefix(_NOTE) for line in text.splitlines() if line.startswith(_NOTE)), None)
    if note is None:
        return None
    said = json.loads(note)
    return Closed(**said | {"allow": tuple(said["allow"])})


def mark(text: str) -> str:
    """What an nginx that has loaded this switch says at its control port's /maintenance."""
    return text.rpartition("default ")[2].partition(";")[0]


def texts(message: str, page: str | None) -> dict[str, str]:
    """What is answered, by file name: a page, which may be somebody's own, and problem details (RFC 9457)."""
    problem = {"type": "about:blank", "title": TITLE, "status": 503, "detail": message, "request_id": "$request_id"}
    shown = _PAGE.format(title=TITLE, message=html.escape(message))
    return {"page.html": shown if page is None else page, "problem.json": json.dumps(problem, separators=(",", ":"))}
