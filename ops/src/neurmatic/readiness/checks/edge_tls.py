"""TLS 1.2 and 1.3 only, ECDHE only; sessions cached for a day without tickets; HTTP/2."""

import re
import ssl

from neurmatic.probes.tls import client_context, handshake, limited_client, resumption
from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Subject, View
from neurmatic.render.nginx import CONFIG

QUICK = True


def check(subject: Subject, evidence: Evidence) -> None:
    live = subject.live
    place = live.place()
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        seen = handshake(place, limited_client(place.ca, version))
        evidence.expect(bool(seen.error), f"{version.name}: {seen.error or 'accepted'}")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        seen = handshake(place, limited_client(place.ca, version))
        evidence.expect(not seen.error, f"{version.name}: {seen.suite or seen.error}")
    _suites(live, evidence)
    context = client_context(place.ca)
    context.set_alpn_protocols(["h2", "http/1.1"])
    seen = handshake(place, context)
    evidence.expect(seen.alpn == "h2", f"offered HTTP/2 and HTTP/1.1, it takes {seen.alpn or 'neither'}")
    again = resumption(place)
    evidence.expect(
        again.reused and not again.ticket,
        f"a second handshake takes up the session: {again.reused}, by a ticket: {again.ticket}",
    )
    config = live.host.read(live.layout.state / CONFIG) or ""
    cache = re.search(r"ssl_session_cache shared:\w+:50m;\s+ssl_session_timeout 1d;", config)
    evidence.expect(cache is not None, "configured: a session cache of 50 MB for a day")


def _suites(live: View, evidence: Evidence) -> None:
    """Each suite of TLS 1.2 that this client can offer, offered alone."""
    place = live.place()
    offered = {one["name"] for one in limited_client(place.ca, ssl.TLSVersion.TLSv1_2).get_ciphers()}
    taken = []
    for suite in sorted(name for name in offered if not name.startswith("TLS_")):
        seen = handshake(place, limited_client(place.ca, ssl.TLSVersion.TLSv1_2, suite))
        if not seen.error:
            taken.append(suite)
    bad = [name for name in taken if not re.fullmatch(r"ECDHE-.*(GCM-SHA\d+|CHACHA20-POLY1305)", name)]
    evidence.expect(
        bool(taken) and not bad,
        f"of {len(offered)} suites offered one by one it takes {', '.join(taken)}; weak: {bad or 'none'}",
    )
