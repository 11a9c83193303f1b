"""Certificates: valid for the host, read by nginx alone, renewed by themselves, swapped under load without a drop."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from neurmatic.probes.http import Answer
from neurmatic.probes.tls import handshake
from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.subject import Rehearsal, Subject, View
from neurmatic.releases import expiry
from neurmatic.releases.certificate import covers, moment
from neurmatic.releases.certificates import certificates_of
from neurmatic.releases.project import Quiet
from neurmatic.runtimes.choice import runtime_of

QUICK = False
PER_SECOND = 50
BEFORE_AND_AFTER_SECONDS = 1.0


def check(subject: Subject, evidence: Evidence) -> None:
    _served(subject.live, evidence)
    _readable(subject.live, evidence)
    _watched(subject, evidence)
    _rotates(subject.rehearsal(), evidence)
    if subject.live.stack.tls.certificates != "acme":
        raise Unverifiable(
            f"no ACME CA was asked: this stack's certificates are {subject.live.stack.tls.certificates}",
            'set tls.certificates = "acme", with a public host; tests/acceptance/test_certificates.py issues and renews '
            "against a real ACME server",
        )


def _served(live: View, evidence: Evidence) -> None:
    """As a client sees it, that trusts the roots it should."""
    stack = live.stack
    roots = live.layout.tls / "ca.pem" if stack.tls.certificates == "local" else live.layout.project / stack.tls.ca
    ca = roots if stack.tls.certificates == "local" or stack.tls.ca else None
    hand = handshake(replace(live.place(), ca=ca))
    evidence.expect(
        hand.certificate is not None and not hand.error,
        f"a handshake for {stack.identity.host}: {hand.error or 'verified against ' + (str(ca) if ca else 'the system')}",
        "`neurmatic certificates` says how it stands",
    )
    one, now = expiry.served(stack, live.layout), datetime.now(UTC)
    missing = [name for name in stack.tls_names if not covers(one.names, name)]
    evidence.expect(not missing, f"it is for {', '.join(one.names)}" + (f", not for {missing}" if missing else ""))
    evidence.expect(
        now < one.red_from(stack.tls),
        f"{one.issuer}, ends {moment(one.not_after)}, {one.days_left(now):.1f} days left",
        "neurmatic certificates renew",
    )
    evidence.expect(one.key.startswith("EC "), f"key: {one.key}")
    installed = certificates_of(live.host, live.layout, stack, Quiet(), None).current()
    same = installed is not None and installed.serial == one.serial
    evidence.expect(
        same, f"nginx serves {'the installed one' if same else 'another one than is installed'}", "neurmatic up"
    )


def _readable(live: View, evidence: Evidence) -> None:
    path = live.layout.certificate
    mode, owner = live.host.run(["stat", "-c", "%a %U", str(path)], env={}).out.split()
    pid = runtime_of(live.host, live.layout).inspect(["edge"])["edge"].pid
    account = live.host.run(["stat", "-c", "%U", f"/proc/{pid}"], env={}).out.strip()
    evidence.expect(
        mode == "600" and owner == account, f"the key's file is {owner}'s with mode {mode}, nginx runs as {account}"
    )


def _watched(subject: Subject, evidence: Evidence) -> None:
    """Who renews it, and whether that is at work."""
    live = subject.live
    standing = expiry.look(certificates_of(live.host, live.layout, live.stack, Quiet(), subject.user))
    evidence.expect(not standing.problems, f"`neurmatic certificates`: {'; '.join(standing.problems) or 'well'}")
    for timer in live.stack.timers():
        if timer.command[0] != "certificates":
            continue
        state = runtime_of(live.host, live.layout).inspect([timer.name]).get(timer.name)
        evidence.expect(
            bool(state and state.state == "running" and standing.next_run),
            f"{timer.name} is {state.state if state else 'not there'}, next run {standing.next_run or 'never'}",
            "neurmatic up",
        )
        evidence.expect(" done, " in standing.last, f"asked the CA last: {standing.last or 'never'}")


def _rotates(copy: Rehearsal, evidence: Evidence) -> None:
    """On the copy: a new one under load, by the same steps as a renewal, but signed by the copy's own CA."""
    before = copy.up.certificates.serial_served()
    with _requests(copy) as ledger:
        time.sleep(BEFORE_AND_AFTER_SECONDS)
        copy.up.certificates.renew(force=True)
        time.sleep(BEFORE_AND_AFTER_SECONDS)
    after = copy.up.certificates.serial_served()
    evidence.expect(bool(after) and after != before, f"a rehearsal's renewal: serial {before[:12]} became {after[:12]}")
    failed = [answer for answer in ledger.answers if not 200 <= answer.status < 500]
    evidence.expect(
        len(ledger.answers) > PER_SECOND and not failed,
        f"{len(ledger.answers)} requests, each with a handshake of its own, across it: {len(failed)} failed"
        + (f", such as {failed[0]}" if failed else ""),
    )


@dataclass
class _Ledger:
    answers: list[Answer] = field(default_factory=list)


@contextmanager
def _requests(copy: Rehearsal) -> Iterator[_Ledger]:
    """Requests at a constant rate for as long as the block runs, each with a connection of its own; all are waited for."""
    ledger, stop = _Ledger(), threading.Event()
    threads: list[threading.Thread] = []
    service = copy.service()[1]
    path = "/" if copy.stack.site else service.health.ready

    def tick() -> None:
        begun = time.monotonic()
        while not stop.wait(max(0.0, begun + len(threads) / PER_SECOND - time.monotonic())):
            one = threading.Thread(target=lambda: ledger.answers.append(copy.get(path)))
            threads.append(one)
            one.start()

    clock = threading.Thread(target=tick)
    clock.start()
    try:
        yield ledger
    finally:
        stop.set()
        clock.join()
        for one in threads:
            one.join()
