"""What `neurmatic -H` speaks to, on the machine where the command runs. Not for typing: the other end must be as old."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from neurmatic import __version__
from neurmatic.cli.context import HOST, chosen_state
from neurmatic.errors import ConfigurationError
from neurmatic.hosts import bundle, kept
from neurmatic.releases.events import EventLog
from neurmatic.releases.project import state_folder
from neurmatic.remote.build import build_digest
from neurmatic.remote.target import PASSING, check_names
from neurmatic.stack.layout import Layout

RECORDS = ".commands"
"""Beside the state folder, which a command may purge, and outlive."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("hello", "look", "keep", "which", "attach", "signal", *_SHORT))
    parser.add_argument("--names", type=json.loads, default=[], metavar="JSON", help="files of the project, as a list")
    parser.add_argument("--folder", type=Path, required=True, metavar="DIR", help="the project's folder")
    parser.add_argument("--digest", metavar="SHA256", help="of the files that are received")
    parser.add_argument("--words", type=json.loads, metavar="JSON", help="the command, as a list")
    parser.add_argument("--standing", action="store_true", help="hello says how the stack stands, too")
    parser.add_argument("--details", type=json.loads, metavar="JSON", help="of the event that is noted")
    parser.add_argument("--id", metavar="NAME", help="the record of a kept command")
    parser.add_argument("--signal", choices=("INT", "TERM"), help="what the command is sent")
    parser.add_argument("--together", action="store_true", help="errors in their order between the output")
    parser.add_argument("--json", action="store_true", help="hello always answers JSON")


def run(args: argparse.Namespace) -> int:
    check_names(tuple(args.names))
    records = args.folder / RECORDS
    if args.action == "hello":
        print(json.dumps(_said(args, records)))
    elif args.action in _SHORT:
        _SHORT[args.action](args)
    elif args.action == "look":
        os.chdir(args.folder)
        os.execv(sys.executable, _argv(args.words))  # noqa: S606  no shell on purpose
    elif args.action == "keep":
        return _keep(args, records)
    elif args.action == "which":
        print(_which(records, args.id).folder.name)
    elif args.action == "attach":
        return kept.Kept(records / args.id).follow()
    else:
        own = kept.Kept(records / args.id)
        chosen = own if own.folder.exists() else _running(records, args.words)
        if chosen:
            chosen.signal(args.signal)
    return 0


def _standing(args: argparse.Namespace, records: Path) -> dict[str, object]:
    from neurmatic.remote.standing import standing  # noqa: PLC0415  slow to import, and no other action needs it

    at_work = [one.words for one in kept.every(records) if one.is_running()]
    changing = [words for words in at_work if words.split()[0] not in PASSING]
    return asdict(standing(HOST, _layout(args), changing))


def _note(args: argparse.Namespace) -> None:
    if HOST.exists((where := _layout(args)).format_file):
        EventLog(HOST, where).write("fleet", **args.details)


def _layout(args: argparse.Namespace) -> Layout:
    chosen = args.folder / args.state if args.state else chosen_state(args)  # as for a command, which runs in there
    return Layout(state_folder(args.folder, chosen), args.folder)


_SHORT: dict[str, Callable[[argparse.Namespace], None]] = {
    "receive": lambda args: bundle.unpack(sys.stdin.buffer, args.folder, args.names, args.digest),
    "put-back": lambda args: bundle.put_back(args.folder, args.names, args.digest),
    "note": _note,
}


def _said(args: argparse.Namespace, records: Path) -> dict[str, object]:
    return {
        "version": __version__,
        "build": build_digest(),
        "project": args.folder.is_dir(),
        "digest": bundle.digest(args.folder, args.names) if args.names else "",
        "running": [one.words for one in kept.every(records) if one.is_running()],
        "standing": _standing(args, records) if args.standing else None,
    }


def _keep(args: argparse.Namespace, records: Path) -> int:
    words = " ".join(args.words)
    if same := _running(records, args.words):
        print(f"`{words}` runs already: this is what it writes", file=sys.stderr, flush=True)
        return same.follow()
    argv = _argv(args.words)
    return kept.start(records, argv, name=args.id, words=words, cwd=args.folder, together=args.together).follow()


def _running(records: Path, words: list[str]) -> kept.Kept | None:
    return next((one for one in kept.every(records) if one.words == " ".join(words) and one.is_running()), None)


def _argv(words: list[str]) -> list[str]:
    return [sys.executable, "-u", "-m", "neurmatic", *words]


def _which(records: Path, name: str | None) -> kept.Kept:
    """The command of this name; without one the newest that runs, else the newest.

    Raises:
        ConfigurationError: there is none.
    """
    known = kept.every(records)
    chosen = [one for one in known if name in (None, one.folder.name)]
    if not chosen:
        names = ", ".join(f"{one.folder.name} ({one.words})" for one in known[-5:])
        raise ConfigurationError(
            f"no command {name} was kept" if name else "no command was kept", f"known: {names}" if names else ""
        )
    return next((one for one in reversed(chosen) if one.is_running()), chosen[-1])
