"""Alerts about backups: events, raised once and cleared once; who else is told is for channels to decide."""

from collections.abc import Iterator
from contextlib import contextmanager

from neurmatic.backups.setting import Setting


def raised(setting: Setting) -> dict[str, str]:
    """Alerts that stand now, with their reasons."""
    standing: dict[str, str] = {}
    for event in setting.events.read():
        if event["action"] == "alert":
            if event["result"] == "raised":
                standing[event["subject"]] = event.get("reason", "")
            else:
                standing.pop(event["subject"], None)
    return standing


def raise_alert(setting: Setting, subject: str, reason: str) -> None:
    """Raise an alert, unless it stands already for the same reason."""
    if raised(setting).get(subject) != reason:
        setting.events.write("alert", "raised", subject=subject, reason=reason)


def clear_alert(setting: Setting, subject: str) -> None:
    """Say that what an alert was about is well again, if one stands."""
    if subject in raised(setting):
        setting.events.write("alert", "cleared", subject=subject)


@contextmanager
def alarmed(setting: Setting, subject: str) -> Iterator[None]:
    """Raise an alert if the block fails, whatever the reason; clear it when it ends well."""
    try:
        yield
    except BaseException as error:
        raise_alert(setting, subject, str(error) or type(error).__name__)
        raise
    clear_alert(setting, subject)
