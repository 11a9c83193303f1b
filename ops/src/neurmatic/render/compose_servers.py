"""The services of compose.yaml that aren't the application's: PostgreSQL, Redis, and the edge."""

from neurmatic.render.compose_parts import APPLICATION, CONFIG, SERVERS, Node, common, health, image, mounted, published
from neurmatic.render.file import Files
from neurmatic.render.inside import POSTGRES_DATA, REDIS_DATA, SITE, Inside
from neurmatic.stack.postgres import Postgres
from neurmatic.stack.redis import Redis

CERTIFICATE = "edge.pem"
"""The secret with the edge's key, certificate and chain."""


def postgres(among: Inside, settings: Postgres, config: Files) -> Node:
    ready = ["pg_isready", "--quiet", "--host", "127.0.0.1", "--port", str(settings.port)]
    files = mounted(config, "postgresql")
    return {
        "image": f"${{POSTGRES_IMAGE:-{among.containers.postgres_image}}}",
        "entrypoint": ["sh", f"{CONFIG}/postgresql/start.sh"],
        "command": [],
        **common(among, "postgres", "postgres", SERVERS),
        "stop_signal": "SIGINT",
        "stop_grace_period": "60s",
        "shm_size": "256m",
        **files,
        "volumes": [f"postgres:{POSTGRES_DATA}", *files["volumes"]],
        "secrets": ["POSTGRES_SUPERUSER_PASSWORD", "POSTGRES_PASSWORD"],
        "healthcheck": health(["CMD", *ready, "--username", settings.user, "--dbname", settings.database], 120),
    }


def redis(among: Inside, settings: Redis, config: Files) -> Node:
    ask = f'REDISCLI_AUTH="$(cat /run/secrets/REDIS_PASSWORD)" redis-cli -p {settings.port} ping | grep -q PONG'
    files = mounted(config, "redis")
    return {
        "image": f"${{REDIS_IMAGE:-{among.containers.redis_image}}}",
        "entrypoint": ["sh", f"{CONFIG}/redis/start.sh"],
        "command": [],
        **common(among, "redis", "redis", SERVERS),
        "stop_grace_period": "60s",
        **files,
        "volumes": [f"redis:{REDIS_DATA}", *files["volumes"]],
        "secrets": ["REDIS_PASSWORD"],
        "healthcheck": health(["CMD-SHELL", ask], 120),
    }


def edge(among: Inside, config: Files) -> Node:
    stack = among.stack
    ports = [stack.edge.https_port, stack.edge.http_port, *(one.port for one in among.reload.values() if one.port)]
    files = mounted(config, "nginx", "guard", "upstreams", "edge")
    parts = common(among, "edge", "edge", APPLICATION)
    waits_for = [
        one.name
        for one in stack.instances()
        if one.service in stack.routed() and not (one.service == SITE and SITE in among.reload)
    ]
    return {
        **image(among, "edge"),
        "command": ["sh", f"{CONFIG}/edge/start.sh"],
        **parts,
        "networks": {**parts["networks"], "outside": {}},
        "ports": published(among, ports),
        "stop_signal": "SIGQUIT",
        "stop_grace_period": "35s",
        **files,
        "volumes": [
            "edge:/neurmatic/run",
            *files["volumes"],
            "./config/edge/stapling.conf:/neurmatic/tls/stapling.conf:ro",
            "./config/maintenance:/neurmatic/maintenance:ro",
        ],
        "secrets": [{"source": CERTIFICATE, "target": f"/neurmatic/tls/{CERTIFICATE}"}],
        "depends_on": {name: {"condition": "service_healthy"} for name in waits_for},
        "healthcheck": health(
            ["CMD", "bash", "/usr/local/bin/health", str(stack.edge.control_port), "/generation"], 30
        ),
    }
