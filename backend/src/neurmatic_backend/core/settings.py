"""Settings from the environment, checked at start: every problem at once, none of the values in any message."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

SHORTEST_SECRET = 64
PLACEHOLDERS = ("change", "placeholder", "example", "secret", "password", "todo")
FEWEST_CHARACTERS = 16  # a random text of 64 characters has more different ones


class SettingsError(Exception):
    """The environment is not usable; `problems` lists every reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def _variable(description: str, *, default: Any = None, secret: bool = False, required: bool = False) -> Any:
    metadata = {"description": description, "secret": secret, "required": required}
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """The variables of docs/reference/application-contract.md; a field's name in capitals is the variable's."""

    database_url: str = _variable("PostgreSQL: postgresql://USER:PASSWORD@HOST:PORT/NAME.", required=True, secret=True)
    redis_url: str = _variable("Redis: redis://:PASSWORD@HOST:PORT/0.", required=True, secret=True)
    jwt_secret: str = _variable("Signs access tokens.", default="", secret=True)
    jwt_refresh_secret: str = _variable("Signs refresh tokens.", default="", secret=True)
    port: int = _variable("Port to listen on.", default=8000)
    listen_address: str = _variable("Address to listen on; 0.0.0.0 in a container.", default="127.0.0.1")
    host: str = _variable("The public host name.", default="localhost")
    api_url: str = _variable("Public base URL of the API.", default="http://localhost:8000")
    frontend_url: str = _variable("Public base URL of the site.", default="http://localhost:8000")
    database_pool_size: int = _variable("Connections this process may hold.", default=5)
    neurmatic_environment: str = _variable("development, staging or production.", default="development")
    neurmatic_release: str = _variable("The release this process belongs to.", default="development")
    neurmatic_instance: str = _variable("This instance's name.", default="api-1")
    edge_purge_url: str = _variable("Takes the paths of answers that the edge shall keep no longer.", default="")
    neurmatic_drain_seconds: float = _variable("Seconds to go on serving, not ready, after SIGTERM.", default=2.0)

    @property
    def is_production(self) -> bool:
        return self.neurmatic_environment == "production"


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings.

    Raises:
        SettingsError: with every problem, named by its variable.
    """
    source = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    problems: list[str] = []
    for one in fields(Settings):
        name = one.name.upper()
        text = source.get(name, "").strip()
        if not text:
            if one.metadata["required"]:
                problems.append(f"{name} is missing: {one.metadata['description']}")
            continue
        try:
            values[one.name] = type(one.default)(text) if isinstance(one.default, int | float) else text
        except ValueError:
            problems.append(f"{name} must be a number")
    if problems:
        raise SettingsError(problems)
    settings = Settings(**values)
    problems = [*_shape_problems(settings), *_secret_problems(settings)]
    if problems:
        raise SettingsError(problems)
    return settings


def _shape_problems(settings: Settings) -> list[str]:
    problems = []
    if not settings.database_url.startswith(("postgresql://", "postgres://")):
        problems.append("DATABASE_URL must begin with postgresql://")
    if not settings.redis_url.startswith(("redis://", "rediss://")):
        problems.append("REDIS_URL must begin with redis://")
    if settings.edge_purge_url and not settings.edge_purge_url.startswith("http://"):
        problems.append("EDGE_PURGE_URL must begin with http://")
    if settings.neurmatic_environment not in ("development", "staging", "production"):
        problems.append("NEURMATIC_ENVIRONMENT must be development, staging or production")
    if settings.database_pool_size < 1:
        problems.append("DATABASE_POOL_SIZE must be 1 or more")
    return problems


def _secret_problems(settings: Settings) -> list[str]:
    if not settings.is_production:
        return []
    problems = []
    for name in ("jwt_secret", "jwt_refresh_secret"):
        value = getattr(settings, name)
        if len(value) < SHORTEST_SECRET:
            problems.append(f"{name.upper()} has {len(value)} characters; production needs {SHORTEST_SECRET} or more")
        elif len(set(value)) < FEWEST_CHARACTERS or any(value.lower().startswith(word) for word in PLACEHOLDERS):
            problems.append(f"{name.upper()} is a placeholder; production needs a random one")
    if settings.jwt_secret and settings.jwt_secret == settings.jwt_refresh_secret:
        problems.append("JWT_REFRESH_SECRET must differ from JWT_SECRET")
    weak = [
        n for n in ("database_url", "redis_url") if any(f":{w}" in getattr(settings, n).lower() for w in PLACEHOLDERS)
    ]
    return problems + [f"{name.upper()} has a placeholder as its password" for name in weak]
