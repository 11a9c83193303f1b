"""Only the edge is reachable from outside: a scan of the machine's own addresses finds the edge's ports, or none."""

from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.subject import Subject, View

QUICK = True


def check(subject: Subject, evidence: Evidence) -> None:
    live = subject.live
    addresses = live.host.addresses()
    if not addresses:
        raise Unverifiable("this machine has no address but loopback", "run it on the server itself")
    stack = live.stack
    ports = {port: one.name for one in stack.instances() if (port := one.port)}
    ports |= {stack.edge.http_port: "edge (HTTP)", stack.edge.control_port: "edge (control)"}
    inside = [port for port, name in ports.items() if _listens(live, name, port)]
    evidence.expect(len(inside) == len(ports), f"the stack listens on {len(inside)} of its {len(ports)} ports")
    allowed = {stack.edge.https_port, stack.edge.http_port} if stack.edge.listen not in ("127.0.0.1", "::1") else set()
    for address in addresses:
        found = {port for port in ports if live.host.accepts(address, port)}
        wrong = [f"{port} ({ports[port]})" for port in sorted(found - allowed)]
        evidence.expect(
            not wrong,
            f"{address}: of {len(ports)} ports open: {sorted(found) or 'none'}{', which should not be: ' + ', '.join(wrong) if wrong else ''}",
        )


def _listens(live: View, name: str, port: int) -> bool:
    """On this machine; a container, unless its port is published, in the stack's private network."""
    if live.layout.contained and port not in (live.stack.edge.https_port, live.stack.edge.http_port):
        return live.host.accepts(live.places.of(name.partition(" ")[0]), port)
    return live.host.port_owner(port) is not None
