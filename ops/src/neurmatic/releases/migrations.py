"""Migrations read before they run: what would lock a table for long, or break the release that still serves.

squawk, a linter for PostgreSQL, reads the SQL; of what it finds, this keeps what answers these two questions. Two comments above a
statement allow it, each with a reason: `-- squawk-ignore RULE -- REASON` for one that does no harm here, and
`-- neurmatic: contract REASON` for one that breaks the release before on purpose, once no instance of it is left to break. A deploy notes
the latter: from then on the release before can't run on the schema.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from neurmatic.errors import CommandError, ConfigurationError
from neurmatic.hosts.base import Host
from neurmatic.stack.layout import Layout

LOCKS = frozenset(
    {
        "adding-field-with-default",  # a default that is computed row by row, which rewrites the table
        "adding-foreign-key-constraint",
        "adding-not-nullable-field",  # SET NOT NULL
        "adding-serial-primary-key-field",
        "ban-alter-domain-with-add-constraint",
        "changing-column-type",
        "constraint-missing-not-valid",
        "disallowed-unique-constraint",
        "require-concurrent-index-creation",
        "require-concurrent-index-deletion",
        "require-concurrent-partition-detach",
        "require-concurrent-reindex",
    }
)
BREAKS = frozenset(
    {
        "adding-required-field",  # rows that the release before inserts don't have it
        "ban-alter-identity",
        "ban-drop-column",
        "ban-drop-constraint",  # an ON CONFLICT may name it
        "ban-drop-database",
        "ban-drop-default",
        "ban-drop-function",
        "ban-drop-generated-expression",
        "ban-drop-not-null",  # what the release before reads was never NULL
        "ban-drop-schema",
        "ban-drop-sequence",
        "ban-drop-table",
        "ban-drop-type",
        "ban-drop-view",
        "ban-set-schema",
        "ban-truncate-cascade",
        "renaming-column",
        "renaming-object",
        "renaming-table",
    }
)
UNREADABLE = "syntax-error"
UNEXPLAINED = "no-reason"
_CONTRACT = re.compile(r"^\s*--\s*neurmatic:\s*contract\b[ \t]*(?P<reason>.*)$")
_IGNORE = re.compile(r"squawk-ignore(?:-file)?\b(?P<rest>.*)")
_REASON = re.compile(r"--\s*\S")

Kind = Literal["locks", "breaks", "unreadable", "unexplained"]


@dataclass(frozen=True)
class Finding:
    """Why a statement is refused. `line` is where it stands, from 1; `hint` may be empty."""

    file: str
    line: int
    kind: Kind
    rule: str
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Contract:
    """A statement after which the release before can't run any more, and why it is time for it."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True)
class Lint:
    """What was read, what is refused, and what ends the way back to the release before."""

    files: tuple[str, ...]
    findings: tuple[Finding, ...]
    contracts: tuple[Contract, ...]


def lint(host: Host, folder: Path, pattern: str, done: Mapping[str, str] | None = None) -> Lint:
    """Read the migrations below the folder, but for those in `done`: what ran can't be taken back, nor its file changed.

    Args:
        host: where the folder lies.
        folder: the project, or a checkout of it.
        pattern: as [release] migrations says it.
        done: as `ran` says it.

    Raises:
        ConfigurationError: no file is meant, or the linter is not installed.
        CommandError: the linter said nothing that could be understood.
    """
    texts = read(host, folder, pattern)
    new = {name: text for name, text in texts.items() if (done or {}).get(name) != _digest(text)}
    if not new:
        return Lint((), (), ())
    # No configuration but this: what is allowed stands beside the statement. In one transaction a table's own index locks nobody.
    words = [_linter(host), "--reporter", "json", "--assume-in-transaction", "--config", "/dev/null"]
    said = host.run([*words, *new], cwd=folder, check=False)
    try:
        found = json.loads(said.out)
    except ValueError:
        raise CommandError(f"squawk could not read the migrations: {(said.err or said.out).strip()[:500]}") from None
    return judge(found, new)


