"""What every store offers: objects by key, each there as a whole or not at all."""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import BinaryIO, Protocol

from neurmatic.errors import NeurmaticError
from neurmatic.hosts.pipeline import Source


class StoreError(NeurmaticError):
    """A store refused, could not be reached, or holds something else than was put there."""


@dataclass(frozen=True)
class Entry:
    """One object of a store; its size is in bytes."""

    key: str
    size: int
    modified: datetime


NOTHING: Mapping[str, str] = MappingProxyType({})
"""What is said of an object of which nothing is."""


class Store(Protocol):
    """Objects by key, such as ``logical/ID.dump``. Every method raises StoreError."""

    @property
    def name(self) -> str:
        """``local`` or ``s3``."""
        ...

    def put(self, key: str, source: Source, about: Mapping[str, str] = NOTHING) -> Entry:
        """Store all that the source gives, and see that it arrived. On any error, its own included, nothing is there.

        Args:
            key: of an object that is not there yet.
            source: it is read to its end.
            about: metadata, where the store keeps any.
        """
        ...

    def put_text(self, key: str, text: str, about: Mapping[str, str] = NOTHING) -> None: ...

    def open(self, key: str) -> AbstractContextManager[BinaryIO]: ...

    def text(self, key: str) -> str | None:
        """A small object's text; None when there is none."""
        ...

    def metadata(self, key: str) -> Mapping[str, str]:
        """What was said of it when it was stored; empty where a store keeps none."""
        ...

    def entries(self, prefix: str = "") -> list[Entry]:
        """Objects whose key begins so, by key."""
        ...

    def remove(self, key: str) -> None:
        """Remove an object; none there is fine."""
        ...

    def clear_leftovers(self) -> int:
        """Remove what killed runs left unfinished, if it is older than a day; how many there were."""
        ...


class Metered:
    """A source that counts and hashes what is read of it.

    Args:
        at_end: called when the source ends, before that end is passed on; what it raises, `read` raises.
    """

    def __init__(self, source: Source, at_end: Callable[[], object] = lambda: None) -> None:
        self._source = source
        self._at_end = at_end
        self._hash = hashlib.sha256()
        self.size = 0

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(size)
        if not data:
            self._at_end()
        self.size += len(data)
        self._hash.update(data)
        return data

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()
