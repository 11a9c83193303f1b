"""Stop the stack, last started first. Data, releases and secrets stay.

With --purge everything in the state folder is deleted: it says what, and asks for the stack's name. Local backups and
secrets.env, which holds their key, stay even then, unless --backups is given, too.
"""

import argparse
import json

from neurmatic.cli.confirm import confirmed
from neurmatic.cli.context import HOST, Terminal, layout
from neurmatic.errors import ConfigurationError
from neurmatic.releases import running
from neurmatic.releases.down import doomed, down, kept_by_purge, purge
from neurmatic.releases.project import Quiet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--purge", action="store_true", help="delete the state folder too: databases, releases, secrets, logs"
    )
    parser.add_argument("--backups", action="store_true", help="with --purge: the local backups and their key, too")
    parser.add_argument("--yes", action="store_true", help="with --purge: don't ask")
    parser.add_argument("--json", action="store_true", help="print what was stopped and deleted as JSON")


def run(args: argparse.Namespace) -> int:
    where = layout(args)
    if args.purge and not args.yes and not _confirmed(args):
        print("nothing was stopped or deleted")
        return 1
    stopped = down(HOST, where, Quiet() if args.json else Terminal())
    gone = [str(one.path) for one in doomed(HOST, where, backups=args.backups)] if args.purge else []
    if args.purge:
        purge(HOST, where, backups=args.backups)
    if args.json:
        print(json.dumps({"stopped": stopped, "deleted": gone}))
    else:
        print(
            f"deleted {len(gone)} things in {where.state}"
            if args.purge
            else f"down; the data stays in {where.data}"
            if stopped
            else "nothing was running"
        )
    return 0


def _confirmed(args: argparse.Namespace) -> bool:
    where = layout(args)
    if not HOST.exists(where.format_file):
        raise ConfigurationError(f"{where.state} is no state folder of neurmatic", "nothing was deleted")
    print(f"This deletes for good, below {where.state}:")
    for one in doomed(HOST, where, backups=args.backups):
        print(f"  {one.bytes / 10**6:10.1f} MB  {one.path.name}")
    if kept := () if args.backups else kept_by_purge(HOST, where):
        print(f"It keeps {' and '.join(kept)}; --backups deletes them, too.")
    try:
        name = running.read(HOST, where).stack
    except ConfigurationError:
        name = where.project.name
    return confirmed("stack's name", name)
