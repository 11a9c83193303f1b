"""Redis at its memory limit evicts only what can be rebuilt, and outlives a save: no job is lost by it."""

from neurmatic.readiness.checks.health_overall import overall, said
from neurmatic.readiness.checks.health_queues import post, total
from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.subject import Rehearsal, Subject, eventually
from neurmatic.stack.section import size_bytes

QUICK = False
MOST_BYTES = 64 * 1024**2  # filling twice a production Redis would take minutes and prove nothing more
VALUE_BYTES = 10_000
BATCHES = 8
_FILL = "for i = 1, tonumber(ARGV[1]) do redis.call('SET', KEYS[1] .. i, string.rep('x', tonumber(ARGV[2]))) end return 'OK'"


def check(subject: Subject, evidence: Evidence) -> None:
    copy = subject.rehearsal()
    if copy.stack.redis is None:
        raise Unverifiable("the stack has no [redis]", "add [redis]")
    configured = size_bytes(copy.stack.redis.maxmemory)
    said_limit = int(copy.redis("CONFIG", "GET", "maxmemory").splitlines()[-1])
    evidence.expect(said_limit == configured, f"the running server's maxmemory is {said_limit} bytes")
    limit = min(configured, MOST_BYTES)
    workers = [one.name for name in copy.stack.services if name != copy.service()[0] for one in copy.instances(name)]
    has_jobs = bool(copy.stack.checks.enqueue and workers)
    before = total(overall(copy), "completed") if has_jobs else 0
    if has_jobs:
        _enqueue(copy, evidence, workers)
    else:
        evidence.note("the stack file names no job that could be lost ([checks] enqueue and a worker)")
    try:
        _fill(copy, evidence, limit)
    finally:
        copy.redis("CONFIG", "SET", "maxmemory", str(configured))
        for name in workers:
            copy.start(name)
    if has_jobs:
        eventually(
            lambda: overall(copy), lambda a: total(a, "completed") > before, "the job, done after the eviction", 60
        )
        evidence.note("the job that waited meanwhile was done afterwards")
    eventually(lambda: overall(copy), lambda a: said(a) == (200, "healthy"), "health after the eviction", 20)


def _enqueue(copy: Rehearsal, evidence: Evidence, workers: list[str]) -> None:
    for name in workers:
        copy.stop(name)
    post(copy, str(copy.stack.checks.enqueue), copy.stack.checks.enqueue_body, 1)
    answer = eventually(lambda: overall(copy), lambda a: total(a, "waiting") > 0, "a job that waits", 10)
    evidence.note(f"with the workers stopped, {total(answer, 'waiting')} job waits")


def _fill(copy: Rehearsal, evidence: Evidence, limit: int) -> None:
    """Write twice what fits, with a save in the middle of it."""
    pid = copy.up.runtime.inspect(["redis"])["redis"].pid
    copy.redis("CONFIG", "SET", "maxmemory", str(limit))
    for batch in range(BATCHES):
        count = 2 * limit // BATCHES // VALUE_BYTES
        copy.redis("EVAL", _FILL, "1", f"neurmatic:fill:{batch}:", str(count), str(VALUE_BYTES))
        if batch == BATCHES // 2:
            copy.redis("BGSAVE", "SCHEDULE")
    while (info := _info(copy))["rdb_bgsave_in_progress"] == "1" or info["aof_rewrite_in_progress"] == "1":
        continue
    evidence.expect(
        int(info["evicted_keys"]) > 0 and int(info["used_memory"]) < limit * 1.25,
        f"twice {limit} bytes written: {info['evicted_keys']} keys evicted, {info['used_memory']} bytes used",
    )
    evidence.expect(
        (info["rdb_last_bgsave_status"], info["aof_last_write_status"]) == ("ok", "ok"),
        f"save in the middle of it: RDB {info['rdb_last_bgsave_status']}, AOF {info['aof_last_write_status']}",
    )
    after = copy.up.runtime.inspect(["redis"])["redis"].pid
    evidence.expect(after == pid, f"the process is the same (pid {after})")


def _info(copy: Rehearsal) -> dict[str, str]:
    lines = (line.partition(":") for line in copy.redis("INFO").splitlines())
    return {name: value for name, _, value in lines}
