"""Make, list, prove and clear away backups of the database.

  neurmatic backup run              a dump and a base backup now; --kind makes one of them
  neurmatic backup list             what there is, where, how old, and whether it is proven
  neurmatic backup verify ID        restore it to a scratch cluster, compare it with its manifest, keep the proof
  neurmatic backup status           the last proven one, RPO now, RTO projected, what is wrong; exit 1 when something is
  neurmatic backup schedule         start the stack's timers where they don't run; when each ran last and runs next
  neurmatic backup prune --dry-run  what is older than it need be; never the last proven one, nor what another one needs
  neurmatic backup watch            what a timer does each hour: alerts for what is wrong or did not happen

A dump (logical) is portable: pg_dump, zstd, age. A base backup (physical) with the archive of the WAL brings back any
second: pgBackRest. Both are encrypted with BACKUP_KEY of secrets.env: KEEP A COPY OF IT WHERE THE BACKUPS ARE NOT.
A backup counts once it is proven. Exit code 1 when anything failed: then earlier backups are as they were.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime

from neurmatic.backups.catalog import Kept, chosen, listed
from neurmatic.backups.daily import daily
from neurmatic.backups.proof import verify_on_record
from neurmatic.backups.prune import prune
from neurmatic.backups.run import alone
from neurmatic.backups.run import run as make
from neurmatic.backups.schedule import scheduled
from neurmatic.backups.setting import Setting
from neurmatic.backups.standing import KINDS, Standing
from neurmatic.backups.watch import look, watch
from neurmatic.cli.loaded import prepare_backups, prepare_up
from neurmatic.cli.table import table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=list(_ACTIONS), help="what to do")
    parser.add_argument("id", nargs="?", default="latest", metavar="ID", help="with verify: a backup (default: latest)")
    parser.add_argument("--kind", choices=["logical", "physical"], help="only this kind")
    parser.add_argument("--store", choices=["local", "s3"], help="only this store")
    parser.add_argument(
        "--wait", type=float, default=0, metavar="SECONDS", help="how long to wait for another run's end (default: 0)"
    )
    parser.add_argument(
        "--scheduled", action="store_true", help="with run: as the timer does: prove it, and prune, too"
    )
    parser.add_argument(
        "--full", action="store_true", help="with run: a full base backup, though an incremental one is due"
    )
    parser.add_argument("--dry-run", action="store_true", help="with prune: only say it")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    return _ACTIONS[args.action](prepare_backups(args), args)


def _run(setting: Setting, args: argparse.Namespace) -> int:
    if args.scheduled:
        made = daily(setting, args.wait)
    else:
        stores = (setting.store(args.store),) if args.store else setting.stores
        made = make(setting, [args.kind] if args.kind else KINDS, stores, args.wait, full=args.full)
    if args.json:
        print(json.dumps([asdict(one) for one in made], indent=2))
    return 0


def _list(setting: Setting, args: argparse.Namespace) -> int:
    found = [one for one in listed(setting.stores) if args.kind in (None, one.manifest.kind)]
    found = [one for one in found if args.store in (None, one.store)]
    if args.json:
        print(json.dumps([_as_json(one) for one in found], indent=2))
    elif found:
        print(table(("id", "kind", "store", "made", "age", "size", "standing"), [_row(one) for one in found]))
    else:
        print("there is no backup yet; `neurmatic backup run` makes one")
    return 0


def _verify(setting: Setting, args: argparse.Namespace) -> int:
    kept = chosen(listed(setting.stores), args.id, args.kind, args.store)
    with alone(setting, "backup verify", args.wait):
        setting.reporter.say(f"restoring {kept.id} from {kept.store} to a scratch cluster")
        proof = verify_on_record(setting, kept)
    if args.json:
        print(json.dumps(asdict(proof), indent=2))
    else:
        print(
            f"{kept.id} is proven: {proof.rows} rows compared, {proof.database_bytes / 1e6:.1f} MB restored in "
            f"{proof.restore_s:.1f} s, {proof.total_s:.1f} s in all"
        )
    return 0


def _status(setting: Setting, args: argparse.Namespace) -> int:
    standing = look(setting)
    print(json.dumps(standing.as_json(), indent=2) if args.json else standing_text(standing))
    return 1 if standing.problems else 0


def _watch(setting: Setting, args: argparse.Namespace) -> int:
    standing = watch(setting)
    if args.json:
        print(json.dumps(standing.problems, indent=2))
    else:
        print("\n".join(f"! {reason}" for reason in standing.problems.values()) or "all is well")
    return 1 if standing.problems else 0


def _schedule(setting: Setting, args: argparse.Namespace) -> int:
    for one in scheduled(setting):
        if not one.installed:
            prepare_up(args).restart(one.name)
    found = scheduled(setting)
    if args.json:
        print(json.dumps([asdict(one) for one in found], indent=2))
    else:
        heading = ("timer", "when", "last", "next", "state", "command")
        print(table(heading, [(one.name, one.when, one.last, one.next, one.state, one.command) for one in found]))
    return 0 if all(one.installed for one in found) else 1


def _prune(setting: Setting, args: argparse.Namespace) -> int:
    with alone(setting, "backup prune", args.wait):
        decisions = prune(setting, dry_run=args.dry_run)
    if args.json:
        print(json.dumps([asdict(one) for one in decisions], indent=2, default=str))
    return 0


_ACTIONS: dict[str, Callable[[Setting, argparse.Namespace], int]] = {
    "run": _run,
    "list": _list,
    "verify": _verify,
    "status": _status,
    "schedule": _schedule,
    "prune": _prune,
    "watch": _watch,
}


def standing_text(standing: Standing) -> str:
    """`backup status`, as text."""
    heading = ("kind", "store", "newest", "age", "standing", "last proven", "age", "proof's age")
    rows = [
        (
            *(one.kind, one.store, one.id or "none", _hours(one.age_hours), one.standing),
            *(one.proven or "none", _hours(one.proven_age_hours), _hours(one.proof_age_hours)),
        )
        for one in standing.latest
    ]
    rpo = "not known" if standing.rpo_seconds is None else f"{standing.rpo_seconds:.1f} s of changes would be lost now"
    rto = "not known: no backup was proven yet"
    if standing.rto_seconds is not None:
        size = f"{standing.database_bytes / 1e9:.2f} GB"
        rto = f"{standing.rto_seconds:.0f} s for {size}, at {standing.rto_per_gb:.0f} s a GB as last proven"
    problems = [f"! {reason}" for reason in standing.problems.values()]
    return "\n".join([table(heading, rows), "", f"RPO  {rpo}", f"RTO  {rto}", *problems])


def _hours(hours: float | None) -> str:
    return "" if hours is None else f"{hours:.1f} h"


def _as_json(one: Kept) -> dict[str, object]:
    return {"store": one.store, "standing": one.standing, "proof": asdict(one.proof) if one.proof else None} | asdict(
        one.manifest
    )


def _row(one: Kept) -> tuple[str, ...]:
    manifest = one.manifest
    return (
        *(one.id, f"{manifest.kind} {manifest.type}".strip(), one.store, manifest.ended.replace("+00:00", "Z")),
        *(f"{one.age_hours(datetime.now(UTC)):.1f} h", f"{manifest.size / 1e6:.1f} MB", one.standing),
    )
