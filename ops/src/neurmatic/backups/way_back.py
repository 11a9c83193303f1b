"""A rollback with its database: to the moment before the migrations of the release that came after."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from neurmatic.backups.alarm import alarmed
from neurmatic.backups.restore import Chosen, Request, carry_out, choose
from neurmatic.backups.restored import Confirm, Restored
from neurmatic.backups.run import alone
from neurmatic.backups.setting import Setting
from neurmatic.errors import ConfigurationError
from neurmatic.releases import schema
from neurmatic.releases.deployed import Deployed
from neurmatic.releases.maintenance import maintenance_of
from neurmatic.releases.switch import closed


def before_migrations(setting: Setting, release: str) -> Chosen:
    """The state of the database right before the first migrations after this release's.

    Raises:
        ConfigurationError: it isn't known when that was, or no base backup is older.
    """
    later = schema.first_later(setting.host, setting.layout, release)
    times = [
        datetime.fromisoformat(one["at"])
        for one in setting.events.read()
        if (one["action"], one["result"], one.get("release")) == ("migrate", "begun", later)
    ]
    if not times:
        raise ConfigurationError(
            f"it is not known when the schema was last that of {release}",
            "`neurmatic restore --at TIME --in-place` brings a time back that you choose; then roll back",
        )
    return choose(
        setting, Request("latest", times[-1] - timedelta(milliseconds=1), "physical", None, "", safety_copy=False)
    )


@contextmanager
def gone_back(
    setting: Setting, chosen: Chosen, deployed: Deployed, release: str, confirm: Confirm
) -> Iterator[Restored]:
    """The edge closed, the database of that time in place; the block brings the release live. Opened at the end.

    Raises:
        NeurmaticError: the restore failed or was not agreed to; the database is as it was.
    """
    maintenance = maintenance_of(setting.host, setting.layout, setting.stack, setting.user)
    was_closed = closed(setting.host, setting.layout) is not None
    before = schema.order(setting.host, setting.layout)
    maintenance.close()
    try:
        with alone(setting, "rollback", 0), alarmed(setting, "restore"):
            at = chosen.request.at.isoformat() if chosen.request.at else ""
            with setting.events.recorded("restore", id=chosen.id, store=chosen.store, target="rollback", moment=at):
                done = carry_out(setting, chosen, confirm)
        schema.gone_back(setting.host, setting.layout, deployed, before, release)
        yield done
    finally:
        if not was_closed:
            maintenance.open()
