"""Check API, site, PostgreSQL, Redis, disk and memory, once, from outside.

Exit code 0 when all are well, 1 when one is not. For monitors and deploys; `neurmatic status` shows every instance.
"""

import argparse
import json

from neurmatic.cli.context import HOST, layout
from neurmatic.cli.loaded import prepare_up
from neurmatic.releases.health import examine

MARKS = {True: "ok ", False: "RED", None: "-  "}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--verbose", action="store_true", help="say what was seen of the parts that are well, too")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    report = examine(HOST, layout(args), prepare_up(args, place=False).stack)
    if args.json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        for part in report.parts:
            shown = f"  {part.detail}" if args.verbose or part.ok is False else ""
            print(f"{MARKS[part.ok]} {part.name:9}{shown}".rstrip())
    return 0 if report.ok else 1
