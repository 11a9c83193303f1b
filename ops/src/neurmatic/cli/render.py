"""Write every file that the runtime would use into a folder, to read or to compare. Starts and changes nothing else.

Secrets that exist are not written: their places say so. With --runtime containers: what `docker compose` needs.
"""

import argparse
import json
from pathlib import Path

from neurmatic.cli.context import HOST
from neurmatic.cli.loaded import load_stack, prepare_up
from neurmatic.errors import ConfigurationError
from neurmatic.render.containers import render_containers
from neurmatic.render.file import Files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="an empty or new folder")
    parser.add_argument("--runtime", choices=("native", "containers"), default="native", help="default: native")
    parser.add_argument("--json", action="store_true", help="print the files' names as JSON")


def run(args: argparse.Namespace) -> int:
    folder = args.folder.resolve()
    if HOST.names(folder):
        raise ConfigurationError(f"{args.folder} is not empty", "name a new or an empty folder")
    files = _native(args) if args.runtime == "native" else _containers(args)
    for path, file in files.items():
        HOST.make_folder((folder / path).parent)
        HOST.write(folder / path, file.text, mode=file.mode)
    print(json.dumps(sorted(files), indent=2) if args.json else "\n".join(sorted(files)))
    return 0


def _native(args: argparse.Namespace) -> Files:
    return {path: file for of in prepare_up(args, place=False).preview_files().values() for path, file in of.items()}


def _containers(args: argparse.Namespace) -> Files:
    stack = load_stack(args).stack
    if stack.containers is None:
        raise ConfigurationError("there is no [containers] in the stack file", "`neurmatic reference` describes it")
    return render_containers(stack, stack.containers)
