"""The limit: the platform's server and driver, with nothing between the socket and the query."""

import json
import os
import time
from pathlib import Path

import asyncpg
import uvicorn

QUERIES = json.loads(Path(os.environ["QUERIES"]).read_text())
POOL_SIZE = int(os.environ["POOL_SIZE"])
LIST, ARTICLE = "/api/v1/articles", "/api/v1/articles/"
HEALTHY_SECONDS = 1


class Connection(asyncpg.Connection):
    def get_reset_query(self):
        return ""  # no session state to reset, so no second round trip: as the platform has it


class Bare:
    def __init__(self):
        self.pool = None
        self.healthy_until = 0

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await self.live(receive, send)
            return
        path = scope["path"]
        headers = [(b"content-type", b"application/json")]
        if path == LIST:
            body = await self.pool.fetchval(QUERIES["list"], int(scope["query_string"].removeprefix(b"limit=")))
        elif path.startswith(ARTICLE):
            etag, body = await self.pool.fetchrow(QUERIES["one"], path.removeprefix(ARTICLE))
            headers.append((b"etag", f'"{etag[:32]}"'.encode()))
        else:
            body = await self.health()
        body = body.encode()
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def health(self):
        if time.monotonic() > self.healthy_until:
            await self.pool.fetchval("SELECT 1")
            self.healthy_until = time.monotonic() + HEALTHY_SECONDS
        return '{"status":"healthy"}'

    async def live(self, receive, send):
        await receive()
        self.pool = await asyncpg.create_pool(
            os.environ["DATABASE_URL"], min_size=POOL_SIZE, max_size=POOL_SIZE, connection_class=Connection
        )
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.pool.close()
        await send({"type": "lifespan.shutdown.complete"})


if __name__ == "__main__":
    port = int(os.environ["PORT"])
    uvicorn.run(Bare(), port=port, loop="uvloop", http="httptools", access_log=False, log_level="warning")
