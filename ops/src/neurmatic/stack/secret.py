"""A value that knows how it may be shown: not at all."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Secret:
    """A secret text; only `reveal` gives it, so that no message, log or traceback shows it by accident."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        return self._value

    def __str__(self) -> str:
        return "********"
