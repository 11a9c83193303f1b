"""SIGTERM: ready turns 503, the request in flight finishes, and the process exits 0 within its grace period."""

import time
from concurrent.futures import ThreadPoolExecutor

from neurmatic.readiness.checks.health_ready import drains
from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.subject import Subject

QUICK = False
BEYOND_DRAIN_SECONDS = 1.0


def check(subject: Subject, evidence: Evidence) -> None:
    """A slow request is made by suspending PostgreSQL under a request that needs it, until after the drain."""
    copy = subject.rehearsal()
    read = copy.stack.checks.read
    name, service = copy.service()
    if read is None or copy.stack.postgres is None:
        raise Unverifiable(
            "the stack file names no request that needs the database", "set [checks] read, and [postgres]"
        )
    one = copy.instances(name)[0]
    drains(copy, one, evidence)
    warm = copy.ask(one, read)
    evidence.expect(warm.status == 200, f"{read}: {warm}")
    pid = copy.up.runtime.inspect([one.name])[one.name].pid or 0
    copy.host.remove(copy.layout.service(one.name) / "last-exit")
    with ThreadPoolExecutor(1) as pool:
        copy.signal("postgres", "STOP")
        try:
            slow = pool.submit(copy.ask, one, read, timeout=30)
            time.sleep(0.3)
            begun = time.monotonic()
            copy.host.signal(pid, "TERM")
            time.sleep(service.drain + BEYOND_DRAIN_SECONDS)
            evidence.expect(
                copy.host.alive(pid), f"{time.monotonic() - begun:.1f} s after SIGTERM it still works on the request"
            )
        finally:
            copy.signal("postgres", "CONT")
        answer = slow.result()
    evidence.expect(answer.status == 200, f"the request in flight across the stop: {answer}")
    while copy.host.alive(pid) and time.monotonic() - begun < service.stop_timeout:
        time.sleep(0.05)
    seconds = time.monotonic() - begun
    evidence.expect(not copy.host.alive(pid), f"gone {seconds:.1f} s after SIGTERM (grace {service.stop_timeout:g} s)")
    code = _exit_code(subject, one.name)
    evidence.expect(code == "0", f"exit code {code}")
    copy.await_health(one.name)


def _exit_code(subject: Subject, name: str) -> str:
    copy = subject.rehearsal()
    return (copy.host.read(copy.layout.service(name) / "last-exit") or "unknown").split()[0]
