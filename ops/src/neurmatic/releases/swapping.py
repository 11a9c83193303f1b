"""A restore that was killed while it exchanged PostgreSQL's folders: the next command settles it."""

from neurmatic.hosts.base import Host
from neurmatic.stack.layout import Layout


def settle_swap(host: Host, layout: Layout) -> str:
    """Put the folder before back where no other has taken its place; what was done, empty for nothing."""
    name = (host.read(layout.swapping) or "").strip()
    if not name:
        return ""
    before = layout.data / name
    back = not host.exists(layout.postgres) and host.exists(before)
    if back:
        host.rename(before, layout.postgres)
    host.remove(layout.swapping)
    return f"a restore was cut off: {name} is the database's folder again" if back else ""
