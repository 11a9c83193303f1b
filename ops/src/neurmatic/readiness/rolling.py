"""Rollouts of the rehearsal copy, for the claims about deploys: the real thing, on a stack that may be broken."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from neurmatic.probes.ledger import Summary, summarize
from neurmatic.probes.load import Background, Load
from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.subject import Rehearsal, Subject
from neurmatic.releases.deploy import roll
from neurmatic.releases.deployed import Deployed, placed, read_deployed, save_deployed
from neurmatic.releases.rollout import Choice, Outcome
from neurmatic.releases.up import Up
from neurmatic.stack.model import Stack

RATE = 50


@dataclass(frozen=True)
class Rolling:
    """A copy, without its limits on a client, that is deployed to."""

    copy: Rehearsal

    @property
    def deployed(self) -> Deployed:
        return read_deployed(self.copy.host, self.copy.layout)

    @property
    def up(self) -> Up:
        """The copy as it is deployed now."""
        release = self.deployed.release
        return replace(self.copy.up, stack=placed(self.copy.stack, self.deployed), chosen=release)

    def instances(self) -> list[str]:
        """Names of the main service's instances."""
        name = self.copy.service()[0]
        return [one.name for one in self.up.stack.instances() if one.service == name]

    def roll(self, stack: Stack | None = None, *, release: str = "", back: bool = False) -> Outcome:
        """Deploy a release, by default the one that serves, to the copy; with `stack`, described otherwise."""
        choice = Choice(release or self.deployed.release, back=back)
        return roll(self.up, stack or self.copy.stack, choice, "rollback" if back else "deploy")

    def broken(self) -> Stack:
        """The copy described so that no instance of its main service ever answers."""
        name, service = self.copy.service()
        mute = service.replace(command=("sleep", "600"), start_timeout=5)
        return self.copy.stack.replace(services={**self.copy.stack.services, name: mute})

    def load(self) -> Background:
        """Constant load through the copy's edge on its main service's health."""
        health = self.copy.service()[1].health
        url = self.copy.stack.url + (health.live or health.ready)
        return Background(Load(url, rate=RATE, seconds=600, ca=self.copy.layout.trust, address=self.copy.address))


def judge(evidence: Evidence, load: Background, words: str) -> None:
    """See that no request of a load that is over has failed."""
    seen = summarize(load.ledger)
    evidence.expect(
        seen.ok and seen.due > 0,
        f"{words}, {RATE} requests a second meanwhile: {seen.due} sent, {seen.due - seen.good} failed{_why(seen)}, "
        f"longest gap {seen.longest_gap_ms:.0f} ms",
    )


def _why(seen: Summary) -> str:
    """How those that failed did, where some did."""
    other = {words: count for words, count in seen.answered.items() if words > "3xx"}
    said = [f"{count} {words}" for words, count in (other | dict(seen.lost)).items()]
    slow = f"this machine took them up {seen.client_delay_ms:.0f} ms late at most"
    return f" ({', '.join([*said, *seen.words.values(), slow])})" if not seen.ok else ""


@contextmanager
def rolling(subject: Subject) -> Iterator[Rolling]:
    """The copy, to be deployed to; at the end its instances are where they were.

    Raises:
        Unverifiable: its ports have no room for two releases.
    """
    copy = subject.rehearsal()
    for name, one in copy.stack.services.items():
        if one.instances > one.half:
            raise Unverifiable(
                f"services.{name}.ports have no room for a second release", f"give it {2 * one.instances} ports or more"
            )
    with copy.unlimited() as free:
        found = Rolling(free)
        before = found.deployed
        free.await_requests()
        try:
            yield found
        finally:
            save_deployed(free.host, free.layout, before)


def previous(subject: Subject) -> str:
    """The release that a rollback of the live stack would go back to.

    Raises:
        Unverifiable: only one was ever deployed.
    """
    live = subject.live
    if not live.stack.release.files:
        raise Unverifiable("releases have no files of their own", "name them in [release] files")
    if not (found := read_deployed(live.host, live.layout).previous):
        raise Unverifiable("one release only was ever deployed here", "deploy a second one")
    return found
