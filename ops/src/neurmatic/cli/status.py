"""Show every instance of the stack: what its supervisor says, and what it answers itself.

Exit code 0 when everything runs and is healthy, 1 otherwise.
"""

import argparse
import json

from neurmatic.cli.context import HOST, layout
from neurmatic.cli.table import table
from neurmatic.releases.status import Status, look
from neurmatic.runtimes.choice import runtime_of
from neurmatic.stack.layout import Layout

ORPHANED = "its supervisor was killed; it goes on serving, and the next supervisor waits to take over"
COLUMNS = ("service", "instance", "state", "health", "version", "address", "pid", "memory", "restarts")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    return show(layout(args), as_json=args.json)


def show(where: Layout, *, as_json: bool) -> int:
    """Print the status; returns the exit code."""
    status = look(HOST, where, runtime_of(HOST, where))
    print(json.dumps(status.as_json(), indent=2) if as_json else text(status))
    return 0 if status.ok else 1


def text(status: Status) -> str:
    """The status as text, with a line below for each instance that is not well."""
    rows = [
        (
            *(row.service, row.instance, row.state, row.health, row.version, row.address, str(row.pid or "")),
            *(f"{row.memory_bytes / 2**20:.0f} MB", str(row.restarts)),
        )
        for row in status.services
    ]
    lines = [table(COLUMNS, rows)]
    lines += [f"! {row.instance}: {row.detail}" for row in status.services if row.health == "unhealthy"]
    lines += [f"! {row.instance}: {ORPHANED}" for row in status.services if row.state == "orphaned"]
    if status.maintenance:
        lines.append(f"! {status.maintenance}; `neurmatic maintenance off` opens it")
    lines += [f"{row.instance} runs next at {row.next_run}" for row in status.services if row.next_run]
    total = sum(row.memory_bytes for row in status.services)
    return "\n".join(
        [*lines, f"{status.stack} ({status.environment}), release {status.release}, {total / 2**20:.0f} MB in all"]
    )
