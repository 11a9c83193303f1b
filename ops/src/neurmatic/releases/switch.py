"""How the switch of the maintenance stands, for whoever only asks; `maintenance.py` turns it."""

from neurmatic.hosts.base import Host
from neurmatic.probes.http import request
from neurmatic.render.maintenance import OPEN, Closed, closed_in, mark
from neurmatic.stack.layout import Layout


def closed(host: Host, layout: Layout) -> Closed | None:
    """How the edge is closed; None when it is open. Asks nobody: what the switch says."""
    return closed_in(host.read(layout.switch) or OPEN)


def loaded(host: Host, layout: Layout, control: str) -> bool:
    """Whether nginx, asked where it answers about itself, has loaded the switch that lies there."""
    said = request(f"{control}/maintenance", timeout=2).body.decode(errors="replace")
    return said == mark(host.read(layout.switch) or OPEN)
