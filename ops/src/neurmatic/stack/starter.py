"""The commented stack file that `neurmatic init` writes for somebody's application."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

OFFSETS = {"https": 443, "http": 80, "control": 81, "first": 100, "worker": 120, "postgres": 54, "redis": 63}
"""Where in a block of a thousand ports each part of a stack listens."""


@dataclass(frozen=True)
class Answers:
    """What is known of the application."""

    name: str
    command: list[str]
    is_example: bool
    health: str
    static: str | None
    worker: list[str]
    migrate: list[str]
    files: list[str]
    build: list[list[str]]
    base: int
    has_images: bool = False


def starter(answers: Answers) -> str:
    """The text of neurmatic.toml; what was not answered stands there as a comment."""
    return "\n".join(
        [
            _head(answers),
            _service(answers),
            _worker(answers),
            _static(answers),
            _servers(answers),
            *_containers(answers),
        ]
    )


def _head(answers: Answers) -> str:
    port = {name: answers.base + offset for name, offset in OFFSETS.items()}
    example = '["./manage.py", "migrate"]'
    migrate = f"migrate = {_list(answers.migrate)}" if answers.migrate else f"# migrate = {example}"
    files = f"files = {_list(answers.files)}" if answers.files else '# files = ["app", "requirements.txt"]'
    commands = '[["python3", "-m", "venv", "venv"], ["venv/bin/pip", "install", "-r", "requirements.txt"]]'
    build = f"build = {json.dumps(answers.build)}" if answers.build else f"# build = {commands}"
    return f"""\
# The stack of {answers.name}: what `neurmatic up` runs.
# `neurmatic config` shows the effective result, `neurmatic plan` what `up` would change,
# `neurmatic reference` describes every field.

[stack]
name = {json.dumps(answers.name)}
# The one public host name. Every public URL is made from it.
host = "localhost"

[release]
# Each version of these files is a release: copied to a folder of its own, built there, kept for `neurmatic rollback`.
# Without them the services run in this folder, and there is nothing to go back to.
{files}
{build}
# What makes them in a fresh checkout, where they aren't sources themselves; `neurmatic deploy --git REF` runs it there.
# make = [["npm", "ci"], ["npm", "run", "build"]]
# Run once per release, before its first request, with the environment of the first service below.
{migrate}

# nginx: TLS by a local CA, and the way to the service.
[edge]
https_port = {port["https"]}
http_port = {port["http"]}
control_port = {port["control"]}
# Security headers are on every answer; a page with inline scripts or foreign fonts needs a wider policy than this one:
# headers.content_security_policy = "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'; object-src 'none'"
# Requests of one client: 10 a second and 20 at once on these paths, 5 a minute where passwords are tried.
# limits.paths = ["/api/"]
# limits.credentials.login = {{ paths = ["/login"], per_minute = 5 }}
# Public answers that may be kept for five minutes; requests with a cookie or any other credential pass it by.
# cache.paths = ["/api/articles"]
# websocket.paths = ["/ws/"]

# On a server, with ports 443 and 80: a certificate from an ACME CA (Let's Encrypt), renewed by the stack itself.
# [tls]
# certificates = "acme"
# acme_email = "ops@example.org"
"""


def _service(answers: Answers) -> str:
    first = answers.base + OFFSETS["first"]
    note = "# An example that serves this folder: put your application's command here.\n" if answers.is_example else ""
    return f"""\
# The application: any command that listens on $PORT at 127.0.0.1. It gets DATABASE_URL and REDIS_URL.
[services.app]
{note}command = {_list(answers.command)}
instances = 2
ports = "{first}-{first + 15}"
routes = ["/"]
needs = ["postgres", "redis"]
# The path that answers 200 when an instance may get traffic; it gates the start.
health.ready = {json.dumps(answers.health)}
# Variables of its own; secrets belong under [secrets].
# env.LOG_LEVEL = "info"
"""


def _worker(answers: Answers) -> str:
    if not answers.worker:
        return (
            '# A background worker:\n# [services.worker]\n# command = ["./worker"]\n# needs = ["postgres", "redis"]\n'
        )
    return f'[services.worker]\ncommand = {_list(answers.worker)}\nneeds = ["postgres", "redis"]\n'


def _static(answers: Answers) -> str:
    if not answers.static:
        return '# Files that nginx serves itself; then give the service narrower routes, such as ["/api/"]:\n# [site]\n# root = "public"\n'
    return (
        f'# Files that nginx serves itself, below /static/.\n[edge.static]\n"/static/" = {json.dumps(answers.static)}\n'
    )


def _servers(answers: Answers) -> str:
    return f"""\
# A PostgreSQL cluster of this stack's own, on loopback.
[postgres]
port = {answers.base + OFFSETS["postgres"]}
database = "app"
user = "app"

# Redis, for what can be rebuilt.
[redis]
port = {answers.base + OFFSETS["redis"]}

[secrets]
# Made once and kept in .neurmatic/secrets.env; given to the services as variables.
generate = ["SECRET_KEY"]
# Written there by you; nothing starts while one is missing.
# require = ["SMTP_PASSWORD"]
"""


def _list(words: list[str]) -> str:
    return json.dumps(words)


def _containers(answers: Answers) -> Iterator[str]:
    if not answers.has_images:
        return
    services = ["app", "worker"] if answers.worker else ["app"]
    yield f"""\
# The same stack as containers: `neurmatic up --runtime containers`.
[containers]
# registry = "registry.example.org/{answers.name}"   # images are pulled from there; without it `up` builds them here
# A private network of this stack's own.
subnet = "10.{200 + answers.base // 1000}.0.0/20"

[containers.images.app]
dockerfile = "Dockerfile"
services = {_list(services)}
args = ["BASE_IMAGE"]

[containers.images.edge]
dockerfile = "containers/edge/Dockerfile"
services = ["edge"]
args = ["DEBIAN_IMAGE"]

# With [backup], PostgreSQL's image must have pgBackRest:
# [containers.images.postgres]
# dockerfile = "containers/postgres/Dockerfile"
# services = ["postgres"]
# args = ["POSTGRES_IMAGE"]
"""
