"""What commands share: which project, which state folder, which host."""

import argparse
import os
from contextlib import suppress
from pathlib import Path

from neurmatic.errors import ConfigurationError
from neurmatic.hosts.local import LocalHost
from neurmatic.releases.project import layout_of, state_folder
from neurmatic.stack.layout import Layout

FILE = "neurmatic.toml"


class Terminal:
    """Shows progress, one line at a time, as it happens. That nobody reads it any more stops nothing: least of all a way back."""

    def say(self, line: str) -> None:
        with suppress(BrokenPipeError):
            print(line, flush=True)


def stack_file(args: argparse.Namespace) -> Path:
    """The stack file: as given, else neurmatic.toml in this folder or the nearest above it.

    Raises:
        ConfigurationError: there is none.
    """
    if args.file:
        path = Path(args.file).resolve()
        if path.is_dir():
            path /= FILE
        if not path.is_file():
            raise ConfigurationError(f"{args.file} does not exist", "name the stack file with --file")
        return path
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / FILE).is_file():
            return folder / FILE
    raise ConfigurationError(
        f"there is no {FILE} in {here} or above it", "`neurmatic init` writes one for your application"
    )


def layout(args: argparse.Namespace) -> Layout:
    """Where this project's state lies; the stack file itself isn't read."""
    project = stack_file(args).parent
    chosen = args.state or os.environ.get("NEURMATIC_STATE")
    return layout_of(HOST, state_folder(project, Path(chosen) if chosen else None), project)


def chosen_state(args: argparse.Namespace) -> Path | None:
    """The state folder that the operator named, if any."""
    chosen = args.state or os.environ.get("NEURMATIC_STATE")
    return Path(chosen).resolve() if chosen else None


HOST = LocalHost()
