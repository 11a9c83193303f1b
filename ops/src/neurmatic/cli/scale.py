"""Give a service more or fewer instances, now, without dropping a request; the others are left alone.

  neurmatic scale api=4

It stays so through `up` and deploys until it is scaled to the number that the stack file has.
"""

import argparse
import json

from neurmatic.cli.loaded import described, prepare_up
from neurmatic.errors import ConfigurationError
from neurmatic.releases.project import Quiet
from neurmatic.releases.scale import scale


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("target", metavar="SERVICE=N", help="a service and how many instances it is to have")
    add("--probe", action="append", default=[], metavar="URL", help="send the load there instead; may be repeated")
    add("--json", action="store_true", help="print the result as JSON, and no progress")


def run(args: argparse.Namespace) -> int:
    service, _, count = args.target.partition("=")
    if not count.isdigit():
        raise ConfigurationError(f"{args.target!r} names no service and number", "write it as api=4")
    up = prepare_up(args, place=False)
    if args.json:
        up.reporter = Quiet()
    measured = scale(up, described(args, up.layout), service, int(count), tuple(args.probe))
    if args.json:
        print(json.dumps({"service": service, "instances": int(count), "measured": measured.as_json()}, indent=2))
    else:
        print(f"{service} has {count} instance{'s' * (count != '1')}\n{measured.as_text()}")
    return 0
