"""The programs that the native runtime stands on, found on the host."""

from pathlib import Path

from neurmatic.errors import ConfigurationError
from neurmatic.hosts.base import Host
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack

OLDEST_POSTGRES = 15
_POSTGRES_HOMES = Path("/usr/lib/postgresql")  # Debian's and Ubuntu's place, by major version
_PACKAGES = {
    "nginx": "nginx",
    "redis-server": "redis-server",
    "redis-cli": "redis-tools",
    "runsvdir": "runit",
    "python3": "python3",
    "lego": "lego",
    "snooze": "snooze",
    "pgbackrest": "pgbackrest",
    "age": "age",
    "zstd": "zstd",
}
HELPERS = ("runsvdir", "lego", "snooze", "pgbackrest", "age", "zstd")
"""Programs that are no instance's own."""
_MODULES = Path("/usr/lib/nginx/modules")  # Debian's and Ubuntu's place
_NEEDED = ("ndk_http_module.so", "ngx_http_lua_module.so")
_WELCOME = ("ngx_http_brotli_filter_module.so",)


def find_programs(host: Host, stack: Stack, layout: Layout) -> dict[str, str]:
    """Full paths of the programs that this stack needs, by name.

    Raises:
        ConfigurationError: some are missing; the message names all of them and the packages to install.
    """
    wanted = ["nginx", "runsvdir", "python3", *(["redis-server"] if stack.redis else [])]
    return _found(host, stack, layout, wanted)


def find_helpers(host: Host, stack: Stack, layout: Layout) -> dict[str, str]:
    """The same for a stack that runs as containers: what the tool itself works with, on the host.

    Raises:
        ConfigurationError: as above.
    """
    return _found(host, stack, layout, ["runsvdir", *(["redis-cli"] if stack.redis else [])])


def _found(host: Host, stack: Stack, layout: Layout, wanted: list[str]) -> dict[str, str]:
    wanted += [*(["snooze"] if stack.timers() else []), *(["lego"] if stack.tls.certificates == "acme" else [])]
    wanted += ["pgbackrest", "age", "zstd"] if stack.backup else []
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


def find_modules(host: Host) -> tuple[str, ...]:
    """Full paths of the modules that nginx loads, in their order.

    Raises:
        ConfigurationError: one that is needed is missing.
    """
    if missing := [name for name in _NEEDED if not host.exists(_MODULES / name)]:
        raise ConfigurationError(
            f"nginx's modules are not installed: {', '.join(missing)}",
            "as root: apt-get install --no-install-recommends libnginx-mod-http-lua",
        )
    return tuple(str(_MODULES / name) for name in (*_NEEDED, *_WELCOME) if host.exists(_MODULES / name))


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
