"""What open pages are told."""

import secrets
from datetime import datetime

import msgspec


class Change(msgspec.Struct, omit_defaults=True):
    """The list of articles may have changed: fetch it, by this version. The rest says which article was published."""

    version: str
    slug: str = ""
    title: str = ""
    published_at: datetime | None = None


def new_version() -> str:
    """The name of a state of the list; two states never have the same."""
    return secrets.token_hex(8)
