"""The edge keeps public answers for minutes; here it is told which of them have just become stale."""

import asyncio
import logging
from collections.abc import Iterable
from urllib.parse import urlsplit

log = logging.getLogger(__name__)
PURGE_SECONDS = 1.0  # it is on the same machine; who waits for this are the open pages


class Edge:
    """What is in front of the API. Without an address to purge at, it keeps nothing.

    Args:
        purge_url: takes a POST with one path a line.
        prefix: of the API's paths.
    """

    def __init__(self, purge_url: str, prefix: str) -> None:
        self._url = purge_url
        self._prefix = prefix

    async def purge(self, slugs: Iterable[str]) -> None:
        """Have the lists and these articles fetched anew. Failing that, they are stale until their time is over: it never raises."""
        if not self._url:
            return
        paths = ("/articles", "/tags", *(f"/articles/{slug}" for slug in slugs))
        try:
            async with asyncio.timeout(PURGE_SECONDS):
                await self._post("".join(f"{self._prefix}{path}\n" for path in paths))
        except (OSError, ValueError) as error:
            log.warning("the edge goes on serving what is stale: %s: %s", type(error).__name__, error)

    async def _post(self, body: str) -> None:
        url, content = urlsplit(self._url), body.encode()
        head = f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: close\r\nContent-Length: {len(content)}\r\n\r\n"
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        try:
            writer.write(head.encode() + content)
            said = await reader.readline()
        finally:
            writer.close()
        if said.split()[1:2] != [b"200"]:
            raise ConnectionError(f"a purge is answered {said.decode(errors='replace').strip()!r}")
