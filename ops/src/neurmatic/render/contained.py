"""Everything that the runtime of containers uses, rendered from the stack: a compose file an instance, and its configuration.

The state folder's parts are mounted where they are on the host, so that a path means the same to the tool and in a container.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import yaml

from neurmatic.render.backup import local_folder
from neurmatic.render.compose import instance, once, site
from neurmatic.render.compose_parts import Node, common, health, mount, published
from neurmatic.render.containers import MODULES, script
from neurmatic.render.environment import SecretValues
from neurmatic.render.file import File, Files
from neurmatic.render.guard import render_guard
from neurmatic.render.inside import EVERYBODY, SITE, Inside
from neurmatic.render.nginx import render_nginx
from neurmatic.render.postgres import CONFIG as POSTGRES
from neurmatic.render.postgres import render_postgres
from neurmatic.render.redis import CONFIG as REDIS
from neurmatic.render.redis import render_redis
from neurmatic.render.stack import Context, render_timer
from neurmatic.stack.instance import Instance
from neurmatic.stack.layout import COMPOSE, Layout
from neurmatic.stack.model import Stack

START = "config/edge/start.sh"


class Contained(NamedTuple):
    """What rendering for containers needs beside the stack.

    Attributes:
        context: as natively.
        project: what the names of its containers begin with.
        account: user and group that every container runs as, in numbers.
        images: the image of each service, by what the engine calls it itself: a digest, which never means another one.
    """

    context: Context
    project: str
    account: str
    images: Mapping[str, str]


def render_contained(among: Inside, given: Contained) -> dict[str, Files]:
    """Files of each instance, by the instance's name."""
    stack = among.stack
    return {one.name: _render_instance(among, one, given) for one in stack.instances()}


def render_once(among: Inside, given: Contained, command: tuple[str, ...], timeout: float) -> Files:
    """Files, by their path in a folder of their own, of a container that runs a command of the release and ends."""
    node = once(among, command)
    return _document(
        "once", node | {"stop_grace_period": f"{timeout:g}s"}, among, given, of=among.stack.release_service
    )


def _render_instance(among: Inside, one: Instance, given: Contained) -> Files:
    stack, layout, context = among.stack, given.context.layout, given.context
    if one.kind == "timer":
        return render_timer(stack, one, context)
    folder = layout.service(one.name).relative_to(layout.state)
    if one.kind == "guard":
        return render_guard(stack, among.places)
    if one.kind == "service":
        node = site(among, one) if one.service == SITE else instance(among, one)
        files, config = _document(one.name, node, among, given, of=one.service), Files()
    elif one.kind == "edge":
        heard = stack.replace(edge=stack.edge.replace(listen=EVERYBODY))
        files = _document(one.name, _edge(among, given), among, given, of="edge")
        kept, before = (tuple(among.containers.site_kept) if SITE in stack.services else ()), context.before
        config = render_nginx(heard, layout, context.release, MODULES, among.places, before=before, kept=kept)
        config |= {START: _start(given)}
    elif one.kind == "postgres" and stack.postgres:
        files = _document(one.name, _postgres(among, given), among, given, of="postgres")
        config = render_postgres(stack.postgres, stack.backup, layout, among.places)
    elif stack.redis:
        files = _document(one.name, _redis(among, given), among, given, of="redis")
        config = render_redis(stack.redis, context.secrets["REDIS_PASSWORD"], layout, among.places)
    return {f"{folder}/{path}": file for path, file in files.items()} | config


def _document(name: str, node: Node, among: Inside, given: Contained, *, of: str) -> Files:
    """One instance's compose file, and the secrets that it gets as files, for its own account's eyes alone."""
    for unwanted in ("depends_on", "build"):
        node.pop(unwanted, None)
    secrets = node.get("secrets", [])
    node |= {
        "image": given.images[of],
        "pull_policy": "never",
        "container_name": f"{given.project}-{name}",
        "user": given.account,
    }
    if "environment" in node:
        node["environment"] |= {"NEURMATIC_RELEASE": given.context.release}
    subnet = [{"subnet": among.containers.subnet}]
    networks: Node = {"inside": {"internal": True, "ipam": {"config": subnet}}, "outside": {}}
    document = {
        "name": given.project,
        "services": {name: node},
        "networks": {key: networks[key] for key in node["networks"]},
        "secrets": {secret: {"file": f"./secrets/{secret}"} for secret in secrets},
    }
    head = "# Written by neurmatic; change neurmatic.toml instead.\n"
    values: SecretValues = given.context.secrets
    return {
        COMPOSE: File(head + yaml.safe_dump(document, sort_keys=False, width=120)),
        **{
            f"secrets/{secret}": File(values[secret].reveal(), mode=0o600, secret=True, service_owned=True)
            for secret in secrets
        },
    }


