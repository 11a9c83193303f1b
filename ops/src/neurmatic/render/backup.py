"""pgBackRest's configuration, the key of the dumps, and what PostgreSQL is told of archiving."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from neurmatic.render.file import File, Files
from neurmatic.stack.backup import KEY, S3, S3_KEY_ID, S3_SECRET, Backup
from neurmatic.stack.layout import Layout
from neurmatic.stack.postgres import Postgres
from neurmatic.stack.secret import Secret
from neurmatic.stack.section import size_bytes

STANZA = "main"
"""pgBackRest's name for the cluster; there is one in each stack."""


def local_folder(backup: Backup, layout: Layout) -> Path:
    """Where the local store lies."""
    return Path(backup.folder) if backup.folder else layout.backups


def archive_settings(backup: Backup, layout: Layout) -> dict[str, object]:
    """PostgreSQL's settings that send each segment of the WAL to the archive."""
    command = f"pgbackrest --config={layout.backup_config} --stanza={STANZA} archive-push %p"
    return {"archive_mode": "on", "archive_command": f"'{command}'", "archive_timeout": f"{backup.archive_seconds}s"}


def render_backup(backup: Backup, postgres: Postgres, secrets: Mapping[str, Secret], layout: Layout) -> Files:
    """What pgBackRest and age read; both files are for the services' account alone."""
    lines = [
        "# Written by neurmatic; change neurmatic.toml instead.",
        "[global]",
        *_common(backup, layout),
        *_repository(1, secrets, f"repo1-path={local_folder(backup, layout)}/physical", backup.days),
    ]
    if backup.s3:
        path = "/".join(part for part in (backup.s3.prefix, "physical") if part)
        lines += [*_repository(2, secrets, f"repo2-path=/{path}", backup.s3.days), *_s3(backup.s3, secrets, layout)]
        # A store that is gone is given up after 20 s instead of minutes, in which the other one would get nothing.
        lines += ["[global:archive-push]", "io-timeout=5"]
    lines += [f"[{STANZA}]", f"pg1-path={layout.postgres}", f"pg1-port={postgres.port}", "pg1-user=postgres"]
    config, key = (str(path.relative_to(layout.state)) for path in (layout.backup_config, layout.backup_key))
    return {
        config: File("\n".join(lines) + "\n", mode=0o600, secret=True, service_owned=True),
        key: File(secrets[KEY].reveal() + "\n", mode=0o600, secret=True, service_owned=True),
    }


def _common(backup: Backup, layout: Layout) -> Iterator[str]:
    yield "compress-type=zst"
    yield "compress-level=1"
    yield f"process-max={backup.processes}"
    yield "start-fast=y"  # a checkpoint now, instead of one within five minutes
    yield "archive-async=y"
    yield "archive-timeout=20"  # PostgreSQL waits as long for it when it is stopped while a store can't be reached
    yield "io-timeout=20"
    yield f"archive-push-queue-max={size_bytes(backup.archive_most)}"
    yield "expire-auto=n"  # what goes is decided by the proofs, too: `neurmatic backup prune`
    yield f"spool-path={layout.run}/archive"
    yield f"lock-path={layout.run}/pgbackrest"
    yield f"log-path={layout.logs}/backup"
    yield "log-level-console=warn"
    yield "log-level-file=info"


def _repository(number: int, secrets: Mapping[str, Secret], path: str, days: int) -> Iterator[str]:
    yield path
    yield f"repo{number}-bundle=y"  # small files travel together
    yield f"repo{number}-cipher-type=aes-256-cbc"
    yield f"repo{number}-cipher-pass={secrets[KEY].reveal()}"
    yield f"repo{number}-retention-full-type=time"
    yield f"repo{number}-retention-full={days}"


def _s3(store: S3, secrets: Mapping[str, Secret], layout: Layout) -> Iterator[str]:
    url = urlsplit(store.endpoint or f"https://s3.{store.region}.amazonaws.com")
    yield "repo2-type=s3"
    yield f"repo2-s3-bucket={store.bucket}"
    yield f"repo2-s3-region={store.region}"
    yield f"repo2-s3-endpoint={url.hostname}"
    if url.port:
        yield f"repo2-storage-port={url.port}"
    if store.path_style:
        yield "repo2-s3-uri-style=path"
    if store.ca:
        yield f"repo2-storage-ca-file={(layout.project / store.ca).resolve()}"
    yield f"repo2-s3-key={secrets[S3_KEY_ID].reveal()}"
    yield f"repo2-s3-key-secret={secrets[S3_SECRET].reveal()}"
