"""The edge's certificate: provided before nginx starts, issued and renewed while it serves, swapped as a whole.

Whatever fails leaves the certificate that serves as it was.
"""

import re
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from neurmatic.errors import ConfigurationError, NeurmaticError
from neurmatic.hosts.base import Host
from neurmatic.probes.tls import handshake
from neurmatic.releases import acme, authority
from neurmatic.releases.certificate import (
    FILES,
    LOCAL,
    Action,
    CertificateFacts,
    Decision,
    bundle,
    decide,
    moment,
    parse,
    unfit,
    unusable,
)
from neurmatic.releases.edge import Edge, edge_of
from neurmatic.releases.events import EventLog
from neurmatic.releases.facts import read_mark, write_mark
from neurmatic.releases.members import edge_place
from neurmatic.releases.plan import certificate_digest
from neurmatic.releases.project import Reporter
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack
from neurmatic.stack.tls import Source

LOADED_SECONDS = 15
LOADED_TIMES = 5  # in a row: workers of before the reload accept beside the new ones for a moment
NO_RESPONDER = "# The certificate names no OCSP responder: there is nothing to staple.\n"
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", re.DOTALL)


@dataclass(frozen=True)
class Certificates:
    """The certificate of one stack's edge. `user` is the account that runs nginx and the ACME client."""

    host: Host
    layout: Layout
    stack: Stack
    edge: Edge
    events: EventLog
    reporter: Reporter
    user: str | None

    def current(self) -> CertificateFacts | None:
        """The one that is installed; None when there is none that nginx could serve."""
        text = self.host.read(self.layout.certificate)
        try:
            return parse(text) if text else None
        except ValueError:
            return None

    def decide(self) -> Decision:
        """What is to be done about it now."""
        return decide(self.current(), datetime.now(UTC), self.stack.tls_names, self.stack.tls, self._offered())

    def to_ask(self) -> str:
        """Why the CA is to be asked for a certificate; empty when it isn't."""
        decision = self.decide()
        return decision.why if decision.action in ("issue", "renew") else ""

    def provide(self) -> None:
        """See that nginx has a certificate to start with; what is loaded already is changed by a reload afterwards.

        Before an ACME CA has issued, one of the stack's own CA stands in, for a few days.

        Raises:
            ConfigurationError: the operator's own certificate can't be served.
        """
        decision = self.decide()
        if decision.action == "make":
            self._install(self._made())
            self.reporter.say(f"certificate for {self.stack.identity.host}: made by the stack's own CA")
        elif decision.action == "take":
            self._install(self._checked(self._taken()))
            self.reporter.say(f"certificate for {self.stack.identity.host}: taken from {self.stack.tls.certificate}")
        elif why := unusable(self.current(), datetime.now(UTC), self.stack.identity.host):
            self._install(self._made(authority.PROVISIONAL_DAYS))
            self.reporter.say(f"certificate: {why}; one of the stack's own CA stands in until the CA has issued")
        else:
            self._settle(self.host.read(self.layout.certificate) or "")
        if self.stack.tls.certificates == "acme":
            acme.prepare(self.host, self.layout, self.user)

    def renew(self, *, force: bool = False) -> Decision:
        """Do what is due, and have nginx load it without dropping a request; with `force`, though it isn't due.

        Raises:
            NeurmaticError: what the CA said, or why its certificate was not taken; the one before goes on serving.
        """
        decision = self.decide()
        if decision.action == "keep" and force:
            ask: dict[Source, Action] = {"local": "make", "files": "take", "acme": "renew"}
            decision = Decision(ask[self.stack.tls.certificates], "asked for")
        if decision.action == "keep":
            return self._load_if_missed() or decision
        names = ", ".join(self.stack.tls_names)
        self.reporter.say(f"certificate for {names}: {decision.action}, {decision.why}")
        ways = {"make": self._made, "take": self._taken, "issue": self._issued, "renew": self._issued}
        with self.events.recorded("certificate", names=names, source=self._source(), why=decision.why):
            self._swap(self._checked(ways[decision.action]()))
        return decision

    def serial_served(self) -> str:
        """The serial number that a client sees now; empty when there is no handshake."""
        return handshake(edge_place(self.stack, self.layout)).serial

    def _source(self) -> str:
        return {"local": LOCAL, "files": FILES}.get(self.stack.tls.certificates, self.stack.tls.acme_directory)

    def _made(self, days: float = authority.LEAF_DAYS) -> str:
        return bundle(LOCAL, authority.make_leaf(self.host, self.layout, self.stack.name, self.stack.tls_names, days))

    def _issued(self) -> str:
        if not self._is_served():
            raise NeurmaticError("the edge is not running, so no CA can ask it whose host this is", "neurmatic up")
        key = authority.new_key()
        request = authority.request_pem(key, self.stack.tls_names)
        chain = acme.issue(self.host, self.layout, self.stack, request, self.user)
        return bundle(self.stack.tls.acme_directory, authority.key_pem(key) + chain)

    def _taken(self) -> str:
        texts = []
        for field in ("key", "certificate"):
            path = self.layout.project / getattr(self.stack.tls, field)
            text = self.host.read(path)
            if text is None:
                raise ConfigurationError(f"tls.{field}: {path} does not exist", "nothing was changed")
            texts.append(text if text.endswith("\n") else text + "\n")
        return bundle(FILES, "".join(texts))

    def _offered(self) -> CertificateFacts | None:
        """The operator's own; None for other sources, and when it can't be read: then taking it says why."""
        if self.stack.tls.certificates != "files":
            return None
        try:
            return parse(self._taken())
        except ValueError as error:
            raise ConfigurationError(f"tls.certificate and tls.key: {error}", "nothing was changed") from None

    def _checked(self, text: str) -> str:
        """The text, if it may take the place of what serves.

        Raises:
            NeurmaticError: it may not, and why.
        """
        try:
            reason = unfit(parse(text), datetime.now(UTC), self.stack.tls_names)
        except ValueError as error:
            reason = str(error)
        if reason:
            raise NeurmaticError(f"the new certificate was not taken: {reason}", "the one before stays")
        return text

    def _swap(self, text: str) -> None:
        """Install it and have it served; what nginx refuses is taken back."""
        before = self.host.read(self.layout.certificate)
        self._install(text, before or "")
        if not self._is_served():
            return
        try:
            self.edge.check()
        except NeurmaticError:
            if before:
                self._install(before)
            raise
        self._load(text)

    def _load_if_missed(self) -> Decision | None:
        """Have nginx load what is installed if it serves another one: a run was killed between the two."""
        current, text = self.current(), self.host.read(self.layout.certificate)
        if not (current and text and self._is_served()) or self.serial_served() in ("", current.serial):
            return None
        self._load(text)
        return Decision("load", "nginx served another one")

    def _load(self, text: str) -> None:
        self.edge.reload()
        self._await(parse(text))
        if mark := read_mark(self.host, self.layout, "edge"):
            write_mark(self.host, self.layout, "edge", replace(mark, certificate=certificate_digest(text)))

    def _await(self, new: CertificateFacts) -> None:
        until = time.monotonic() + LOADED_SECONDS
        seen = 0
        while seen < LOADED_TIMES:
            seen = seen + 1 if self.serial_served() == new.serial else 0
            if time.monotonic() > until:
                raise NeurmaticError(
                    f"nginx did not serve the new certificate within {LOADED_SECONDS} s of its reload",
                    "look at `neurmatic logs edge`, then `neurmatic restart edge`",
                )
            time.sleep(0.1)
        self.reporter.say(f"certificate: serves {new.serial[:16]} of {new.issuer}, valid until {moment(new.not_after)}")

    def _install(self, text: str, before: str = "") -> None:
        """Put it where nginx loads it from; a run killed anywhere here leaves a whole certificate, the old or the new."""
        self._settle(text, before)
        self.host.write(self.layout.certificate, text, mode=0o600, owner=self.user)

    def _settle(self, text: str, before: str = "") -> None:
        """Write what follows from the certificate: the authorities to trust (the one before still serves), and OCSP."""
        own = self.host.read(self.layout.tls / "ca.pem") or ""
        blocks = dict.fromkeys(_CERTIFICATE.findall(own + text + before))
        stapling = "ssl_stapling on;\n" if parse(text).ocsp else NO_RESPONDER
        for path, wanted in ((self.layout.trust, "".join(blocks)), (self.layout.stapling, stapling)):
            if self.host.read(path) != wanted:
                self.host.write(path, wanted)

    def _is_served(self) -> bool:
        running = self.edge.runtime.inspect(["edge"]).get("edge")
        return bool(running and running.pid)


def certificates_of(host: Host, layout: Layout, stack: Stack, reporter: Reporter, user: str | None) -> Certificates:
    """The certificates of a stack that was started before."""
    return Certificates(host, layout, stack, edge_of(host, layout, stack, user), EventLog(host, layout), reporter, user)
