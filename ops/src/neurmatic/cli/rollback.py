"""Go back to the release that served before, or to an earlier one by its name, the way a deploy goes forward.

Nothing is migrated and the database stays as it is; where a release after it took away what it needs (a contract, see
`neurmatic migrations --help`), it is refused. `up` stays with that release until the next `deploy`.

With --with-database the database goes back, too, to the moment before the first migrations after that release. What that loses is said
first, table by table, and the database's name is asked for (--yes doesn't ask). The edge is closed meanwhile; the database before is kept
until you drop it (`neurmatic restore --kept`).

Exit code 0 when the release serves, 1 when it doesn't and the one before does, 2 usage or configuration.
"""

import argparse
import json
from dataclasses import asdict

from neurmatic.cli.loaded import described, prepare_up
from neurmatic.errors import ConfigurationError
from neurmatic.releases.deploy import known, roll, summary
from neurmatic.releases.deployed import Deployed, read_deployed
from neurmatic.releases.project import Quiet
from neurmatic.releases.rollout import Choice, Outcome
from neurmatic.releases.schema import way_back
from neurmatic.releases.up import Up


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("version", nargs="?", default="", metavar="VERSION", help="a release that is here (default: the one before)")
    add("--with-database", action="store_true", help="the database goes back, too, as far as that release needs it")
    add("--yes", action="store_true", help="with --with-database: don't ask")
    add("--probe", action="append", default=[], metavar="URL", help="send the load there instead; may be repeated")
    add("--json", action="store_true", help="print the result as JSON, and no progress")


def run(args: argparse.Namespace) -> int:
    up = prepare_up(args, place=False)
    if args.json:
        up.reporter = Quiet()
    deployed = read_deployed(up.host, up.layout)
    wanted = args.version or deployed.previous
    if not wanted:
        raise ConfigurationError("no release served before this one", "`neurmatic releases` lists those that are here")
    release = known(up.host, up.layout, deployed, wanted)
    if release == deployed.release:
        raise ConfigurationError(f"{release} serves already", "`neurmatic releases` lists those that are here")
    outcome = (_with_database if args.with_database else _rolled)(args, up, deployed, release)
    print(json.dumps(asdict(outcome), indent=2) if args.json else "\n".join(summary(outcome, "rollback")))
    return 0


def _rolled(args: argparse.Namespace, up: Up, deployed: Deployed, release: str) -> Outcome:
    if up.stack.release.migrate and (unknown := way_back(up.host, up.layout, deployed, release)):
        up.reporter.say(f"! whether {release} can run on today's schema is not known: {unknown}")
    return roll(up, described(args, up.layout), Choice(release, back=True, probes=tuple(args.probe)), "rollback")


def _with_database(args: argparse.Namespace, up: Up, deployed: Deployed, release: str) -> Outcome:
    from neurmatic.backups.way_back import before_migrations, gone_back  # noqa: PLC0415  no other rollback needs it
    from neurmatic.cli.loaded import prepare_backups  # noqa: PLC0415  as above
    from neurmatic.cli.restore import agreed  # noqa: PLC0415  as above

    setting = prepare_backups(args)
    chosen = before_migrations(setting, release)
    for line in chosen.sentences():
        up.reporter.say(line)
    with gone_back(setting, chosen, deployed, release, lambda loss: args.yes or agreed(setting, loss())) as done:
        up.reporter.say(f"the database of {chosen.request.at} is in place; the one before is kept as {done.kept}")
        return _rolled(args, up, deployed, release)
