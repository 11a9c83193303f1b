"""Make exactly the stack that neurmatic.toml describes run.

What runs already and is current is left alone; what changed is restarted, one instance after the other;
what is missing is started, each after what it needs is healthy. May be cut off at any moment and run again.
"""

import argparse
import time

from neurmatic.cli import status
from neurmatic.cli.loaded import prepare_up
from neurmatic.releases.up import Up


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the status at the end as JSON, and no progress")


def run(args: argparse.Namespace) -> int:
    begun = time.monotonic()
    up = prepare_up(args)
    if args.json:
        from neurmatic.releases.project import Quiet  # noqa: PLC0415

        up.reporter = Quiet()
    plan = up.up()
    if not args.json:
        done = f"{len(plan.steps)} step{'s' * (len(plan.steps) != 1)}" if plan.steps else "nothing to change"
        print(f"{up.stack.name} ({up.stack.environment}) is up: {done}, {time.monotonic() - begun:.1f} s\n")
    if up.stack.backup and plan.steps:
        _begin_archive(up)
    code = status.show(up.layout, as_json=args.json)
    if not args.json:
        print(f"\n  {up.stack.url}")
        if up.stack.tls.certificates == "local":
            print(f"  browsers trust it once {up.layout.tls}/ca.pem is imported as an authority")
    return code


def _begin_archive(up: Up) -> None:
    """What backups begin with; a store that can't be reached now is no reason not to serve."""
    from neurmatic.backups.pgbackrest import prepare  # noqa: PLC0415  no other `up` needs it
    from neurmatic.backups.setting import setting_of  # noqa: PLC0415  as above

    setting = setting_of(up)
    for store, error in prepare(setting).items():
        up.reporter.say(f"! the archive in {store} can't be used: {error}\n  {error.hint}")
    if not any(setting.local.entries()):
        up.reporter.say("no backup was made yet: `neurmatic backup run` makes the first one, the stack the next")