def judge(said: Sequence[Mapping[str, Any]], texts: Mapping[str, str]) -> Lint:
    """What squawk said of these texts, by file name, less what is allowed with a reason."""
    contracts = {name: list(_contracts(name, text)) for name, text in texts.items()}
    findings = [finding for name, text in texts.items() for finding in _unexplained(name, text)]
    for one in said:
        name, line, rule = str(one["file"]), int(one["line"]) + 1, str(one["rule_name"])
        kind = _kind(rule)
        if kind is None or (kind == "breaks" and _allowed(texts[name], line, contracts[name])):
            continue
        findings.append(Finding(name, line, kind, rule, str(one["message"]), _hint(kind, one.get("help"))))
    known = [one for of in contracts.values() for one in of if one.reason]
    return Lint(tuple(texts), tuple(sorted(findings, key=lambda one: (one.file, one.line, one.rule))), tuple(known))


def read(host: Host, folder: Path, pattern: str) -> dict[str, str]:
    """Text of each migration by its path below the folder, in their order.

    Raises:
        ConfigurationError: there is none.
    """
    if not (found := _texts(host, folder, pattern)):
        raise ConfigurationError(f"release.migrations: nothing in {folder} matches {pattern}")
    return found


def ran(host: Host, layout: Layout) -> dict[str, str]:
    """Digest of each migration that ran on this stack's database, by its path."""
    return dict(json.loads(host.read(layout.migrations) or "{}"))


def note(host: Host, layout: Layout, folder: Path, pattern: str) -> None:
    """Keep in mind that all of these ran."""
    digests = {name: _digest(text) for name, text in _texts(host, folder, pattern).items()}
    host.write(layout.migrations, json.dumps(ran(host, layout) | digests, indent=1) + "\n")


def forget(host: Host, layout: Layout, files: Sequence[str]) -> None:
    """Of these it isn't known any more that they ran."""
    kept = {name: digest for name, digest in ran(host, layout).items() if name not in files}
    host.write(layout.migrations, json.dumps(kept, indent=1) + "\n")


def _texts(host: Host, folder: Path, pattern: str) -> dict[str, str]:
    return {name: host.read(folder / name) or "" for name in _matching(host, folder, Path(pattern).parts)}


def _matching(host: Host, folder: Path, parts: Sequence[str], above: str = "") -> Iterator[str]:
    for name in host.names(folder):
        if not fnmatchcase(name, parts[0]) or (name.startswith(".") and not parts[0].startswith(".")):
            continue
        if len(parts) == 1 and not host.is_folder(folder / name):
            yield above + name
        elif len(parts) > 1:
            yield from _matching(host, folder / name, parts[1:], f"{above}{name}/")


def _linter(host: Host) -> str:
    """Beside the tool's own Python first: there it has the version that the tool was tested with."""
    beside = Path(sys.executable).with_name("squawk")
    found = str(beside) if host.exists(beside) else host.which("squawk")
    if not found:
        raise ConfigurationError(
            "the linter of migrations is not installed: squawk", f"{sys.executable} -m pip install squawk-cli"
        )
    return found


def _kind(rule: str) -> Kind | None:
    if rule == UNREADABLE:
        return "unreadable"
    return "locks" if rule in LOCKS else "breaks" if rule in BREAKS else None


def _hint(kind: Kind, said: str | None) -> str:
    way_out = "two releases do it: one that does without, then this one, with `-- neurmatic: contract REASON` above the statement"
    return " ".join(filter(None, (said, way_out if kind == "breaks" else "")))


def _contracts(name: str, text: str) -> Iterator[Contract]:
    for number, line in enumerate(text.splitlines(), start=1):
        if found := _CONTRACT.match(line):
            yield Contract(name, number, found["reason"].strip())


def _unexplained(name: str, text: str) -> Iterator[Finding]:
    for number, line in enumerate(text.splitlines(), start=1):
        marked, ignored = _CONTRACT.match(line), _IGNORE.search(line)
        if marked and not marked["reason"].strip():
            yield _without_reason(name, number, "a contract", "-- neurmatic: contract REASON")
        if ignored and not _REASON.search(ignored["rest"]):
            yield _without_reason(name, number, "what is ignored", "-- squawk-ignore RULE -- REASON")


def _without_reason(name: str, line: int, what: str, how: str) -> Finding:
    return Finding(name, line, "unexplained", UNEXPLAINED, f"{what} needs a reason", how)


def _allowed(text: str, line: int, contracts: Sequence[Contract]) -> bool:
    """Whether the statement at this line stands below a contract, with no end of another one between them."""
    lines = text.splitlines()
    between = (lines[one.line : line - 1] for one in contracts if one.reason and one.line < line)
    return any(not any(";" in words.partition("--")[0] for words in part) for part in between)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
