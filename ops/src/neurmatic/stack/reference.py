"""The stack file's reference page and the starter file, made from the sections' own fields."""

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from neurmatic.stack.model import Stack
from neurmatic.stack.profiles import PROFILES


def reference() -> str:
    """The whole reference page, as Markdown."""
    head = (
        "# The stack file\n\n"
        "Made by `neurmatic reference` from the fields themselves; run `make docs` after a change.\n\n"
        "`neurmatic.toml` describes what should run. Tables under `[environments.development]`, `.staging` and `.production` "
        "overlay the rest for that environment, such as `[environments.production.redis]`. "
        "`neurmatic config` shows the effective result and where each value comes from.\n"
    )
    return "\n".join([head, *(_section(name, model) for name, model in _sections(Stack)), _figures()])


def _sections(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    for name, info in model.model_fields.items():
        key = prefix + (info.alias or name)
        inner, is_table = _model_in(info.annotation)
        if inner:
            path = f"{key}.NAME" if is_table else key
            yield path, inner
            yield from _sections(inner, f"{path}.")


def _model_in(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The section within an annotation, and whether it is a table of such sections."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for inner in get_args(annotation):
        found, _ = _model_in(inner)
        if found:
            return found, get_origin(annotation) is dict
    return None, False


def _section(name: str, model: type[BaseModel]) -> str:
    lines = [f"\n## [{name}]\n\n{model.__doc__}\n", "| field | default | meaning |", "|---|---|---|"]
    for field, info in model.model_fields.items():
        if _model_in(info.annotation)[0] is None:
            lines.append(f"| `{field}` | {_default(info)} | {info.description} |")
    return "\n".join(lines) + "\n"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    return "none" if value is None or value is PydanticUndefined else f"`{toml_value(value)}`"


def toml_value(value: Any) -> str:
    """A default as the stack file would write it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_value(one) for one in value) + "]"
    if isinstance(value, float):
        return f"{value:g}"
    return "{}" if value == {} else str(value)


def _figures() -> str:
    lines = [
        "\n## Figures of the environments\n\nUnless the stack file says otherwise.\n",
        "| environment | field | value |",
        "|---|---|---|",
    ]
    lines += [
        f"| {environment} | `{section}.{field}` | `{toml_value(value)}` |"
        for environment, sections in PROFILES.items()
        for section, fields in sections.items()
        for field, value in fields.items()
    ]
    return "\n".join(lines) + "\n"
