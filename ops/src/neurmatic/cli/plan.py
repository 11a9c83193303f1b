"""Say what `up` would change: the steps in their order, then the files that differ, as a diff. Changes nothing.

Secret files are named, their content isn't shown.
"""

import argparse
import json
from dataclasses import asdict

from neurmatic.cli.loaded import prepare_up


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    plan = prepare_up(args, place=False).preview()
    if args.json:
        print(json.dumps({"steps": [asdict(step) for step in plan.steps], "files": dict(plan.diffs)}, indent=2))
        return 0
    for number, step in enumerate(plan.steps, start=1):
        print(f"{number:2}. {step}")
    print("" if plan.steps else "nothing to change")
    for diff in plan.diffs.values():
        print(diff, end="")
    return 0
