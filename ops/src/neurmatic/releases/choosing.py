"""Whether a stack runs as processes or as containers: chosen when it is started, and kept to by every command after."""

from dataclasses import replace

from neurmatic.errors import ConfigurationError
from neurmatic.hosts.base import Host
from neurmatic.runtimes.choice import runtime_of
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack


def choose(host: Host, layout: Layout, stack: Stack, *, contained: bool) -> Layout:
    """Have the state folder's stack run this way from now on. Its data stays: both keep it in the same place.

    Raises:
        ConfigurationError: it runs the other way.
    """
    if contained == layout.contained:
        return layout
    runtime = runtime_of(host, layout)
    if up := [
        name for name, one in runtime.inspect(runtime.present()).items() if one.state not in ("stopped", "absent")
    ]:
        raise ConfigurationError(
            f"the stack runs as {'containers' if layout.contained else 'processes'}: {', '.join(up)}",
            "`neurmatic down` stops it; its data stays",
        )
    if contained and stack.containers is None:
        raise ConfigurationError(
            "there is no [containers] in the stack file", "docs/reference/stack-file.md describes it"
        )
    for folder in (layout.services, layout.supervised):
        host.remove(folder)
    if contained:
        host.write(layout.runtime, f"{stack.name}-{stack.environment}\n")
    else:
        host.remove(layout.runtime)
    return replace(layout, contained=contained)
