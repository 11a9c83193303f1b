"""What a check found, as data; the report is made from nothing else."""

from dataclasses import dataclass, field
from enum import StrEnum


class Status(StrEnum):
    """`unchecked`: no check exists yet, or it was not asked for. `unverifiable`: it can't be executed here."""

    PASS = "pass"  # noqa: S105  a verdict
    FAIL = "fail"
    UNVERIFIABLE = "unverifiable"
    UNCHECKED = "unchecked"


@dataclass(frozen=True)
class Finding:
    """One claim and what became of it. `evidence` says what was done and what was seen; `duration_s` is in seconds."""

    slug: str
    section: int
    claim: str
    status: Status
    evidence: str
    duration_s: float
    hint: str


class Refuted(Exception):  # noqa: N818  it is a verdict on a claim, not an error of the program
    """The claim does not hold.

    Attributes:
        hint: what to do about it.
    """

    def __init__(self, seen: str, hint: str = "") -> None:
        super().__init__(seen)
        self.hint = hint


class Unverifiable(Exception):  # noqa: N818  as above
    """The claim can't be executed here; `hint` is the command or setting that would settle it."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint


@dataclass
class Evidence:
    """What was seen so far. A check notes what it sees; the first thing that refutes the claim ends it."""

    seen: list[str] = field(default_factory=list)

    def note(self, what: str) -> None:
        """Something seen that fits the claim."""
        self.seen.append(what)

    def expect(self, holds: bool, what: str, hint: str = "") -> None:
        """Note what was seen if it fits the claim.

        Raises:
            Refuted: it doesn't.
        """
        if not holds:
            raise Refuted(what, hint)
        self.note(what)

    def __str__(self) -> str:
        return "; ".join(self.seen)
