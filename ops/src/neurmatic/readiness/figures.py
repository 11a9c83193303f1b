"""The figures of an environment, read back from the servers that run, for the claims about staging and production."""

import time

from neurmatic.backups.database import value
from neurmatic.backups.setting import setting_of
from neurmatic.readiness.backups import database, setting
from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.images import limit_problems
from neurmatic.readiness.subject import Rehearsal, Subject, View
from neurmatic.stack.section import size_bytes

LOG_SECONDS = 10.0
CACHE_SECONDS = 5.0


def need_environment(view: View, name: str) -> None:
    """Raises Unverifiable where the stack runs as another environment."""
    if view.stack.environment != name:
        raise Unverifiable(
            f"this stack runs as {view.stack.environment}",
            f"`neurmatic --environment {name} up` on the server of {name}",
        )


def see_postgres(subject: Subject, evidence: Evidence) -> None:
    """PostgreSQL's settings, as the running server says them, are the stack file's."""
    live = subject.live
    if live.stack.postgres is None:
        raise Unverifiable("the stack has no [postgres]", "add [postgres]")
    wanted = {
        "max_connections": str(live.stack.postgres.max_connections),
        "shared_buffers": live.stack.postgres.shared_buffers,
        "effective_cache_size": live.stack.postgres.effective_cache_size,
    }
    with database(setting(subject)).connected() as connection:
        for name, figure in wanted.items():
            said = str(value(connection, f"SHOW {name}"))
            same = said == figure if name == "max_connections" else size_bytes(said) == size_bytes(figure)
            evidence.expect(same, f"{name} {said}" + ("" if same else f", not {figure}"))


def see_redis(live: View, evidence: Evidence) -> None:
    """Redis wants its password, and its settings are the stack file's."""
    if live.stack.redis is None:
        raise Unverifiable("the stack has no [redis]", "add [redis]")
    stranger = live.redis("PING", as_stranger=True)
    evidence.expect("NOAUTH" in stranger, f"Redis without its password: {stranger or 'no answer'}")
    wanted = {
        "maxmemory": str(size_bytes(live.stack.redis.maxmemory)),
        "maxmemory-policy": live.stack.redis.eviction,
        "appendonly": "yes" if live.stack.redis.appendonly else "no",
    }
    for name, figure in wanted.items():
        said = live.redis("CONFIG", "GET", name).splitlines()[-1]
        evidence.expect(said == figure, f"{name} {said}" + ("" if said == figure else f", not {figure}"))
    saved = live.redis("CONFIG", "GET", "save").splitlines()[-1]
    evidence.expect(bool(saved) and saved != "save", f"saves after {saved}")


def see_cache(live: View, evidence: Evidence) -> None:
    """A public answer is fetched once, and comes from the edge's cache then, over a TLS connection that was verified."""
    path = live.stack.checks.read or next(iter(live.stack.edge.cache.paths), None)
    if path is None:
        raise Unverifiable("[edge.cache] names no path", "name a public one")
    seen = [live.get(path).headers.get("x-cache", "none")]
    until = time.monotonic() + CACHE_SECONDS  # what is stale is answered once more while it is fetched anew
    while seen[-1] != "HIT" and time.monotonic() < until:
        seen.append(live.get(path).headers.get("x-cache", "none"))
        time.sleep(0.1)
    seen = [seen[0], seen[-1]]
    evidence.expect(seen[-1] == "HIT", f"{path} over TLS: X-Cache {', then '.join(seen)}")


def see_slow(copy: Rehearsal, evidence: Evidence) -> None:
    """A statement that takes longer than the limit appears in PostgreSQL's log, on a copy."""
    assert copy.stack.postgres is not None  # noqa: S101  whoever calls has seen it
    limit = copy.stack.postgres.slow_statement_ms
    word = f"neurmatic_{time.time_ns()}"
    with database(setting_of(copy.up)).connected() as connection:
        connection.execute(f"SELECT pg_sleep({limit / 1000 + 0.2}) AS {word}".encode())
    until = time.monotonic() + LOG_SECONDS
    lines: list[str] = []
    while not lines and time.monotonic() < until:
        lines = [line for line in copy.runtime.log("postgres", 100_000) if word in line and "duration:" in line]
        time.sleep(0.1)
    evidence.expect(bool(lines), f"a statement over {limit} ms in the log: {lines[0][-80:] if lines else 'not there'}")


def see_instances(live: View, evidence: Evidence) -> None:
    """Two instances or more of the main service, each with its pool of connections; and what makes the backups is at work."""
    name, service = live.service()
    backup = [timer.name for timer in live.stack.backup.timers()] if live.stack.backup else []
    if not backup:
        raise Unverifiable("the stack has no [backup]", "add [backup]")
    wanted = [one.name for one in live.instances(name)]
    evidence.expect(len(wanted) > 1, f"{len(wanted)} instance{'s' * (len(wanted) > 1)} of {name}")
    found = live.runtime.inspect([*wanted, *backup])
    states = {one: found[one].state if one in found else "not there" for one in (*wanted, *backup)}
    said = ", ".join(f"{one} {state}" for one, state in states.items())
    evidence.expect(set(states.values()) == {"running"}, f"{said}; each instance pools {service.pool_size} connections")


def see_limits(subject: Subject, evidence: Evidence) -> tuple[int, float]:
    """Every container has the limits of the stack file; of processes none has any, so that nothing can be seen.

    Returns the sums of what the engine says: bytes, and processors.
    """
    engine, stack = subject.need_containers(), subject.live.stack
    memory, cpus = 0, 0.0
    for name, said in engine.containers().items():
        assert stack.containers is not None  # noqa: S101  it runs as containers
        wanted = stack.containers.limit(name.rpartition("-")[0] or name, stack.postgres, stack.redis)
        problems = limit_problems(said, *wanted)
        evidence.expect(
            not problems, f"{name}: {', '.join(problems) or f'{wanted[0] // 2**20} MB, {wanted[1]:g} processors'}"
        )
        memory, cpus = memory + said["HostConfig"]["Memory"], cpus + said["HostConfig"]["NanoCpus"] / 1e9
    return memory, cpus
