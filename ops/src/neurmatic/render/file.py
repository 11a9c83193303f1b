"""One rendered file: its text, and how it may be read."""

from dataclasses import dataclass


@dataclass(frozen=True)
class File:
    """Text of a file and how it may be read.

    Attributes:
        secret: its text is never shown, in a plan or elsewhere.
        service_owned: it belongs to the account that runs the services, which reads it itself.
    """

    text: str
    mode: int = 0o644
    secret: bool = False
    service_owned: bool = False


Files = dict[str, File]
"""Rendered files by their path below the state folder."""
