"""Restart a service, one instance after the other; each must be healthy before the next one's turn."""

import argparse
import json

from neurmatic.cli.loaded import prepare_up
from neurmatic.releases.project import Quiet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("service", metavar="SERVICE", help="a service (api) or one instance (api-2)")
    parser.add_argument("--json", action="store_true", help="print the restarted instances as JSON")


def run(args: argparse.Namespace) -> int:
    up = prepare_up(args)
    up.chosen = up.deployed.release if up.deployed else ""  # what serves, whatever the project holds now
    if args.json:
        up.reporter = Quiet()
    names = up.restart(args.service)
    if args.json:
        print(json.dumps({"restarted": names}))
    return 0
