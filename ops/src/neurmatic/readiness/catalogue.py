"""The catalogue of claims, as data: catalogue.toml beside this module."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Claim:
    """One thing that the readiness report says of the stack, and what must be seen for it to hold."""

    slug: str
    section: int
    words: str
    seen: str

    @property
    def module(self) -> str:
        """Name of the module in `checks/` that executes this claim, if there is one."""
        return self.slug.replace(".", "_").replace("-", "_")


@cache
def claims() -> tuple[Claim, ...]:
    """Every claim, in the catalogue's order."""
    return tuple(Claim(**claim) for claim in _read()["claim"])


@cache
def section_titles() -> dict[int, str]:
    """Titles of the catalogue's sections, by number."""
    return {section["number"]: section["title"] for section in _read()["section"]}


def _read() -> dict[str, list[dict[str, Any]]]:
    text = (files(__package__) / "catalogue.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
