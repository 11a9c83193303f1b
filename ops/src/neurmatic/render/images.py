"""Dockerfiles for somebody else's project: of the application, the edge and PostgreSQL, and what they copy in."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from neurmatic.render.file import File, Files
from neurmatic.render.filled import filled, template

IMAGES = "images"
"""Their templates' folder."""
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
    values = {"name": made.name, "image": made.image, "files": made.files, "build": build, "health": made.health}
    app = filled(IMAGES, "app.Dockerfile", folder=FOLDER, **values)
    return {
        "Dockerfile": File(app),
        ".dockerignore": File("".join(f"{name}\n" for name in IGNORED)),
        f"{FOLDER}/entrypoint.sh": File(template(IMAGES, "entrypoint.sh"), mode=0o755),
        **render_servers(FOLDER),
    }


def render_servers(folder: str) -> Files:
    """The images that the product itself brings, by their path, for a project that has them in this folder."""
    return {
        f"{folder}/health": File(template(IMAGES, "health"), mode=0o755),
        f"{folder}/edge/Dockerfile": File(filled(IMAGES, "edge.Dockerfile", folder=folder)),
        f"{folder}/postgres/Dockerfile": File(filled(IMAGES, "postgres.Dockerfile", folder=folder)),
    }
