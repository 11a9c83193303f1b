"""What may be kept in Redis: only what can be made again, and never at the price of a request."""

import contextlib
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError

PATIENCE_SECONDS = 0.25


class Cache:
    """A few answers, for seconds and of one generation. Without Redis it holds nothing."""

    def __init__(self, url: str) -> None:
        self._generation = ""
        self._redis = Redis.from_url(url, socket_timeout=PATIENCE_SECONDS, socket_connect_timeout=PATIENCE_SECONDS)

    def renew(self, generation: str) -> None:
        """Give nothing from now on that was made before, or is being made."""
        self._generation = generation

    async def kept(self, name: str, seconds: int, make: Callable[[], Awaitable[str]]) -> str:
        """The text if it is there; else it is made, and kept if that can be done."""
        key = f"cache:{self._generation}:{name}"
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            found = await self._redis.get(key)
            if isinstance(found, bytes):
                return found.decode()
        text = await make()
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            await self._redis.set(key, text, ex=seconds)
        return text

    async def close(self) -> None:
        await self._redis.aclose()
