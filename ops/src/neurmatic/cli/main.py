"""The command `neurmatic`: finds the command's module, runs it, and turns errors into sentences and exit codes."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from neurmatic import __version__
from neurmatic.errors import NeurmaticError
from neurmatic.hosts.interrupts import Terminated, raise_when_terminated

# Help texts stand here, so that `neurmatic --help` imports no command.
COMMANDS = {
    "init": "write a commented neurmatic.toml for an application in this folder",
    "up": "make exactly the stack that neurmatic.toml describes run, and wait until it is healthy",
    "down": "stop the stack and keep its data; --purge deletes it, after asking",
    "deploy": "bring a release live beside the one that serves, without dropping a request",
    "rollback": "go back to the release that served before, the same way",
    "releases": "list the releases that are here; --prune removes those that no rollback needs",
    "scale": "give a service more or fewer instances: scale api=4",
    "plan": "say what `up` would change, as steps and as a diff",
    "status": "show every instance: state, health, version, address, memory, restarts",
    "edge": "show what the edge is doing: upstreams, cache, refusals, connections, certificate",
    "logs": "show what a service or an instance wrote; -f follows",
    "restart": "restart a service, one instance after the other",
    "maintenance": "close the edge to everybody but a few addresses, with a page of its own; open it again",
    "health": "check API, site, PostgreSQL, Redis, disk and memory; exit 1 when one is not well",
    "backup": "make, list, prove and clear away backups of the database",
    "restore": "bring a backup back, any second of it: beside the live database, or in its place",
    "drill": "act out a disaster on a scratch copy, and measure what it takes to come back",
    "migrations": "say which migrations ran, and refuse those that lock tables for long or break the release before",
    "certificates": "show the edge's certificate and when it is renewed; `renew` does it now if it is due",
    "verify": "run the readiness checks and write the report",
    "load": "send requests to one URL at a constant rate, and account for every one of them",
    "events": "show who did what, when, with what result",
    "config": "show the effective configuration, and where each value comes from",
    "reference": "print the stack file's reference page, made from its own fields",
    "render": "write every file that the runtime uses into a folder",
    "bootstrap": "install this tool, and the packages it stands on, on a server",
    "attach": "show a command that goes on on a server after the connection was cut",
}
HIDDEN = {"remote": "what -H speaks to, on the server"}

EPILOG = """\
the usual way:
  neurmatic init      in your application's folder, once
  neurmatic up        start it, or apply a change
  neurmatic status    see how it stands
  neurmatic verify    have every claim checked

exit codes: 0 done, 1 the check or action failed, 2 usage or configuration, 255 the connection to another machine was cut
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    args, rest = parser.parse_known_args(words)
    if args.command is None:
        parser.print_help()
        return 0 if {"-h", "--help"} & set(rest) else 2
    if args.command not in COMMANDS and args.command not in HIDDEN:
        parser.error(_unknown(args.command))
    return _guarded(args.command, args, rest)


def _guarded(command: str, args: argparse.Namespace, rest: list[str]) -> int:
    module = importlib.import_module(f"neurmatic.cli.{command}")
    parser = argparse.ArgumentParser(
        prog=f"neurmatic {command}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_common()],
        allow_abbrev=False,
    )
    parser.set_defaults(file=args.file, state=args.state, environment=args.environment)
    module.add_arguments(parser)
    raise_when_terminated()
    try:
        parsed = parser.parse_args(rest)
        code = _elsewhere(args, parsed, rest) if args.host else module.run(parsed)
        sys.stdout.flush()
    except NeurmaticError as error:
        print(f"neurmatic: {error}", file=sys.stderr)
        if error.hint:
            print(f"  next: {error.hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(
            "\nneurmatic: interrupted; what runs goes on running, and the same command takes up again", file=sys.stderr
        )
        return 130
    except Terminated:
        print(
            "\nneurmatic: terminated; what runs goes on running, and the same command takes up again", file=sys.stderr
        )
        return 143
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # who read our output has gone
        return 1
    return int(code)


def _elsewhere(args: argparse.Namespace, parsed: argparse.Namespace, rest: list[str]) -> int:
    from neurmatic.cli.elsewhere import run  # noqa: PLC0415  only a command on another machine needs ssh

    return run(args, parsed, rest)


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--file", type=Path, metavar="PATH", default=None, help="the stack file (default: neurmatic.toml here or above)"
    )
    common.add_argument(
        "--state",
        type=Path,
        metavar="DIR",
        default=None,
        help="the state folder (default: .neurmatic beside the stack file)",
    )
    common.add_argument(
        "--environment",
        metavar="NAME",
        default=None,
        help="development, staging or production (default: as [stack] says)",
    )
    return common


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="neurmatic",
        description="Runs the stack that neurmatic.toml describes, and proves what it says of it.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="commands:\n"
        + "".join(f"  {name:12} {text}\n" for name, text in COMMANDS.items())
        + f"\n`neurmatic COMMAND --help` says more.\n\n{EPILOG}",
        parents=[_common()],
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("--version", action="version", version=f"neurmatic {__version__}")
    parser.add_argument(
        "-H",
        "--host",
        metavar="USER@HOST",
        action="append",
        default=[],
        help="run the command there, over ssh; :/FOLDER behind it names the project's folder (default: /srv/NAME); "
        "given again, on several hosts: what changes something changes all of them or none",
    )
    parser.add_argument("command", nargs="?", metavar="COMMAND", help=argparse.SUPPRESS)
    return parser


def _unknown(command: str) -> str:
    import difflib  # noqa: PLC0415  only a mistyped command needs it

    close = difflib.get_close_matches(command, COMMANDS, n=1)
    return f"there is no command {command!r}" + (f"; did you mean {close[0]}?" if close else "; see neurmatic --help")