def _edge(among: Inside, given: Contained) -> Node:
    edge, layout = among.stack.edge, given.context.layout
    parts = common(among, "edge", "edge", given.account)
    return {
        **parts,
        "command": ["sh", f"{layout.state}/{START}"],
        "networks": {**parts["networks"], "outside": {}},
        "ports": published(among, (edge.https_port, edge.http_port)),
        "stop_signal": "SIGQUIT",
        "stop_grace_period": "35s",
        "volumes": [
            mount(layout.run, writable=True),
            *(mount(layout.config / name) for name in ("nginx", "guard", "edge")),
            *map(mount, (layout.tls, layout.maintenance, layout.challenges, layout.releases)),
        ],
        "healthcheck": health(["CMD", "bash", "/usr/local/bin/health", str(edge.control_port), "/generation"], 30),
    }


def edge_folders(layout: Layout) -> list[Path]:
    """What the edge's container mounts, to be made before: the engine would make it, as root's."""
    return [layout.run, layout.tls, layout.maintenance, layout.challenges, layout.releases]


def _postgres(among: Inside, given: Contained) -> Node:
    settings, layout = among.stack.postgres, given.context.layout
    assert settings is not None  # noqa: S101  whoever calls has looked
    ready = ["pg_isready", "--quiet", "--host", "127.0.0.1", "--port", str(settings.port)]
    parts = common(among, "postgres", "postgres", given.account)
    node: Node = {
        **parts,
        # What archives leaves children behind when it ends. They would be PostgreSQL's own, which takes the end of a child
        # that it doesn't know for a crash, and restarts everybody's session.
        "init": True,
        "entrypoint": ["postgres"],
        "command": ["-D", str(layout.postgres), "-c", f"config_file={layout.state}/{POSTGRES}"],
        "stop_signal": "SIGINT",
        "stop_grace_period": "60s",
        "shm_size": "256m",
        "volumes": [
            mount(layout.postgres, writable=True),
            mount(layout.config / "postgresql"),
            *_archive(among.stack, given),
        ],
        "healthcheck": health(["CMD", *ready, "--username", settings.user, "--dbname", settings.database], 120),
    }
    if among.stack.backup and among.stack.backup.s3:  # the archive goes to a bucket, and no other network leads out
        node["networks"] = {**parts["networks"], "outside": {}}
    return node


def archive_folders(stack: Stack, layout: Layout) -> list[Path]:
    """What the server's container writes to when it archives."""
    if not stack.backup:
        return []
    return [
        layout.run / "pgbackrest",
        layout.run / "archive",
        layout.logs / "backup",
        local_folder(stack.backup, layout),
    ]


def _archive(stack: Stack, given: Contained) -> list[str]:
    if not stack.backup:
        return []
    layout = given.context.layout
    read = [layout.backup_config.parent]
    if stack.backup.s3 and stack.backup.s3.ca:
        read.append((layout.project / stack.backup.s3.ca).resolve())
    written = archive_folders(stack, layout)
    return [*(mount(path, writable=True) for path in written), *map(mount, read)]


def _redis(among: Inside, given: Contained) -> Node:
    settings, layout = among.stack.redis, given.context.layout
    assert settings is not None  # noqa: S101  whoever calls has looked
    # Whether it answers, with or without the password: that is nobody's to read in the engine's answers.
    ask = f"redis-cli -p {settings.port} ping | grep -q 'PONG\\|NOAUTH'"
    return {
        **common(among, "redis", "redis", given.account),
        "entrypoint": ["redis-server"],
        "command": [f"{layout.state}/{REDIS}"],
        "stop_grace_period": "60s",
        "volumes": [mount(layout.data / "redis", writable=True), mount(layout.config / "redis")],
        "healthcheck": health(["CMD-SHELL", ask], 120),
    }


def _start(given: Contained) -> File:
    layout = given.context.layout
    return script("edge.sh", run=layout.run, config=layout.config, state=layout.state, lists=False)
