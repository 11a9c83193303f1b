"""Show the effective configuration for an environment, and where each value comes from.

Origins: a line of the stack file, the environment's figures (built in, from the readiness catalogue), or the field's
default. Secrets are never part of the stack file; their names are listed, their values masked.
"""

import argparse
import json
from collections.abc import Iterator
from typing import Any

from neurmatic.cli.context import HOST, layout
from neurmatic.cli.loaded import load_stack
from neurmatic.releases.secrets import generated_names
from neurmatic.releases.values import read_secrets

Path = tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON: {path: {value, origin}}")


def run(args: argparse.Namespace) -> int:
    loaded = load_stack(args)
    rows = [
        (".".join(path), value, loaded.origins.get(path, "default"))
        for path, value in _flat(loaded.stack.model_dump(by_alias=True, mode="json"))
    ]
    known = read_secrets(HOST, layout(args))
    names = dict.fromkeys((*generated_names(loaded.stack), *loaded.stack.secrets.require))
    rows += [(f"secret {name}", "********" if name in known else "(not made yet)", "secrets.env") for name in names]
    if args.json:
        print(json.dumps({name: {"value": value, "origin": origin} for name, value, origin in rows}, indent=2))
        return 0
    width = max(len(name) for name, _, _ in rows)
    for name, value, origin in rows:
        print(f"{name.ljust(width)} = {json.dumps(value):30} # {origin}")
    return 0


def _flat(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, (*path, key))
    elif value is not None:
        yield path, value
