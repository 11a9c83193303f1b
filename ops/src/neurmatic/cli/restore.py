"""Bring a backup back: into a new database beside the live one, or in its place.

  neurmatic restore                               what would be restored, how long it takes, what would be lost
  neurmatic restore latest --into look_here       the newest state, into a new database of the stack's server
  neurmatic restore --at "2026-11-26 14:03:20"    any second since the oldest base backup (UTC, unless it names a zone)
  neurmatic restore ID --in-place                 in place of the live database
  neurmatic restore --server --secrets FILE       on a fresh server: database, release and the whole stack

In place: checks first (key, version, space, every byte), a safety copy, the restore beside the live database, a
comparison; then it says table by table what would be lost and asks for the database's name (--yes doesn't ask); then
they change places. Until then the live database is untouched, whatever fails. It ends when every instance that runs is
well again, or names those that aren't after half a minute. The database before is kept until you drop it: --kept lists
what was put aside, --drop NAME deletes it.
"""

import argparse
import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from neurmatic.backups.alarm import alarmed
from neurmatic.backups.kept import drop, put_aside
from neurmatic.backups.restore import Request, carry_out, choose
from neurmatic.backups.restored import Loss, Restored
from neurmatic.backups.run import alone
from neurmatic.backups.server import bring_back
from neurmatic.backups.setting import Setting
from neurmatic.cli.confirm import confirmed
from neurmatic.cli.context import HOST
from neurmatic.cli.loaded import prepare_backups, prepare_up
from neurmatic.cli.table import table
from neurmatic.errors import ConfigurationError
from neurmatic.releases.project import Quiet, check_format
from neurmatic.releases.status import await_well

SETTLE_SECONDS = 30
"""As long as an instance may take, after a restore in place, until it is well again; then it is named."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", nargs="?", default="latest", metavar="ID", help="a backup's id, or latest (default)")
    parser.add_argument("--at", metavar="TIME", help="the state at this second, from a base backup and the WAL")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--into", metavar="NAME", help="into a new database of this name")
    where.add_argument("--in-place", action="store_true", help="in place of the live database")
    where.add_argument("--server", action="store_true", help="on a fresh server: everything, from the stores")
    where.add_argument("--kept", action="store_true", help="list what earlier restores put aside")
    where.add_argument("--drop", metavar="NAME", help="delete what an earlier restore put aside")
    parser.add_argument(
        "--kind", choices=["logical", "physical"], help="from a dump, or from a base backup and the WAL"
    )
    parser.add_argument("--store", choices=["local", "s3"], help="from this store")
    parser.add_argument("--secrets", type=Path, metavar="FILE", help="with --server: the lost server's secrets.env")
    parser.add_argument("--no-safety-copy", action="store_true", help="don't dump the live database first")
    parser.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="how long to wait for a backup's end")
    parser.add_argument("--yes", action="store_true", help="don't ask")
    parser.add_argument("--json", action="store_true", help="print JSON; implies that nobody is asked: needs --yes")


def run(args: argparse.Namespace) -> int:
    if args.server:
        return _server(args)
    setting = prepare_backups(args)
    if args.kept:
        return _list_kept(setting, args)
    if args.drop:
        return _drop(setting, args)
    wanted = Request(args.id, _moment(args.at), args.kind, args.store, args.into or "", not args.no_safety_copy)
    chosen = choose(setting, wanted)
    if not args.json:
        print("\n".join(chosen.sentences()))
    if not (args.into or args.in_place):
        if args.json:
            print(json.dumps(chosen.as_json(), indent=2))
        else:
            print("nothing was restored; say where to: --into NAME, or --in-place")
        return 0
    with alone(setting, "restore", args.wait), alarmed(setting, "restore"):
        target = args.into or setting.postgres.database
        with setting.events.recorded("restore", id=chosen.id, store=chosen.store, target=target, moment=args.at or ""):
            done = carry_out(setting, chosen, lambda loss: args.yes or agreed(setting, loss()))
    if args.in_place:
        _settle(setting, done)
    print(json.dumps(asdict(done), indent=2) if args.json else _sentence(done))
    return 0


def _settle(setting: Setting, done: Restored) -> None:
    """Who was cut off connects again: a moment for that, before the operator is told that it is done."""
    if not setting.release:
        return  # nothing was ever started
    with done.timed("settle"):
        done.unwell = await_well(setting.host, setting.layout, setting.runtime, SETTLE_SECONDS)


def _server(args: argparse.Namespace) -> int:
    up = prepare_up(args)
    if args.json:
        up.reporter = Quiet()
    if args.secrets:
        if HOST.exists(up.layout.secrets):
            raise ConfigurationError(f"{up.layout.secrets} is there already", "leave --secrets out to use it")
        HOST.make_folder(up.layout.state)
        HOST.write(up.layout.secrets, args.secrets.read_text(encoding="utf-8"), mode=0o600)
    check_format(HOST, up.layout)
    done = bring_back(up, args.store)
    print(json.dumps(asdict(done), indent=2) if args.json else f"{_sentence(done)}\n{up.stack.url} serves again")
    return 0


def _moment(text: str | None) -> datetime | None:
    """A time as the operator wrote it; UTC unless it names a zone."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"--at: {text!r} is no time", 'write it like "2026-11-26 14:03:20" (UTC)') from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def agreed(setting: Setting, loss: Loss) -> bool:
    """Whether the operator agrees to what would be lost, having read it."""
    print(
        f"It brings back the state of {loss.restored_to:%Y-%m-%d %H:%M:%S} UTC: what changed in the {_long(loss.minutes)} since is lost."
    )
    for line in loss.tables[:40]:
        print(f"  {line}")
    if len(loss.tables) > 40:  # noqa: PLR2004  a screenful
        print(f"  and {len(loss.tables) - 40} more")
    print("  no row differs" if not loss.tables else f"  the present state is kept: {loss.kept}")
    return confirmed("database's name", setting.postgres.database)


def _long(minutes: float) -> str:
    return f"{minutes:.1f} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"  # noqa: PLR2004  two hours


def _sentence(done: Restored) -> str:
    phases = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in done.seconds.items())
    kept = (
        f"\nthe state before is kept as {done.kept}; `neurmatic restore --drop {done.kept}` deletes it"
        if done.kept
        else ""
    )
    unwell = "".join(f"\n! {one}; `neurmatic up` starts what doesn't run" for one in done.unwell)
    return f"restored {done.id} from {done.store} into {done.database}: {done.rows} rows; {phases}{kept}{unwell}"


def _list_kept(setting: Setting, args: argparse.Namespace) -> int:
    found = put_aside(setting)
    if args.json:
        print(json.dumps([{"name": one.name, "bytes": one.size} for one in found], indent=2))
    elif found:
        print(
            table(
                ("name", "what", "size"),
                [(one.name, "folder" if one.folder else "database", f"{one.size / 1e6:.1f} MB") for one in found],
            )
        )
    else:
        print("nothing was put aside")
    return 0


def _drop(setting: Setting, args: argparse.Namespace) -> int:
    if not args.yes and not confirmed("name of what is deleted for good", args.drop):
        print("nothing was deleted")
        return 1
    gone = drop(setting, args.drop)
    print(
        json.dumps({"dropped": gone.name, "bytes": gone.size})
        if args.json
        else f"dropped {gone.name}, {gone.size / 1e6:.1f} MB"
    )
    return 0
