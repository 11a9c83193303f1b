"""What every part of backups needs: whose database, with which programs, keys and stores, and who hears of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from neurmatic.backups.stores.base import Store, StoreError
from neurmatic.backups.stores.folder import FolderStore, check_folder
from neurmatic.errors import ConfigurationError
from neurmatic.hosts.base import Host
from neurmatic.hosts.pipeline import Program
from neurmatic.releases import running
from neurmatic.releases.events import EventLog
from neurmatic.releases.project import Reporter
from neurmatic.releases.up import Up
from neurmatic.releases.values import read_secrets
from neurmatic.render.backup import local_folder
from neurmatic.render.inside import places_in
from neurmatic.render.places import Places
from neurmatic.runtimes.base import Runtime
from neurmatic.stack.backup import Backup
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack
from neurmatic.stack.postgres import Postgres
from neurmatic.stack.secret import Secret

SUPERUSER = "postgres"


@dataclass(frozen=True)
class Setting:
    """One stack's backups. Nothing here knows how PostgreSQL was started: it is asked on its port, as any client does, and stopped by its runtime.

    Args:
        user: account that programs run as and files belong to; None when the tool isn't root.
        postgres_bin: folder with pg_dump, pg_restore, postgres and the like, of the server's own version.
    """

    host: Host
    layout: Layout
    stack: Stack
    secrets: Mapping[str, Secret]
    user: str | None
    postgres_bin: Path
    reporter: Reporter
    runtime: Runtime

    @property
    def places(self) -> Places:
        """Where the stack's servers answer."""
        return places_in(self.layout, self.stack)

    @property
    def backup(self) -> Backup:
        """The stack file's [backup].

        Raises:
            ConfigurationError: it has none.
        """
        if not self.stack.backup or not self.stack.postgres:
            raise ConfigurationError(
                "the stack file has no [backup]", "add [backup]; docs/reference/stack-file.md describes it"
            )
        return self.stack.backup

    @property
    def postgres(self) -> Postgres:
        assert self.stack.postgres is not None  # noqa: S101  as the model makes sure of
        return self.stack.postgres

    @property
    def events(self) -> EventLog:
        return EventLog(self.host, self.layout)

    @property
    def identity_file(self) -> Path:
        """The key, as age reads it."""
        return self.layout.backup_key

    @property
    def release(self) -> str:
        """The release that was started last; empty when nothing ever was."""
        return running.read(self.host, self.layout).release if self.host.exists(self.layout.running) else ""

    @cached_property
    def key_id(self) -> str:
        """The public half of the key: who has the other half can open what is encrypted for it."""
        said = self.host.run(["age-keygen", "-y", str(self.identity_file)], env={}, user=self.user)
        return said.out.strip()

    @cached_property
    def stores(self) -> tuple[Store, ...]:
        """The local store, and the bucket if there is one."""
        found: list[Store] = [self.local]
        if self.backup.s3:
            from neurmatic.backups.stores.s3 import S3Store  # noqa: PLC0415  its library is slow to import

            found.append(S3Store.of(self.backup.s3, self.secrets, self.layout.project))
        return tuple(found)

    @cached_property
    def local(self) -> FolderStore:
        root = local_folder(self.backup, self.layout)
        if self.backup.folder:
            check_folder(self.host, root)
        return FolderStore(self.host, root, self.user)

    def store(self, name: str) -> Store:
        """The store of this name.

        Raises:
            StoreError: the stack has none.
        """
        for one in self.stores:
            if one.name == name:
                return one
        raise StoreError(f"this stack has no store {name!r}", "[backup.s3] describes a bucket")

    def program(self, name: str, *words: str, password: bool = True) -> Program:
        """A program of PostgreSQL's, as the account, with the superuser's password in its environment."""
        env = {"LANG": "C.UTF-8"}
        if password:
            env["PGPASSWORD"] = self.secrets["POSTGRES_SUPERUSER_PASSWORD"].reveal()
        return Program([str(self.postgres_bin / name), *words], env, self.user)


def setting_of(up: Up) -> Setting:
    """The setting of a stack that `up` may start, or has started."""
    up.way.check()
    folder = Path(up.way.programs.get("postgres", "")).parent
    secrets = read_secrets(up.host, up.layout)
    return Setting(up.host, up.layout, up.stack, secrets, up.user, folder, up.reporter, up.runtime)
