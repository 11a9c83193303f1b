"""Show who did what, when, with what result: the append-only log of this stack, oldest first."""

import argparse
import json

from neurmatic.cli.context import HOST, layout
from neurmatic.releases.events import EventLog

OWN_COLUMNS = ("at", "actor", "action", "result")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-n", "--lines", type=int, default=0, metavar="N", help="only the last N (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    events = EventLog(HOST, layout(args)).read()[-args.lines :]
    if args.json:
        print(json.dumps(events, indent=2))
        return 0
    for event in events:
        rest = " ".join(f"{key}={value}" for key, value in event.items() if key not in OWN_COLUMNS)
        print(
            f"{event['at']}  {event['actor']:10} {event['action']:8} {event['result']:7} {rest.splitlines()[0] if rest else ''}"
        )
    return 0
