"""The values of the stack's secrets, as they stand in the state folder."""

from neurmatic.hosts.base import Host
from neurmatic.stack.layout import Layout
from neurmatic.stack.secret import Secret


def read_secrets(host: Host, layout: Layout) -> dict[str, Secret]:
    """The secrets that exist, by name."""
    lines = (host.read(layout.secrets) or "").splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): Secret(value.strip()) for name, _, value in pairs}


def redis_password(host: Host, layout: Layout) -> str:
    """What Redis's clients say; empty where the stack has none."""
    return read_secrets(host, layout).get("REDIS_PASSWORD", Secret("")).reveal()
