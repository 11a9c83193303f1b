"""compose.yaml: every instance of the stack as a container, started after what it needs."""

from collections.abc import Iterable

import yaml

from neurmatic.render.compose_parts import APPLICATION, Node, common, health, image, literal
from neurmatic.render.compose_servers import CERTIFICATE, edge, postgres, redis
from neurmatic.render.environment import environment
from neurmatic.render.file import Files
from neurmatic.render.inside import SITE, Inside
from neurmatic.render.stack import arguments
from neurmatic.stack.containers import Reload
from neurmatic.stack.instance import Instance
from neurmatic.stack.model import Stack
from neurmatic.stack.secret import Secret

HEAD = """\
# Written by `neurmatic render --runtime containers`; change neurmatic.toml instead.
# Before the first start, as root: ./make-secrets
# Then: docker compose up --detach
# The variable VERSION chooses the release, REGISTRY where its images come from.
"""


def compose(among: Inside, config: Files) -> str:
    """The text of compose.yaml; `config` are the files beside it."""
    document = {
        "name": f"{among.stack.name}-{among.stack.environment}",
        "services": _services(among, config),
        "networks": {
            # Nothing leads out of it or into it; the edge alone is in the other one, too.
            "inside": {"internal": True, "ipam": {"config": [{"subnet": among.containers.subnet}]}},
            "outside": {},
        },
        "volumes": {name: {} for name in (*_servers(among.stack), "edge")},
        "secrets": {name: {"file": f"./secrets/{name}"} for name in (*secret_files(among.stack), CERTIFICATE)},
    }
    return HEAD + yaml.safe_dump(document, sort_keys=False, width=120)


def secret_files(stack: Stack) -> tuple[str, ...]:
    """Names of the secrets that containers get as files."""
    superuser = ("POSTGRES_SUPERUSER_PASSWORD",) if stack.postgres else ()
    return (*superuser, *_application_secrets(stack))


def _application_secrets(stack: Stack) -> tuple[str, ...]:
    return (
        *(("POSTGRES_PASSWORD",) if stack.postgres else ()),
        *(("REDIS_PASSWORD",) if stack.redis else ()),
        *stack.secrets.generate,
        *stack.secrets.require,
    )


def _servers(stack: Stack) -> tuple[str, ...]:
    return tuple(name for name in ("postgres", "redis") if getattr(stack, name))


def _services(among: Inside, config: Files) -> Node:
    stack = among.stack
    services: Node = {}
    if stack.postgres:
        services["postgres"] = postgres(among, stack.postgres, config)
    if stack.redis:
        services["redis"] = redis(among, stack.redis, config)
    services |= {verb: _verb(among, verb) for verb in _verbs(stack)}
    for one in stack.instances():
        if one.kind == "service":
            services[one.name] = site(among, one) if one.service == SITE else instance(among, one)
    return services | {"edge": edge(among, config)}


def instance(among: Inside, one: Instance) -> Node:
    """A service's instance, started after what it needs."""
    service = among.stack.services[one.service]
    reload = among.reload.get(one.service)
    command = (reload.command if reload else None) or service.command
    node = {
        **_application(among, one),
        "command": [literal(word) for word in arguments(command, one, among.places)],
        **common(among, one.service, one.name, APPLICATION),
        "stop_grace_period": f"{service.stop_timeout:g}s",
        "depends_on": _needed(among.stack, service.needs, _verbs(among.stack)[-1:]),
        "healthcheck": health(None, service.start_timeout),
    }
    if reload:
        node |= _sources(node, reload)
    return node


def once(among: Inside, command: tuple[str, ...], place: str = "migrate") -> Node:
    """A command of the release, in the environment of its service's first instance, that runs and ends.

    Args:
        among: the stack.
        command: what it runs.
        place: whose address it gets.
    """
    stack = among.stack
    first = next(one for one in stack.instances() if one.service == stack.release_service)
    node = _application(among, first)
    node["environment"].pop("PORT", None)  # that port is the instance's
    return node | {
        "command": [literal(word) for word in command],
        **common(among, first.service, place, APPLICATION),
        "restart": "no",
        "healthcheck": {"disable": True},
    }


def _verb(among: Inside, verb: str) -> Node:
    """What the release does before its first request: after what it needs, and after the verb before."""
    stack, verbs = among.stack, _verbs(among.stack)
    service = stack.release_service
    node = once(among, getattr(stack.release, verb), verb)
    node["depends_on"] = _needed(stack, stack.services[service].needs, verbs[: verbs.index(verb)])
    return node | (_sources(node, reload) if (reload := among.reload.get(service)) else {})


def site(among: Inside, one: Instance) -> Node:
    """The container that serves the site's files."""
    reload = among.reload.get(SITE)
    node = {
        **image(among, SITE),
        **common(among, SITE, one.name, APPLICATION),
        "healthcheck": health(None, 30),
    }
    if reload:
        # Its port is published by the edge, and the edge's own address is localhost to it.
        node |= _sources(node, reload) | {"network_mode": "service:edge"}
        node["environment"] = {"PORT": str(one.port), "FRONTEND_URL": literal(among.stack.url)}
        del node["networks"]
    return node


def _application(among: Inside, one: Instance) -> Node:
    """Image, variables and secrets; what a secret is part of names it in braces, and the image's entry point fills it in."""
    names = _application_secrets(among.stack)
    secrets = {name: Secret(f"{{{name}}}") for name in names}
    values = environment(among.stack, one, "", secrets, among.places)
    for name in ("PATH", "LANG", *names):  # the image's own, and what comes as a file
        values.pop(name, None)
    shown = {name: literal(value) for name, value in values.items()}
    shown["NEURMATIC_RELEASE"] = f"${{VERSION:-{among.stack.release.version}}}"
    return {**image(among, one.service), "environment": shown, "secrets": list(names)}


def _sources(node: Node, reload: Reload) -> Node:
    mounts = [f"../../{source}:{target}:ro" for source, target in reload.mounts.items()]
    own = [f"{folder}:size=256m,mode=1777" for folder in reload.writable]
    return {"volumes": mounts, "tmpfs": [*node["tmpfs"], *own]}


def _needed(stack: Stack, needs: Iterable[str], verbs: Iterable[str]) -> Node:
    healthy = [one.name for one in stack.instances() if one.service in needs]
    return {
        **{name: {"condition": "service_healthy"} for name in healthy},
        **{verb: {"condition": "service_completed_successfully"} for verb in verbs},
    }


def _verbs(stack: Stack) -> tuple[str, ...]:
    return tuple(verb for verb in ("migrate", "seed") if getattr(stack.release, verb))
