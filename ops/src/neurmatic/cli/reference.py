"""Print the stack file's reference page as Markdown, made from the fields' own types, defaults and descriptions."""

import argparse
import json

from neurmatic.stack.model import Stack
from neurmatic.stack.reference import reference


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the stack file's JSON schema instead, for editors")


def run(args: argparse.Namespace) -> int:
    print(json.dumps(Stack.model_json_schema(by_alias=True), indent=2) if args.json else reference(), end="")
    return 0
