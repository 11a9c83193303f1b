"""Bring a release live without dropping a request: the one that the project's files make, or an earlier one by its name.

Its instances start beside those that serve, after its migrations; when each is ready and says that it is of this release, nginx switches
to all of them at once; the old ones drain and end. Constant load through the edge runs all the while, and what became of it is said
and kept in the event. Whatever fails, or is cut off, before or after the switch: the release before serves as it did, and the same
command can be run again.

With --git, REF is checked out into a folder of its own below the state folder, `[release] make` is run there, and the release consists of
the files that are there then; its commit is kept with it. What isn't committed plays no part, but for the stack file: it is the one that
lies here, not REF's. `up` stays with that release until the next `deploy`.

Exit code 0 when the release serves, 1 when it doesn't and the one before does, 2 usage or configuration.
"""

import argparse
import json
from dataclasses import asdict
from functools import partial

from neurmatic.cli.loaded import described, prepare_up
from neurmatic.releases.deploy import clear_after, known, roll, summary
from neurmatic.releases.deployed import read_deployed
from neurmatic.releases.keeping import made
from neurmatic.releases.project import Quiet
from neurmatic.releases.rollout import Choice
from neurmatic.releases.up import Up

WAIT = 600
"""Seconds that a deploy waits for a backup that is being made already."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "version",
        nargs="?",
        default="",
        metavar="VERSION",
        help="a release that is here, or of containers one that the registry has (default: the project's files)",
    )
    what.add_argument("--git", default="", metavar="REF", help="the files of this commit, branch or tag instead")
    add("--probe", action="append", default=[], metavar="URL", help="send the load there instead; may be repeated")
    add("--no-backup", action="store_true", help="don't back up first; the event says so")
    add("--json", action="store_true", help="print the result as JSON, and no progress")


def run(args: argparse.Namespace) -> int:
    up = prepare_up(args, place=False)
    if args.json:
        up.reporter = Quiet()
    release = _release(up, args.version) if args.version else ""
    first = None if args.no_backup or not up.stack.deploy.backup or not up.stack.backup else partial(_back_up, up)
    choice = Choice(release, git=args.git, probes=tuple(args.probe), first=first)
    outcome = roll(up, described(args, up.layout), choice, "deploy")
    clear_after(up)
    print(json.dumps(asdict(outcome), indent=2) if args.json else "\n".join(summary(outcome, "deploy")))
    return 0


def _release(up: Up, version: str) -> str:
    """A release that is here, else one of this version that the registry of images has."""
    deployed = read_deployed(up.host, up.layout)
    if not up.layout.contained or any(one.name.startswith(version) for one in made(up.host, up.layout, deployed)):
        return known(up.host, up.layout, deployed, version)
    up.runtime.check()
    return up.way.fetch(version)


def _back_up(up: Up) -> None:
    """Make a base backup, incremental where there is a full one, and prove it by restoring it."""
    from neurmatic.backups.catalog import chosen, listed  # noqa: PLC0415  for stacks with backups
    from neurmatic.backups.proof import verify_on_record  # noqa: PLC0415  as above
    from neurmatic.backups.run import alone  # noqa: PLC0415  as above
    from neurmatic.backups.run import run as make  # noqa: PLC0415  as above
    from neurmatic.backups.setting import setting_of  # noqa: PLC0415  as above

    setting = setting_of(up)
    store = setting.stores[0]
    made = make(setting, ["physical"], (store,), WAIT)
    with alone(setting, "deploy", WAIT):
        proof = verify_on_record(setting, chosen(listed([store]), made[0].id))
    up.reporter.say(f"{made[0].id} is proven: {proof.rows} rows, restored in {proof.restore_s:.1f} s")
