"""Show the migrations that [release] migrations names: which ran here, and what is wrong with those that didn't yet.

Refused is what would keep a table locked for long (an index built without CONCURRENTLY, a type changed, a constraint checked at once), and
what would break the release that still serves while this one starts (a column dropped or renamed). The way to change a schema that is in
use is two releases: the first adds and does without what will go, the second takes it away. Two comments above a statement allow it:

  -- squawk-ignore RULE -- REASON       it does no harm here: the table is small, say
  -- neurmatic: contract REASON         it breaks the release before on purpose; after it there is no way back to that one

Read by squawk, a linter for PostgreSQL, which looks into no function bodies and no DO blocks.

Exit code 0 when nothing is refused, 1 when something is.
"""

import argparse
import json
from dataclasses import asdict

from neurmatic.cli.context import HOST, layout
from neurmatic.cli.loaded import load_stack
from neurmatic.errors import ConfigurationError
from neurmatic.releases.migrations import Lint, lint, ran, read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="look at those that ran, too")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    where, pattern = layout(args), load_stack(args).stack.release.migrations
    if pattern is None:
        raise ConfigurationError(
            "the stack file names no migrations", '[release] migrations = "migrations/*.sql" says where they are'
        )
    done = {} if args.all else ran(HOST, where)
    seen = lint(HOST, where.project, pattern, done)
    if args.json:
        print(json.dumps(asdict(seen), indent=2))
    else:
        for name in read(HOST, where.project, pattern):
            print(f"{'looked at' if name in seen.files else 'ran':10} {name}")
        print("\n".join(lines(seen)) or "nothing is refused")
    return 1 if seen.findings else 0


def lines(seen: Lint) -> list[str]:
    """What is refused and what is a contract, for the terminal."""
    said = [f"  {one.file}:{one.line}: contract: {one.reason}" for one in seen.contracts]
    for one in seen.findings:
        said.append(f"! {one.file}:{one.line}: {one.kind} ({one.rule}): {one.message}")
        said += [f"    {one.hint}"] if one.hint else []
    return said
