"""The variables that an instance of a service gets: docs/reference/application-contract.md."""

from collections.abc import Mapping

from neurmatic.render.places import LOOPBACK, Places
from neurmatic.stack.instance import Instance
from neurmatic.stack.layout import SYSTEM_PATH
from neurmatic.stack.model import Stack
from neurmatic.stack.secret import Secret

SecretValues = Mapping[str, Secret]


def environment(
    stack: Stack, instance: Instance, release: str, secrets: SecretValues, places: Places = LOOPBACK
) -> dict[str, str]:
    """Every variable of one instance, secret values included: for its environment folder, never for an argument."""
    service = stack.services[instance.service]
    values = {
        "PATH": SYSTEM_PATH,
        "LANG": "C.UTF-8",
        "HOST": stack.identity.host,
        "API_URL": stack.url,
        "FRONTEND_URL": stack.url,
        "NEURMATIC_ENVIRONMENT": stack.environment,
        "NEURMATIC_RELEASE": release,
        "NEURMATIC_SERVICE": instance.service,
        "NEURMATIC_INSTANCE": instance.name,
        "NEURMATIC_DRAIN_SECONDS": f"{service.drain:g}",
    }
    if instance.port:
        values |= {"PORT": str(instance.port), "LISTEN_ADDRESS": places.listen}
    if stack.edge.cache.paths:
        values["EDGE_PURGE_URL"] = f"http://{places.of('edge')}:{stack.edge.control_port}/purge"
    if stack.postgres:
        password = secrets["POSTGRES_PASSWORD"].reveal()
        address = f"{places.of('postgres')}:{stack.postgres.port}/{stack.postgres.database}"
        values |= {
            "POSTGRES_USER": stack.postgres.user,
            "POSTGRES_PASSWORD": password,
            "DATABASE_URL": f"postgresql://{stack.postgres.user}:{password}@{address}",
            "DATABASE_POOL_SIZE": str(service.pool_size),
        }
    if stack.redis:
        password = secrets["REDIS_PASSWORD"].reveal()
        address = f"{places.of('redis')}:{stack.redis.port}/0"
        values |= {"REDIS_PASSWORD": password, "REDIS_URL": f"redis://:{password}@{address}"}
    named = (*stack.secrets.generate, *stack.secrets.require)
    return values | {name: secrets[name].reveal() for name in named} | dict(service.env)


def secret_names(stack: Stack) -> frozenset[str]:
    """Names of the variables whose values are, or contain, secrets."""
    fixed = ("POSTGRES_PASSWORD", "DATABASE_URL", "REDIS_PASSWORD", "REDIS_URL")
    return frozenset((*fixed, *stack.secrets.generate, *stack.secrets.require))
