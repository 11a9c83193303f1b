"""Where secrets may have got to: places to look at, each with what it says. Everything is read as a stream, whatever its size."""

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Protocol, cast

from neurmatic.hosts.base import Host
from neurmatic.hosts.pipeline import Program
from neurmatic.readiness.finding import Unverifiable
from neurmatic.runtimes.containers.engine import Engine

SHORTEST = 12
"""Characters; a shorter one would be found by chance."""
CHUNK = 1 << 20
LOG_BYTES = 20_000_000
_GZIP, _ZSTANDARD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class Stream(Protocol):
    """Bytes to be searched."""

    def read(self, size: int, /) -> bytes: ...


def sought(secrets: Mapping[str, str]) -> dict[bytes, str]:
    """What to look for, as it is and as JSON has it, and the name of the secret that it is."""
    long = {name: value for name, value in secrets.items() if len(value) >= SHORTEST}
    quoted = {json.dumps(value, ensure_ascii=False)[1:-1].encode(): name for name, value in long.items()}
    return quoted | {value.encode(): name for name, value in long.items()}


def found_in(stream: Stream, wanted: Mapping[bytes, str]) -> set[str]:
    """Names of the secrets that stand in it."""
    found: set[str] = set()
    overlap = max(map(len, wanted), default=1) - 1  # one may lie across two chunks
    rest = b""
    while chunk := stream.read(CHUNK):
        text = rest + chunk
        found |= _named(text, wanted)
        rest = text[-overlap:] if overlap else b""
    return found | _named(rest, wanted)


def _named(text: bytes, wanted: Mapping[bytes, str]) -> set[str]:
    return {name for value, name in wanted.items() if value in text}


def in_files(host: Host, files: list[Path], wanted: Mapping[bytes, str]) -> Iterator[str]:
    """Sentences about files that say a secret."""
    for path in files:
        if host.size(path):
            with host.reading(path) as file:
                for name in sorted(found_in(file, wanted)):
                    yield f"{name} in {path}"


def in_history(host: Host, git: list[str], wanted: Mapping[bytes, str]) -> Iterator[str]:
    """Sentences about whatever was committed once, on any branch, and is in the repository still."""
    objects = [*git, "cat-file", "--batch-all-objects", "--batch", "--buffer", "--unordered"]
    with host.pipeline([Program(objects)]) as stream:
        for name in sorted(found_in(stream, wanted)):
            yield f"{name} in the repository's history"


def in_arguments(host: Host, wanted: Mapping[bytes, str]) -> Iterator[str]:
    """Sentences about processes whose arguments say a secret."""
    for pid in filter(str.isdigit, host.names(Path("/proc"))):
        for name in sorted(_named(host.command_line(int(pid)).encode(), wanted)):
            yield f"{name} in the arguments of process {pid}"


def in_engine(engine: Engine, wanted: Mapping[bytes, str]) -> Iterator[str]:
    """Sentences about containers and images that say a secret: to whoever may ask the engine, or has the image."""
    running = engine.containers()
    for at, said in running.items():
        for name in sorted(_named(json.dumps(said, ensure_ascii=False).encode(), wanted)):
            yield f"{name} in what the engine says of {at}"
        for name in sorted(_named("\n".join(engine.log(at, LOG_BYTES)).encode(), wanted)):
            yield f"{name} in the log of {at}"
    images = {said["Image"]: at for at, said in running.items()}
    yield from in_images(engine, images, wanted)


def in_images(engine: Engine, images: Mapping[str, str], wanted: Mapping[bytes, str]) -> Iterator[str]:
    """Sentences about images that say a secret: in a layer, though a later one removes it again, in a setting or the history.

    Args:
        engine: has them.
        images: whose image each is, by its digest.
        wanted: as `sought` makes it.
    """
    found: dict[str, set[str]] = {}
    with engine.saved(list(images)) as archive:
        for one in archive:
            if one.isfile() and (file := archive.extractfile(one)):
                if one.name == "manifest.json":
                    manifest = json.load(file)
                    continue
                found[one.name] = found_in(_unpacked(file), wanted)
    for image in manifest:
        digest = "sha256:" + Path(image["Config"]).name.removesuffix(".json")
        parts = {image["Config"]: "the settings or the history"} | dict.fromkeys(image["Layers"], "a layer")
        for part, words in parts.items():
            for name in sorted(found.get(part, ())):
                yield f"{name} in {words} of {images.get(digest, digest)}'s image"


class _From:
    """A stream from its begin on, which was read already."""

    def __init__(self, begin: bytes, rest: IO[bytes]) -> None:
        self.begin, self.rest = begin, rest

    def read(self, size: int, /) -> bytes:
        begin, self.begin = self.begin[:size], self.begin[size:]
        return begin or self.rest.read(size)


def _unpacked(file: IO[bytes]) -> Stream:
    """A layer as it is; some engines keep them packed.

    Raises:
        Unverifiable: in a way that can't be read here.
    """
    begin = file.read(len(_ZSTANDARD))
    whole = _From(begin, file)
    if begin == _ZSTANDARD:
        raise Unverifiable("the engine keeps layers packed with zstandard", "search them where they can be unpacked")
    if begin.startswith(_GZIP):
        return gzip.GzipFile(fileobj=cast("IO[bytes]", whole), mode="rb")  # it does nothing but read
    return whole
