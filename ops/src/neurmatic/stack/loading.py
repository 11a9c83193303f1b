"""From the text of a stack file to a validated stack, with the origin of each value and every problem at once."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from neurmatic.errors import ConfigurationError
from neurmatic.stack.model import Stack
from neurmatic.stack.positions import Path, line_numbers, nearest_line
from neurmatic.stack.profiles import PROFILES
from neurmatic.stack.suggestion import suggestion


@dataclass(frozen=True)
class Loaded:
    """A stack, and where each of its values comes from (``neurmatic.toml:12``, ``production's figures``, ``default``)."""

    stack: Stack
    origins: dict[Path, str] = field(hash=False)


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong with a stack file."""

    line: int
    where: str
    what: str


def load(text: str, filename: str, environment: str | None = None) -> Loaded:
    """Read a stack file's text for one environment.

    Raises:
        ConfigurationError: the text is no TOML, or a section is wrong; the message lists every problem with its line.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{filename} is not valid TOML: {error}") from None
    lines = line_numbers(text)
    overlays = data.pop("environments", {})
    chosen = environment or _default_environment(data)
    problems = list(_overlay_problems(overlays, chosen, lines))
    results: dict[str, Loaded] = {}
    if not problems:
        for name in PROFILES:
            try:
                results[name] = _merged(data, overlays.get(name, {}), name, filename, lines)
            except ValidationError as error:
                problems += _explained(error, name, overlays.get(name, {}), lines)
    if problems:
        listed = [f"{filename}:{p.line}: {p.where}{': ' if p.where else ''}{p.what}" for p in sorted(set(problems))]
        raise ConfigurationError(
            f"{len(listed)} problem{'s' * (len(listed) > 1)} in the stack file:\n  " + "\n  ".join(listed),
            "correct the lines named; docs/reference/stack-file.md describes every field",
        )
    return results[chosen]


def _default_environment(data: dict[str, Any]) -> str:
    stack = data.get("stack")
    name = stack.get("environment", "development") if isinstance(stack, dict) else "development"
    return name if name in PROFILES else "development"  # a wrong name is reported as the field's own problem


def _overlay_problems(overlays: Any, chosen: str, lines: dict[Path, int]) -> Iterator[Problem]:
    if not isinstance(overlays, dict):
        yield Problem(
            nearest_line(lines, ("environments",)),
            "environments",
            "must be tables such as [environments.production.redis]",
        )
        return
    for name, overlay in overlays.items():
        line = nearest_line(lines, ("environments", name))
        if name not in PROFILES:
            yield Problem(line, f"environments.{name}", f"unknown environment{suggestion(name, list(PROFILES))}")
        elif not isinstance(overlay, dict):
            yield Problem(line, f"environments.{name}", "must be a table")
    if chosen not in PROFILES:
        yield Problem(1, "--environment", f"there is no environment {chosen!r}{suggestion(chosen, list(PROFILES))}")


def _merged(data: dict[str, Any], overlay: dict[str, Any], name: str, filename: str, lines: dict[Path, int]) -> Loaded:
    values: dict[str, Any] = {}
    origins: dict[Path, str] = {}
    present = {key: part for key, part in PROFILES[name].items() if key in data or key in overlay}
    for prefix, layer in ((None, present), ((), data), (("environments", name), overlay)):
        for path, value in _flat(layer):
            where = f"{name}'s figures" if prefix is None else f"{filename}:{nearest_line(lines, (*prefix, *path))}"
            _put(values, path, value)
            origins[path] = where
    stack = values.setdefault("stack", {})
    if isinstance(stack, dict):
        stack["environment"] = name if stack.get("environment", name) in PROFILES else stack["environment"]
    return Loaded(Stack.model_validate(values), origins)


def _flat(table: dict[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, (*path, key))
        else:
            yield (*path, key), value


def _put(values: dict[str, Any], path: Path, value: Any) -> None:
    """Set one value; an empty table adds to what a lower layer says there, it doesn't replace it."""
    for part in path[:-1]:
        inner = values.get(part)
        values[part] = inner if isinstance(inner, dict) else {}
        values = values[part]
    if value != {} or not isinstance(values.get(path[-1]), dict):
        values[path[-1]] = value


def _explained(error: ValidationError, name: str, overlay: dict[str, Any], lines: dict[Path, int]) -> Iterator[Problem]:
    in_overlay = {path[:n] for path, _ in _flat(overlay) for n in range(1, len(path) + 1)}
    for one in error.errors():
        path = tuple(str(part) for part in one["loc"] if part != "[key]")
        message = one["msg"].removeprefix("Value error, ")
        if not path:  # what sections must satisfy together names its field itself
            for problem in message.split("; "):
                where, _, what = problem.partition(": ")
                yield Problem(nearest_line(lines, tuple(where.split(" ")[0].split("."))), where, what)
            continue
        own = path in in_overlay and path not in lines
        line = nearest_line(lines, ("environments", name, *path) if own else path)
        if one["type"] == "extra_forbidden":
            message = f"unknown key{suggestion(path[-1], _known_keys(path[:-1]))}"
        elif one["type"] == "missing":
            message = "is required"
        elif not isinstance(one["input"], dict | BaseModel):
            message += f" (it is {one['input']!r})"
        yield Problem(line, (f"environments.{name}." if own else "") + ".".join(path), message)


def _known_keys(path: Path) -> list[str]:
    """Keys that the table at this path may have."""
    model: type[BaseModel] = Stack
    for part in path:
        fields = {info.alias or key: info for key, info in model.model_fields.items()}
        if part in fields:
            found = _section_in(fields[part].annotation)
            if found is None:
                return []
            model = found
    return [info.alias or key for key, info in model.model_fields.items()]


def _section_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _section_in(arg))), None)
