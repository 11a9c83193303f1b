"""What a release is made from, kept beside the backups: a fresh server makes the very same release of it.

Of containers nothing is: their images are the registry's to keep, or built from the project again.
"""

from neurmatic.backups.setting import Setting
from neurmatic.backups.stores.base import Store, StoreError
from neurmatic.errors import NeurmaticError
from neurmatic.hosts.pipeline import Program

FOLDER = "releases/"


def key(release: str) -> str:
    """Where a release's files lie in a store."""
    return f"{FOLDER}{release}.tar.zst.age"


def keep(setting: Setting, store: Store) -> None:
    """Put the files of the release that runs into the store, unless they are there: a release never changes."""
    release = setting.release
    files, folder = setting.stack.release.files, setting.layout.release(release)
    if setting.layout.contained or not files or not release or not setting.host.exists(folder):
        return
    if any(entry.key == key(release) for entry in store.entries(FOLDER)):
        return
    programs = [
        Program(["tar", "--create", "--directory", str(folder), "--", *files]),
        Program(["zstd", "-T0", "--stdout", "--quiet"]),
        Program(["age", "--encrypt", "--identity", str(setting.identity_file)], user=setting.user),
    ]
    with setting.host.pipeline(programs) as stream:
        store.put(key(release), stream)
    setting.reporter.say(f"the files of release {release} are kept in {store.name}")


def fetch(setting: Setting, store: Store, release: str) -> None:
    """Unpack a release's files into the project's folder, where those that it names are missing.

    Raises:
        NeurmaticError: they are neither there nor in the store.
    """
    host, project = setting.host, setting.layout.project
    if setting.layout.contained:
        return
    missing = [name for name in setting.stack.release.files if not host.exists(project / name)]
    if not missing:
        return
    setting.reporter.say(f"unpacking release {release} into {project}: {', '.join(missing)} are not there")
    programs = [
        Program(["age", "--decrypt", "--identity", str(setting.identity_file)], user=setting.user),
        Program(["zstd", "--decompress", "--stdout", "--quiet"]),
        Program(["tar", "--extract", "--no-same-owner", "--directory", str(project), "--", *missing]),
    ]
    try:
        with store.open(key(release)) as file, host.pipeline(programs, file) as stream:
            stream.drain()
    except StoreError as error:
        raise NeurmaticError(
            f"the files of release {release} are not in {store.name}: {error}",
            f"put {', '.join(missing)} into {project} and run the command again",
        ) from error
