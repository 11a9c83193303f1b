"""After a restore in place: what was kept of the database before is forgotten, in Redis and at the edge."""

from neurmatic.backups.setting import Setting
from neurmatic.errors import NeurmaticError
from neurmatic.probes.http import request

OK = 200


def forget(setting: Setting) -> None:
    """Empty Redis, which holds nothing that can't be rebuilt, and the edge's cache. What isn't running has nothing."""
    stack = setting.stack
    if stack.redis:
        env = {"REDISCLI_AUTH": setting.secrets["REDIS_PASSWORD"].reveal()}
        where = ["-h", setting.places.of("redis"), "-p", str(stack.redis.port)]
        try:
            setting.host.run(["redis-cli", *where, "FLUSHALL"], env=env, timeout=10)
        except NeurmaticError as error:
            setting.reporter.say(f"Redis was not emptied: {error}")
    if stack.edge.cache.paths:
        answer = request(
            f"http://{setting.places.of('edge')}:{stack.edge.control_port}/purge", method="POST", body=b"*\n"
        )
        if answer.status != OK:
            setting.reporter.say(
                f"the edge's cache was not emptied ({answer}): it may answer from before for some minutes"
            )
