"""Redis's configuration. It holds the password, so only its own account reads it."""

from neurmatic.render.file import File, Files
from neurmatic.render.places import LOOPBACK, Places
from neurmatic.stack.layout import Layout
from neurmatic.stack.redis import Redis
from neurmatic.stack.secret import Secret

CONFIG = "config/redis/redis.conf"


def render_redis(redis: Redis, password: Secret | None, layout: Layout, places: Places = LOOPBACK) -> Files:
    """Files for the Redis in the state folder; without a password here, whoever starts it has to add one."""
    settings = {
        "bind": places.listen,
        "port": redis.port,
        "protected-mode": "yes",
        **({"requirepass": password.reveal()} if password else {}),
        "dir": f'"{places.redis or layout.data / "redis"}"',
        "maxmemory": redis.maxmemory.lower(),
        "maxmemory-policy": redis.eviction,
        "save": "900 1 300 10 60 10000",
        "appendonly": "yes" if redis.appendonly else "no",
        "daemonize": "no",
    }
    text = "# Written by neurmatic; change neurmatic.toml instead.\n"
    text += "".join(f"{name} {value}\n" for name, value in settings.items())
    return {CONFIG: File(text, mode=0o600, secret=True, service_owned=True) if password else File(text)}
