"""Make exactly the stack that neurmatic.toml describes run.

What runs already and is current is left alone; what changed is restarted, one instance after the other;
what is missing is started, each after what it needs is healthy. When the project's files make another release, that
goes live as by `neurmatic deploy`, but without a backup first; where the ports have no room for two releases, its
instances are restarted one after the other. May be cut off at any moment and run again.
"""

import argparse
import time
from dataclasses import replace

from neurmatic.cli import status
from neurmatic.cli.loaded import described, prepare_up
from neurmatic.releases import schema
from neurmatic.releases.deploy import clear_after, roll, summary
from neurmatic.releases.going_live import ahead
from neurmatic.releases.rollout import Choice
from neurmatic.releases.up import Up


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runtime",
        choices=("native", "containers"),
        help="run it as processes or as containers from now on (default: as before; at first native)",
    )
    parser.add_argument("--json", action="store_true", help="print the status at the end as JSON, and no progress")


def run(args: argparse.Namespace) -> int:
    begun = time.monotonic()
    up = prepare_up(args)
    if args.json:
        from neurmatic.releases.project import Quiet  # noqa: PLC0415

        up.reporter = Quiet()
    said = _bring_live(args, up)
    if said:
        up = replace(prepare_up(args), reporter=up.reporter)  # its instances have moved
    plan = up.up()
    schema.note(up)
    if not args.json:
        print("\n".join(said))
        steps = len(plan.steps)
        done = f"{steps} step{'s' * (steps != 1)}" if steps else "nothing to change" if not said else "a new release"
        print(f"{up.stack.name} ({up.stack.environment}) is up: {done}, {time.monotonic() - begun:.1f} s\n")
    if up.stack.backup and plan.steps:
        _begin_archive(up)
    code = status.show(up.layout, as_json=args.json)
    if not args.json:
        print(f"\n  {up.stack.url}")
        if up.stack.tls.certificates == "local":
            print(f"  browsers trust it once {up.layout.tls}/ca.pem is imported as an authority")
    return code


def _bring_live(args: argparse.Namespace, up: Up) -> list[str]:
    """Bring the release of the project's files live where another one serves; what is to be said of it."""
    stack = described(args, up.layout)
    up.check()
    if not ahead(up, stack, backup=False):
        return []
    outcome = roll(up, stack, Choice(up.chosen), "deploy")
    clear_after(up)
    return list(summary(outcome, "deploy"))


def _begin_archive(up: Up) -> None:
    """What backups begin with; a store that can't be reached now is no reason not to serve."""
    from neurmatic.backups.pgbackrest import prepare  # noqa: PLC0415  no other `up` needs it
    from neurmatic.backups.setting import setting_of  # noqa: PLC0415  as above

    setting = setting_of(up)
    for store, error in prepare(setting).items():
        up.reporter.say(f"! the archive in {store} can't be used: {error}\n  {error.hint}")
    if not any(setting.local.entries()):
        up.reporter.say("no backup was made yet: `neurmatic backup run` makes the first one, the stack the next")
