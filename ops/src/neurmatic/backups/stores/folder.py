"""The local store: a folder, for the services' account alone."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from neurmatic.backups.stores.base import NOTHING, Entry, StoreError
from neurmatic.hosts.base import Host
from neurmatic.hosts.pipeline import Source

CHUNK = 1 << 20
LEFTOVER_AGE = timedelta(days=1)


@dataclass(frozen=True)
class FolderStore:
    """Objects as files. A file appears under its name when it is whole and on the disk.

    Args:
        owner: account that the files belong to; None: whoever runs the tool.
    """

    host: Host
    root: Path
    owner: str | None = None
    name: str = "local"

    def put(self, key: str, source: Source, about: Mapping[str, str] = NOTHING) -> Entry:
        """Files have no metadata: a backup's manifest says all of it."""
        del about
        path = self._prepared(key)
        with self.host.writing(path, mode=0o600, owner=self.owner) as file:
            while chunk := source.read(CHUNK):
                file.write(chunk)
        return self._entry(path)

    def put_text(self, key: str, text: str, about: Mapping[str, str] = NOTHING) -> None:
        del about
        self.host.write(self._prepared(key), text, mode=0o600, owner=self.owner)

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        with self.host.reading(self.root / key) as file:
            yield file

    def text(self, key: str) -> str | None:
        return self.host.read(self.root / key)

    def metadata(self, key: str) -> Mapping[str, str]:
        del key
        return {}

    def entries(self, prefix: str = "") -> list[Entry]:
        folder = self.root / prefix.rpartition("/")[0]
        return [
            entry
            for path in self._files(folder)
            if (entry := self._entry(path)).key.startswith(prefix) and not path.name.startswith(".")
        ]

    def remove(self, key: str) -> None:
        self.host.remove(self.root / key)

    def clear_leftovers(self) -> int:
        before = datetime.now(UTC) - LEFTOVER_AGE
        old = [
            path for path in self._files(self.root) if path.name.startswith(".") and self._entry(path).modified < before
        ]
        for path in old:
            self.host.remove(path)
        return len(old)

    def _prepared(self, key: str) -> Path:
        """The object's path, its folders made from the root down."""
        path = self.root / key
        for folder in (self.root, *reversed([p for p in path.parents if p.is_relative_to(self.root)])):
            if not self.host.exists(folder):
                self.host.make_folder(folder, mode=0o700, owner=self.owner)
        return path

    def _files(self, folder: Path) -> Iterator[Path]:
        for name in self.host.names(folder):
            path = folder / name
            if self.host.is_folder(path):
                if path != self.root / "physical":  # pgBackRest's own
                    yield from self._files(path)
            else:
                yield path

    def _entry(self, path: Path) -> Entry:
        modified = self.host.modified(path)
        if modified is None:
            raise StoreError(f"{path} is gone")
        size = self.host.size(path)
        return Entry(str(path.relative_to(self.root)), size, datetime.fromtimestamp(modified, UTC))


def check_folder(host: Host, root: Path) -> None:
    """A folder that was named must be there: an empty mount point is no place for backups.

    Raises:
        StoreError: it isn't.
    """
    if not host.exists(root):
        raise StoreError(f"the folder of the local store is not there: {root}", "make or mount it")
