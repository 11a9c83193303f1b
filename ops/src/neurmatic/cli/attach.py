"""Show a command that runs, or ran, on another machine after its connection was cut, from its beginning.

Ends with that command's exit code. Ctrl-C is the command's: it stops it, as it would have where it was typed.
Used as `neurmatic -H user@host attach`.
"""

import argparse

from neurmatic.errors import ConfigurationError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="which one (default: the newest that runs, else the newest)"
    )
    parser.add_argument("--json", action="store_true", help="changes nothing: the output is the command's own")


def run(_args: argparse.Namespace) -> int:
    raise ConfigurationError("attach to what, where?", "neurmatic -H user@host attach")
