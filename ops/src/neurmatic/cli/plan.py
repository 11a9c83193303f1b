"""Say what `up` would change: the steps in their order, then the files that differ, as a diff. Changes nothing.

With --deploy, what `deploy` would do. Secret files are named, their content isn't shown. Where migrations would run on a database that is in use, what is wrong with them is said
between the two; `neurmatic migrations --help` says more.
"""

import argparse
import json
from dataclasses import asdict, replace

from neurmatic.cli import migrations
from neurmatic.cli.context import HOST
from neurmatic.cli.loaded import described, prepare_up
from neurmatic.releases.going_live import OTHERS, ahead, rollout_steps
from neurmatic.releases.migrations import Lint, lint, ran
from neurmatic.releases.up import Up


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--deploy", action="store_true", help="what `deploy` would do, which follows the project's files"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    up = prepare_up(args, place=False)
    held = "" if args.deploy else up.chosen
    up.chosen = held
    up.check()
    backup = bool(args.deploy and up.stack.backup and up.stack.deploy.backup)
    found = ahead(up, described(args, up.layout), backup=backup)
    plan = (replace(up, stack=found.stack) if found else up).preview()
    steps = list(plan.steps)
    if found:
        others = {one.name for one in up.instances.values() if one.kind in OTHERS}
        steps = [*rollout_steps(found), *(one for one in steps if one.subject in others)]
    seen = _migrations(up) if any(step.verb == "migrate" for step in steps) else None
    if args.json:
        shown = {"steps": [asdict(step) for step in steps], "files": dict(plan.diffs)}
        print(json.dumps(shown | {"migrations": asdict(seen) if seen else None}, indent=2))
        return 0
    for number, step in enumerate(steps, start=1):
        print(f"{number:2}. {step}")
    print("" if steps else "nothing to change")
    if held:
        print(f"release {held} stays, as it was chosen; `neurmatic deploy` brings the project's files live\n")
    for line in migrations.lines(seen) if seen else ():
        print(line)
    for diff in plan.diffs.values():
        print(diff, end="")
    return 0


def _migrations(up: Up) -> Lint | None:
    """What the migrations would do to those who use the database; to a new one they can't do anything."""
    pattern = up.stack.release.migrations
    if pattern is None or HOST.read(up.layout.migrated) is None:
        return None
    return lint(HOST, up.layout.project, pattern, ran(HOST, up.layout))
