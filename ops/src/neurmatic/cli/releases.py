"""List the releases that are here, oldest first: which one serves, and what a rollback can go back to.

With --prune, remove those that no rollback needs ([deploy] keep and keep_days); a deploy does it by itself.
"""

import argparse
import json

from neurmatic.cli.loaded import prepare_up
from neurmatic.cli.table import table
from neurmatic.releases.deploy import clear
from neurmatic.releases.deployed import read_deployed
from neurmatic.releases.events import actor
from neurmatic.releases.keeping import Made, made
from neurmatic.releases.project import Quiet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prune", action="store_true", help="remove those that no rollback needs")
    parser.add_argument("--dry-run", action="store_true", help="with --prune: only say which")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    up = prepare_up(args, place=False)
    if args.prune:
        if args.json:
            up.reporter = Quiet()
        with up.host.locked(up.layout.lock, f"neurmatic releases by {actor()}"):
            found = clear(up, dry_run=args.dry_run)
        if not found and not args.json:
            print("every release here may be needed")
    else:
        found = made(up.host, up.layout, read_deployed(up.host, up.layout))
        if not args.json:
            print(table(("release", "made", "standing", "size", "schema", "commit"), [_row(one) for one in found]))
    if args.json:
        print(json.dumps([_as_json(one) for one in found], indent=2))
    return 0


def _row(one: Made) -> tuple[str, ...]:
    at = one.at.isoformat(timespec="seconds") if one.at else ""
    return one.name, at, one.standing, f"{one.bytes / 1e6:.0f} MB", one.revision, one.commit[:12]


def _as_json(one: Made) -> dict[str, object]:
    return {
        "release": one.name,
        "made": one.at.isoformat(timespec="seconds") if one.at else None,
        "standing": one.standing,
        "bytes": one.bytes,
        "revision": one.revision,
        "commit": one.commit,
    }
