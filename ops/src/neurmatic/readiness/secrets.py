"""Where secrets may have got to: places to look at, each with what it says."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from neurmatic.hosts.base import Host
from neurmatic.runtimes.containers.engine import Engine

SHORTEST = 12
"""Characters; a shorter one would be found by chance."""
LARGEST = 20_000_000
"""Bytes of a file that is read whole."""


def sought(secrets: Mapping[str, str]) -> dict[bytes, str]:
    """What to look for, and the name of the secret that it is."""
    return {value.encode(): name for name, value in secrets.items() if len(value) >= SHORTEST}


def found_in(text: bytes, wanted: Mapping[bytes, str]) -> set[str]:
    """Names of the secrets that stand in it."""
    return {name for value, name in wanted.items() if value in text}


def in_files(host: Host, files: list[Path], wanted: Mapping[bytes, str]) -> Iterator[str]:
    """Sentences about files that say a secret."""
    for path in files:
        if 0 < host.size(path) <= LARGEST:
            with host.reading(path) as file:
                for name in sorted(found_in(file.read(), wanted)):
                    yield f"{name} in {path}"


def in_arguments(host: Host, wanted: Mapping[bytes, str]) -> Iterator[str]:
    """Sentences about processes whose arguments say a secret."""
    for pid in filter(str.isdigit, host.names(Path("/proc"))):
        for name in found_in(host.command_line(int(pid)).encode(), wanted):
            yield f"{name} in the arguments of process {pid}"


def in_engine(engine: Engine, wanted: Mapping[bytes, str]) -> Iterator[str]:
    """Sentences about containers and images that say a secret: to whoever may ask the engine, or has the image."""
    running = engine.containers()
    for at, said in running.items():
        for name in found_in(repr(said).encode(), wanted):
            yield f"{name} in what the engine says of {at}"
        for name in found_in("\n".join(engine.log(at, LARGEST)).encode(), wanted):
            yield f"{name} in the log of {at}"
    for image in dict.fromkeys(said["Image"] for said in running.values()):
        for name in in_image(engine, image, wanted):
            yield f"{name} in image {image.removeprefix('sha256:')[:12]}"


def in_image(engine: Engine, image: str, wanted: Mapping[bytes, str]) -> set[str]:
    """Names of secrets that stand in an image's files, settings or history."""
    history = engine.docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", image).out
    found = found_in((repr(engine.image(image)) + history).encode(), wanted)
    with engine.files(image) as archive:
        for one in archive:
            if one.isfile() and 0 < one.size <= LARGEST and (file := archive.extractfile(one)):
                found |= found_in(file.read(), wanted)
    return found
