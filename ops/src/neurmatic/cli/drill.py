"""Act out a disaster on a scratch copy, and measure what it takes to come back from it.

  neurmatic drill database      the data folder is gone: base backup and WAL, to the last minute
  neurmatic drill corruption    a page is overwritten: found by its checksum, answered by a restore
  neurmatic drill api           every instance of the application is killed at once
  neurmatic drill server        nothing is left but the stack file, the secrets and the stores
  neurmatic drill all           one after the other

Production's backups are read; nothing else of it is touched. RTO and RPO are what was measured, and are kept: as an event
and, beside the backups, under drills/. The stack does it by itself: `neurmatic backup schedule`.
"""

import argparse
import json
from dataclasses import asdict

from neurmatic.backups.alarm import alarmed
from neurmatic.backups.drill import SCENARIOS, Record, drill
from neurmatic.backups.run import alone
from neurmatic.cli.loaded import prepare_backups, prepare_up
from neurmatic.errors import NeurmaticError
from neurmatic.releases.project import Quiet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "scenario", nargs="?", choices=[*SCENARIOS, "all"], default="database", help="default: database"
    )
    parser.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="how long to wait for a backup's end")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    setting, up = prepare_backups(args), prepare_up(args, place=False)
    up.reporter = Quiet() if args.json else up.reporter
    chosen = SCENARIOS if args.scenario == "all" else (args.scenario,)
    records: list[Record] = []
    failed: list[NeurmaticError] = []
    with alone(setting, "drill", args.wait):
        for scenario in chosen:
            try:
                with alarmed(setting, f"drill.{scenario}"):
                    records.append(drill(setting, up, scenario))
            except NeurmaticError as error:
                failed.append(NeurmaticError(f"drill {scenario}: {error}", error.hint))
                continue
            if not args.json:
                print(text(records[-1]), flush=True)
    if args.json:
        print(json.dumps([asdict(one) for one in records], indent=2))
    if failed:
        raise NeurmaticError("; ".join(str(error) for error in failed), failed[0].hint)
    return 0


def text(record: Record) -> str:
    """A drill's record, for the terminal."""
    rpo = "not known" if record.rpo_s is None else f"{record.rpo_s:.1f} s"
    per_gb = record.seconds_per_gb
    size = f" for {record.database_bytes / 1e6:.1f} MB, {per_gb:.0f} s a GB" if per_gb is not None else ""
    steps = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in record.steps.items())
    seen = "\n  ".join(record.seen)
    return f"drill {record.scenario}: RTO {record.rto_s:.1f} s{size}, RPO {rpo}\n  {seen}\n  {steps}"
