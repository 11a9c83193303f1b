"""Install this tool, in this version, and the Debian packages it stands on, on a server that ssh reaches.

Needs root there: log in as root, or as an account that may use sudo without a password. Run again, it installs only
what is missing. Debian's packages come from the mirror that the server uses; all else is sent from here.

With --runtime containers it brings Debian's container engine, too.
"""

import argparse
import contextlib
import json
import sys

from neurmatic import __version__
from neurmatic.cli.context import HOST
from neurmatic.cli.loaded import load_stack
from neurmatic.errors import ConfigurationError
from neurmatic.remote.bootstrap import bootstrap


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("server", metavar="USER@HOST", help="as ssh takes it")
    parser.add_argument(
        "--runtime",
        choices=("native", "containers"),
        default="native",
        help="how the stack will run there (default: native)",
    )
    parser.add_argument("--json", action="store_true", help="print what was done as JSON; progress goes to stderr")


def run(args: argparse.Namespace) -> int:
    acme = False
    with contextlib.suppress(ConfigurationError):  # it needs no project
        acme = load_stack(args).stack.tls.certificates == "acme"
    containers = args.runtime == "containers"
    changed = bootstrap(
        HOST, args.server, lambda line: print(line, file=sys.stderr, flush=True), acme=acme, containers=containers
    )
    if args.json:
        print(json.dumps({"server": args.server, "version": __version__, "changed": changed}))
    else:
        print(f"{args.server} has neurmatic {__version__}" + ("" if changed else " already"))
        print(f"  next: neurmatic -H {args.server} up" + (" --runtime containers" if containers else ""))
    return 0
