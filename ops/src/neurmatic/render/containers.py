"""The files for `docker compose`: the same configuration as natively, for a network of containers, and who starts what."""

from neurmatic.errors import ConfigurationError
from neurmatic.guard.peers import upstream_lists
from neurmatic.render.compose import compose
from neurmatic.render.compose_parts import GROUP
from neurmatic.render.file import File, Files
from neurmatic.render.filled import filled
from neurmatic.render.guard import guard_settings, render_guard
from neurmatic.render.inside import LAYOUT, POSTGRES_DATA, Inside, inside
from neurmatic.render.maintenance import OPEN
from neurmatic.render.nginx import render_nginx
from neurmatic.render.postgres import ROLE_AND_DATABASE, render_postgres
from neurmatic.render.redis import render_redis
from neurmatic.stack.containers import Containers
from neurmatic.stack.model import Stack

_MODULES = ("ndk_http_module", "ngx_http_lua_module", "ngx_http_brotli_filter_module")
MODULES = tuple(f"/usr/lib/nginx/modules/{name}.so" for name in _MODULES)  # where the edge's image has them


def render_containers(stack: Stack, containers: Containers) -> Files:
    """Files by their path in the folder that `docker compose` is called in; none of them holds a secret.

    Raises:
        ConfigurationError: the host doesn't have what the instances may use together.
    """
    if excess := list(containers.excess(stack.parts(), stack.postgres, stack.redis)):
        raise ConfigurationError("; ".join(excess), "fewer instances, lower [containers.limits], or a larger host")
    among = inside(stack, containers)
    config = _edge(among) | _servers(among)
    return {
        **config,
        **_secrets(among.stack),
        "compose.yaml": File(compose(among, config)),
        ".gitignore": File("secrets/\n.env\n"),
    }


def _edge(among: Inside) -> Files:
    stack, places = among.stack, among.places
    lists = upstream_lists(guard_settings(stack, places), {})
    return {
        **render_nginx(stack, LAYOUT, stack.release.version, MODULES, places),
        **render_guard(stack, places),
        **{f"config/upstreams/{name}.conf": File(text) for name, text in lists.items()},
        "config/edge/stapling.conf": File("# Nothing is stapled here.\n"),
        "config/maintenance/switch.conf": File(OPEN),
        "config/edge/start.sh": script("edge.sh", run=LAYOUT.run, config=LAYOUT.config, state=LAYOUT.state, lists=True),
    }


def _servers(among: Inside) -> Files:
    found: Files = {}
    if postgres := among.stack.postgres:
        folder = LAYOUT.config / "postgresql"
        found |= render_postgres(postgres, None, LAYOUT, among.places)
        found["config/postgresql/database.sql"] = File(ROLE_AND_DATABASE)
        start = script("postgres.sh", data=POSTGRES_DATA, config=folder, postgres=postgres)
        found["config/postgresql/start.sh"] = start
    if redis := among.stack.redis:
        found |= render_redis(redis, None, LAYOUT, among.places)
        found["config/redis/start.sh"] = script("redis.sh", config=LAYOUT.config / "redis")
    return found


def _secrets(stack: Stack) -> Files:
    generated = [*(("POSTGRES_PASSWORD", "POSTGRES_SUPERUSER_PASSWORD") if stack.postgres else ())]
    generated += [*(("REDIS_PASSWORD",) if stack.redis else ()), *stack.secrets.generate]
    required = stack.secrets.require
    text = script("make-secrets", generated=generated, required=required, names=stack.tls_names, group=GROUP)
    return {"make-secrets": text}


def script(name: str, **values: object) -> File:
    """A script from its template."""
    return File(filled("containers", name, **values), mode=0o755)
