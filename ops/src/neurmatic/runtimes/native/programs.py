"""The programs that the native runtime stands on, found on the host."""

from pathlib import Path

from neurmatic.errors import ConfigurationError
from neurmatic.hosts.base import Host
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack

OLDEST_POSTGRES = 15
_POSTGRES_HOMES = Path("/usr/lib/postgresql")  # Debian's and Ubuntu's place, by major version
_PACKAGES = {"nginx": "nginx", "redis-server": "redis-server", "runsvdir": "runit", "openssl": "openssl"}


def find_programs(host: Host, stack: Stack, layout: Layout) -> dict[str, str]:
    """Full paths of nginx, postgres, redis-server and runsvdir, as far as the stack needs them.

    Raises:
        ConfigurationError: some are missing; the message names all of them and the packages to install.
    """
    wanted = ["nginx", "runsvdir", *(["redis-server"] if stack.redis else [])]
    found = {name: host.which(name) for name in wanted}
    if stack.postgres:
        found["postgres"] = _postgres(host, layout)
    missing = [name for name, path in found.items() if path is None]
    if missing:
        packages = " ".join(_PACKAGES.get(name, "postgresql") for name in missing)
        raise ConfigurationError(
            f"not installed: {', '.join(missing)}", f"as root: apt-get install --no-install-recommends {packages}"
        )
    return {name: path for name, path in found.items() if path}


def _postgres(host: Host, layout: Layout) -> str | None:
    """The server that fits the data folder; for a new one, the newest. None when there is none."""
    versions = sorted((int(name) for name in host.names(_POSTGRES_HOMES) if name.isdigit()), reverse=True)
    usable = [
        v for v in versions if v >= OLDEST_POSTGRES and host.exists(_POSTGRES_HOMES / str(v) / "bin" / "postgres")
    ]
    made_with = (host.read(layout.data / "postgres" / "PG_VERSION") or "").strip()
    if made_with and int(made_with) not in usable:
        raise ConfigurationError(
            f"the data in {layout.data}/postgres was made by PostgreSQL {made_with}, which is not installed",
            f"as root: apt-get install postgresql-{made_with}; the data is left as it is",
        )
    if made_with:
        return str(_POSTGRES_HOMES / made_with / "bin" / "postgres")
    return str(_POSTGRES_HOMES / str(usable[0]) / "bin" / "postgres") if usable else host.which("postgres")


def program_version(host: Host, path: str) -> str:
    """The version that a program says it is, such as 15.18."""
    flag = "-v" if Path(path).name in ("nginx", "redis-server") else "--version"
    said = host.run([path, flag], check=False)
    words = (said.out + said.err).replace("v=", " ").replace("/", " ").split()
    return next((word for word in words if word[:1].isdigit()), "")
