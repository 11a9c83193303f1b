"""What may be kept in Redis: only what can be made again, and never at the price of a request."""

import contextlib

from redis.asyncio import Redis
from redis.exceptions import RedisError

PATIENCE_SECONDS = 0.25


class Cache:
    """A few answers, for seconds. Without Redis it holds nothing."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(url, socket_timeout=PATIENCE_SECONDS, socket_connect_timeout=PATIENCE_SECONDS)

    async def get(self, key: str) -> str | None:
        """The text, if it is there."""
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            found = await self._redis.get(f"cache:{key}")
            return bytes(found).decode() if isinstance(found, bytes) else None
        return None

    async def put(self, key: str, text: str, seconds: int) -> None:
        """Keep the text for some seconds, if that can be done."""
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            await self._redis.set(f"cache:{key}", text, ex=seconds)

    async def close(self) -> None:
        await self._redis.aclose()
