"""Write every file that the runtime would use into a folder, to read or to compare. Starts and changes nothing else.

Secrets that exist are not written: their places say so.
"""

import argparse
import json
from pathlib import Path

from neurmatic.cli.context import HOST
from neurmatic.cli.loaded import prepare_up
from neurmatic.errors import ConfigurationError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="an empty or new folder")
    parser.add_argument("--json", action="store_true", help="print the files' names as JSON")


def run(args: argparse.Namespace) -> int:
    folder = args.folder.resolve()
    if HOST.names(folder):
        raise ConfigurationError(f"{args.folder} is not empty", "name a new or an empty folder")
    files = {path: file for of in prepare_up(args, place=False).preview_files().values() for path, file in of.items()}
    for path, file in files.items():
        HOST.make_folder((folder / path).parent)
        HOST.write(folder / path, file.text, mode=file.mode)
    print(json.dumps(sorted(files), indent=2) if args.json else "\n".join(sorted(files)))
    return 0
