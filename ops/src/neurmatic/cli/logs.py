"""Show what a service or an instance wrote, newest last. Without a name: everything, each line under its instance's name.

svlogd, or the container engine, stamps nothing that a service writes; a line's time is the service's own.
"""

import argparse
import contextlib
import json
import os
from collections import deque
from pathlib import Path

from neurmatic.cli.context import HOST, layout
from neurmatic.errors import ConfigurationError
from neurmatic.runtimes.choice import runtime_of
from neurmatic.runtimes.containers.engine import LINE, Engine
from neurmatic.stack.layout import Layout


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "service", nargs="?", metavar="SERVICE", help="a service (api) or one instance (api-2); default: all"
    )
    parser.add_argument("-f", "--follow", action="store_true", help="go on as lines are written, until Ctrl-C")
    parser.add_argument(
        "-n", "--lines", type=int, default=50, metavar="N", help="how many of the last lines (default 50)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line: instance, line")


def run(args: argparse.Namespace) -> int:
    where = layout(args)
    names = _instances(where, args.service)
    files = [where.logs / name / "current" for name in names]
    runtime = runtime_of(HOST, where)
    if args.follow and isinstance(runtime, Engine):
        follow = runtime.following([name for name in names if not name.startswith("timer-")], args.lines)
        os.execvp(follow[0], follow)  # noqa: S606  as below
    if args.follow:
        # tail -F follows across svlogd's rotations; it takes this process's place, so Ctrl-C ends it at once.
        quiet = ["--quiet"] if len(files) == 1 else []
        os.execvp("tail", ["tail", *quiet, "-n", str(args.lines), "-F", *map(str, files)])  # noqa: S606  no shell on purpose
    for name, file in zip(names, files, strict=True):
        for line in runtime.log(name, args.lines * LINE)[-args.lines :] if where.contained else _last(file, args.lines):
            if args.json:
                print(json.dumps({"instance": name, "line": line}))
            else:
                print(line if len(names) == 1 else f"{name:10} {line}")
    return 0


def _instances(where: Layout, service: str | None) -> list[str]:
    known = runtime_of(HOST, where).present() if where.contained else HOST.names(where.logs)
    found = [name for name in known if service is None or name == service or name.rpartition("-")[0] == service]
    if not found:
        raise ConfigurationError(
            f"nothing was logged for {service!r}" if service else "nothing was logged yet",
            f"known: {', '.join(known)}" if known else "start the stack with `neurmatic up`",
        )
    return found


def _last(file: Path, lines: int) -> list[str]:
    with contextlib.suppress(FileNotFoundError), file.open(encoding="utf-8", errors="replace") as opened:
        return [line.rstrip("\n") for line in deque(opened, maxlen=lines)]
    return []
