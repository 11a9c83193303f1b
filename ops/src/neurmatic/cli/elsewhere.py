"""`neurmatic -H`: the command that was typed here runs on another machine, or on several."""

import argparse
import sys
from pathlib import Path

from neurmatic.cli import several
from neurmatic.cli.context import stack_file
from neurmatic.cli.loaded import load_stack
from neurmatic.errors import ConfigurationError
from neurmatic.remote import session
from neurmatic.remote.target import HERE, PASSING, target_of
from neurmatic.remote.together import Command
from neurmatic.stack.model import Stack


def run(args: argparse.Namespace, parsed: argparse.Namespace, rest: list[str]) -> int:
    """Run it there; returns its exit code. Paths among its words, `rest`, are that machine's; `parsed` are its options."""
    if args.command in HERE:
        raise ConfigurationError(f"`{args.command}` runs here, without -H", f"neurmatic {args.command} --help")
    targets = [target_of(one) for one in args.host]
    words = [args.command, *rest] if args.command != "attach" else ["attach", *filter(None, [parsed.name])]
    options: list[str] = []
    for option in ("state", "environment"):
        if (value := getattr(args, option)) and args.command != "attach":
            options += [f"--{option}", str(value)]
    sent = _sent(args, needed=any(one.folder is None for one in targets))
    if len(targets) > 1:
        return several.run(targets, _command(parsed, [*words, *options], options), sent, as_json=parsed.json)
    return session.run(targets[0], [*words, *options], sent, lambda line: print(line, file=sys.stderr, flush=True))


def _command(parsed: argparse.Namespace, words: list[str], options: list[str]) -> Command:
    return Command(
        name=words[0],
        words=tuple(words),
        options=tuple(options),
        release=getattr(parsed, "version", ""),
        service=parsed.target.partition("=")[0] if words[0] == "scale" else "",
        loses=getattr(parsed, "with_database", False),
        follows=getattr(parsed, "follow", False),
        only_looks=words[0] in PASSING or getattr(parsed, "action", "") == "status",
    )


def _sent(args: argparse.Namespace, *, needed: bool) -> session.Sent | None:
    """The project here; None where there is none, and the one there is named."""
    try:
        file = stack_file(args)
    except ConfigurationError:
        if needed or args.file:
            raise
        return None
    stack = load_stack(args).stack
    return session.Sent(file, stack.name, _files(stack))


def _files(stack: Stack) -> tuple[str, ...]:
    """What of the project a server needs. Private keys are not sent: they are put there by who owns them."""
    authorities = (stack.tls.ca, stack.backup.s3.ca if stack.backup and stack.backup.s3 else None)
    inside = [name for name in authorities if name and not Path(name).is_absolute()]
    return tuple(dict.fromkeys([*stack.release.files, *inside]))
