"""A lost server: on a fresh one, with the stack file, the secrets and the key, everything comes back from the stores."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from neurmatic.backups import catalog, recovery, sources
from neurmatic.backups.restored import Restored
from neurmatic.backups.scratch import scratch_folder
from neurmatic.backups.setting import Setting, setting_of
from neurmatic.errors import ConfigurationError
from neurmatic.releases.project import prepare_state
from neurmatic.releases.rehearsal import cleared, with_other_ports
from neurmatic.releases.up import Up
from neurmatic.releases.values import read_secrets
from neurmatic.render.backup import render_backup
from neurmatic.stack.backup import KEY, S3, S3_KEY_ID, S3_SECRET


def bring_back(up: Up, store: str | None = None, *, serve: Up | None = None) -> Restored:
    """Recover the database to the end of the archive, make the release, and start the whole stack.

    Args:
        up: of a state folder that has its secrets and no database yet.
        store: only from this store.
        serve: what starts the stack, if not `up`.

    Raises:
        ConfigurationError: there is a database already, or a secret is missing.
        NeurmaticError: it failed; run again, it takes up again.
    """
    host, layout = up.host, up.layout
    if host.exists(layout.postgres):
        raise ConfigurationError(
            f"this server has a database already: {layout.postgres}", "use `neurmatic restore --in-place` there"
        )
    _check_secrets(up)
    up.ensure_account()
    prepare_state(host, layout, up.user)
    setting = setting_of(up)
    write_backup_files(setting)
    kept = catalog.chosen(catalog.listed(setting.stores), "latest", "physical", store)
    done = Restored(kept.id, kept.store, setting.postgres.database)
    with setting.events.recorded("restore", id=kept.id, store=kept.store, target="server"):
        # First of all: so that whoever has to see to a missing file can run it again.
        sources.fetch(setting, setting.store(kept.store), kept.manifest.release)
        with done.timed("recover"), scratch_folder(setting, "recovered") as data:
            recovered = recovery.recover(setting, data, at=None, kept=kept, drain=False)
            host.rename(data, layout.postgres)
        done.reached = (recovered.reached.last_commit or kept.made).isoformat(timespec="seconds")
        if kept.manifest.release and (up.stack.release.migrate or up.stack.release.seed):
            host.write(layout.migrated, kept.manifest.release + "\n")
        with done.timed("start"):
            (serve or up).up()
    return done


@contextmanager
def rehearse_loss(setting: Setting, up: Up) -> Iterator[tuple[Up, Restored]]:
    """Bring a copy of the stack back from the stores, in a folder and on ports of its own; it is gone at the end.

    The copy archives nothing: it only reads from the stores.
    """
    host, here = setting.host, setting.layout
    own = up.stack.release.files and not here.contained
    copy = replace(here, state=here.state / "drill", project=here.state / "drill" / "project" if own else here.project)
    source = setting.backup.replace(folder=str(setting.local.root), s3=_absolute(setting))
    stack = with_other_ports(host, copy, up.stack)
    with cleared(host, copy, of=here):
        host.make_folder(copy.project)
        host.write(copy.secrets, host.read(here.secrets) or "", mode=0o600)
        reading = Up(host, copy, stack.replace(backup=source), up.reporter, up.user)
        serving = Up(host, copy, stack.replace(backup=None), up.reporter, up.user)
        yield serving, bring_back(reading, setting.stores[-1].name, serve=serving)


def _absolute(setting: Setting) -> S3 | None:
    """The bucket, its CA's file named in full: the copy's project is another folder."""
    bucket = setting.backup.s3
    if bucket is None or not bucket.ca:
        return bucket
    return bucket.replace(ca=str((setting.layout.project / bucket.ca).resolve()))


def write_backup_files(setting: Setting) -> None:
    """What pgBackRest and age read, before the stack's own start writes it."""
    files = render_backup(setting.backup, setting.postgres, setting.secrets, setting.layout)
    for path, file in files.items():
        target = setting.layout.state / path
        setting.host.make_folder(target.parent)
        setting.host.write(target, file.text, mode=file.mode, owner=setting.user)


def _check_secrets(up: Up) -> None:
    found = read_secrets(up.host, up.layout)
    wanted = [KEY, "POSTGRES_SUPERUSER_PASSWORD"]
    wanted += [S3_KEY_ID, S3_SECRET] if up.stack.backup and up.stack.backup.s3 else []
    if missing := [name for name in wanted if name not in found]:
        raise ConfigurationError(
            f"{up.layout.secrets} lacks {', '.join(missing)}",
            "copy the lost server's secrets.env there, or name it with --secrets FILE: without its key no backup opens",
        )
