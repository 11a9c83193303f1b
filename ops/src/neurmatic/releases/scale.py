"""`scale`: more or fewer instances of a service until it is said otherwise; those that stay are left alone."""

from dataclasses import replace

from neurmatic.hosts.interrupts import held_back
from neurmatic.releases.deployed import check_deployed, placed, read_deployed, save_deployed, scaled
from neurmatic.releases.events import actor
from neurmatic.releases.facts import check_connections
from neurmatic.releases.measure import Measured, Measurement, targets
from neurmatic.releases.up import Up
from neurmatic.stack.model import Stack


def scale(up: Up, described: Stack, service: str, count: int, probes: tuple[str, ...] = ()) -> Measured:
    """Give a service this many instances; what clients noticed meanwhile.

    Args:
        up: the stack as it is deployed now.
        described: the stack as its file has it.
        service: its name.
        count: how many.
        probes: URLs to send load to; none: the stack's own.

    Raises:
        NeurmaticError: it has as many as before.
    """
    check_deployed(up.host, up.layout)
    with up.host.locked(up.layout.lock, f"neurmatic scale by {actor()}"):
        before = read_deployed(up.host, up.layout)
        after = scaled(described, before, service, count)
        old = replace(up, stack=placed(described, before), chosen=before.release)
        target = replace(up, stack=placed(described, after), chosen=before.release)
        old.check()
        target.check()
        check_connections(target.stack, f"{count} instances of {service} and all others")
        loads = targets(old.stack, up.layout, probes, up.stack.deploy.rate)
        with (
            up.events.recorded("scale", service=service, instances=count) as event,
            Measurement(loads) as load,
        ):
            save_deployed(up.host, up.layout, after)
            try:
                target.converge()
            except BaseException:
                with held_back():
                    save_deployed(up.host, up.layout, before)
                    old.converge()
                raise
            event["measured"] = (measured := load.stop()).as_json()
    return measured
