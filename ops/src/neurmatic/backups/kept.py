"""What restores in place put aside: databases and data folders, until the operator drops them."""

from dataclasses import dataclass
from pathlib import Path

from neurmatic.backups import logical, swap
from neurmatic.backups.database import DatabaseError
from neurmatic.backups.setting import Setting
from neurmatic.errors import ConfigurationError

BEFORE = ".before-"
"""Between the name of the data folder and the time it was put aside."""


@dataclass(frozen=True)
class PutAside:
    """A database or a data folder of before a restore; its size is in bytes."""

    name: str
    size: int
    folder: Path | None = None


def put_aside(setting: Setting) -> list[PutAside]:
    """Everything that restores in place have put aside and nobody has dropped."""
    data = setting.layout.data
    found = [
        PutAside(name, setting.host.folder_bytes(data / name), data / name)
        for name in setting.host.names(data)
        if name.startswith(setting.layout.postgres.name + BEFORE)
    ]
    try:
        databases = swap.kept_before(logical.live(setting, "postgres"), setting.postgres.database)
    except DatabaseError:
        databases = []  # without a server the folders can be seen still
    return [*(PutAside(name, size) for name, size in databases), *found]


def drop(setting: Setting, name: str) -> PutAside:
    """Delete one of them for good.

    Raises:
        ConfigurationError: there is none of that name.
    """
    for one in put_aside(setting):
        if one.name == name:
            with setting.events.recorded("drop", name=name, bytes=one.size):
                if one.folder:
                    setting.host.remove(one.folder)
                else:
                    swap.drop(logical.live(setting, "postgres"), name)
            return one
    raise ConfigurationError(
        f"no restore has put aside anything called {name!r}", "`neurmatic restore --kept` lists what there is"
    )
