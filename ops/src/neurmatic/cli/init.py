r"""Write a commented neurmatic.toml for an HTTP application in this folder. Nothing is started.

The application is any command that listens on $PORT at $LISTEN_ADDRESS, which is 127.0.0.1 but in a container. Ports are chosen so that this stack can run beside
others on the machine. An existing neurmatic.toml is never overwritten.

  neurmatic init --release requirements.txt --build "python3 -m venv venv" --build "venv/bin/pip install -r requirements.txt" \
      --command 'venv/bin/datasette --port $PORT' --health /-/versions.json

With --release, each version of these files is a release in a folder of its own, and `neurmatic rollback` can go back to it.
"""

import argparse
import json
import re
import shlex
from pathlib import Path

from neurmatic.cli.context import FILE, HOST
from neurmatic.errors import ConfigurationError
from neurmatic.render.file import Files
from neurmatic.render.images import Made, render_images
from neurmatic.stack.loading import load
from neurmatic.stack.starter import OFFSETS, Answers, starter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--command", metavar="WORDS", help="the application's command; $PORT is filled in")
    parser.add_argument("--name", help="the stack's name (default: this folder's)")
    parser.add_argument(
        "--health", default="/", metavar="PATH", help="path that answers 200 when the application is ready (default /)"
    )
    parser.add_argument(
        "--release", action="append", default=[], metavar="PATH", help="a file or folder that a release consists of"
    )
    parser.add_argument(
        "--build", action="append", default=[], metavar="WORDS", help="a command run in each new release's folder"
    )
    parser.add_argument("--static", metavar="FOLDER", help="folder of files that nginx serves itself, under /static/")
    parser.add_argument("--worker", metavar="WORDS", help="command of a background worker")
    parser.add_argument("--migrate", metavar="WORDS", help="command that brings the database's schema up to date")
    parser.add_argument(
        "--dockerfile",
        metavar="IMAGE",
        help="write a Dockerfile, too, that stands on this image, such as python:3.11-slim-bookworm; "
        "the command listens at $LISTEN_ADDRESS then",
    )
    parser.add_argument("--json", action="store_true", help="print the file's path and ports as JSON")


def run(args: argparse.Namespace) -> int:
    path = (args.file or Path.cwd() / FILE).resolve()
    if path.exists():
        raise ConfigurationError(f"{path} exists already", "edit it, or move it away first; nothing was written")
    name = args.name or re.sub(r"[^a-z0-9-]+", "-", path.parent.name.lower()).strip("-") or "app"
    name = name if name[0].isalpha() else f"app-{name}"
    base = _free_base()
    answers = Answers(
        name=name[:31],
        command=_words(args.command) or ["python3", "-m", "http.server", "--bind", "127.0.0.1", "$PORT"],
        is_example=args.command is None,
        health=args.health,
        static=args.static,
        worker=_words(args.worker),
        migrate=_words(args.migrate),
        files=args.release,
        build=[_words(words) for words in args.build],
        base=base,
        has_images=args.dockerfile is not None,
    )
    text = starter(answers)
    load(text, FILE)  # what is written is valid, whatever was asked for
    images = _images(path.parent, answers, args.dockerfile) if args.dockerfile else {}
    for name, file in images.items():
        HOST.make_folder((path.parent / name).parent)
        HOST.write(path.parent / name, file.text, mode=file.mode)
    HOST.write(path, text)
    if args.json:
        print(json.dumps({"file": str(path), "url": f"https://localhost:{base + OFFSETS['https']}"}))
        return 0
    print("\n".join(f"wrote {one}" for one in (path, *sorted(images))))
    if answers.is_example:
        print("  its command is an example that serves this folder: put your application's there")
    print("  next: neurmatic up")
    return 0


def _images(project: Path, answers: Answers, image: str) -> Files:
    """What the images are made of.

    Raises:
        ConfigurationError: the project has some of it already, or nothing that an image could hold.
    """
    if not answers.files:
        raise ConfigurationError("--dockerfile: an image holds a release", "name its files with --release")
    if not any("LISTEN_ADDRESS" in word for word in answers.command):
        raise ConfigurationError(
            "--dockerfile: in a container the command must listen at $LISTEN_ADDRESS, as nobody reaches its loopback",
            "such as --command 'venv/bin/gunicorn --bind $LISTEN_ADDRESS:$PORT app:app'; natively that is 127.0.0.1",
        )
    files = render_images(Made(answers.name, image, answers.files, answers.build, answers.health))
    if there := [name for name in files if name != ".dockerignore" and HOST.exists(project / name)]:
        raise ConfigurationError(
            f"{', '.join(there)}: there already", "move it away, or leave --dockerfile out; nothing was written"
        )
    return {name: file for name, file in files.items() if not HOST.exists(project / name)}


def _words(text: str | None) -> list[str]:
    try:
        return shlex.split(text or "")
    except ValueError as error:
        raise ConfigurationError(f"{text!r}: {error}", "quote it as you would in a shell") from None


def _free_base() -> int:
    """The first block of a thousand ports, from 8000, of which this stack's are free."""
    for base in range(8000, 30000, 1000):
        if not any(HOST.port_owner(base + offset) for offset in OFFSETS.values()):
            return base
    raise ConfigurationError("no free block of ports between 8000 and 30000", "write the ports into the file yourself")
