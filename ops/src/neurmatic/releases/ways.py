"""Which way a state folder's stack runs."""

from neurmatic.releases.contained import ContainerWay
from neurmatic.releases.native import NativeWay
from neurmatic.releases.way import Started, Way


def way_of(started: Started) -> Way:
    """Processes of this machine, or containers."""
    return ContainerWay(started) if started.layout.contained else NativeWay(started)
