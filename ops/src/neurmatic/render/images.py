"""Dockerfiles for somebody else's project: of the application, the edge and PostgreSQL, and what they copy in."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import jinja2

from neurmatic.render.file import File, Files

FOLDER = "containers"
"""Where in a project they lie."""
IGNORED = (".neurmatic", ".git", "venv", ".venv", "node_modules", "__pycache__")
"""What no image is made of: the state folder holds secrets and databases."""


@dataclass(frozen=True)
class Made:
    """What an application's image is made of.

    Attributes:
        image: the image that it stands on.
        files: files and folders of the project that a release consists of.
        build: commands that make it.
        health: the path that answers when it is ready.
    """

    name: str
    image: str
    files: Sequence[str]
    build: Sequence[Sequence[str]]
    health: str


def render_images(made: Made) -> Files:
    """Files by their path in the project."""
    build = [json.dumps(list(command)) for command in made.build]  # a RUN without a shell
    app = _filled(
        "app.Dockerfile.j2", name=made.name, image=made.image, files=made.files, build=build, health=made.health
    )
    return {
        "Dockerfile": File(app),
        ".dockerignore": File("".join(f"{name}\n" for name in IGNORED)),
        f"{FOLDER}/entrypoint.sh": File(_text("entrypoint.sh"), mode=0o755),
        **render_servers(FOLDER),
    }


def render_servers(folder: str) -> Files:
    """The images that the product itself brings, by their path, for a project that has them in this folder."""
    return {
        f"{folder}/health": File(_text("health"), mode=0o755),
        f"{folder}/edge/Dockerfile": File(_filled("edge.Dockerfile.j2", folder=folder)),
        f"{folder}/postgres/Dockerfile": File(_filled("postgres.Dockerfile.j2", folder=folder)),
    }


def _text(name: str) -> str:
    return (files(__package__) / "templates" / "images" / name).read_text(encoding="utf-8")


def _filled(template: str, **values: object) -> str:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701  it is no HTML
    return environment.from_string(_text(template)).render({"folder": FOLDER, **values})
