"""What open pages are told, and what instances tell each other."""

import secrets
from datetime import datetime

import msgspec


class Change(msgspec.Struct, omit_defaults=True):
    """The list of articles may have changed: fetch it, by this version. The rest says which article was published."""

    version: str
    slug: str = ""
    title: str = ""
    published_at: datetime | None = None


class Announcement(msgspec.Struct, omit_defaults=True):
    """What a transaction changed of what is public.

    Attributes:
        slugs: addresses, former ones too, of the articles concerned.
        told: whether open pages are told of it.
    """

    change: Change
    slugs: tuple[str, ...] = ()
    told: bool = True


def new_version() -> str:
    """The name of a state of the list; two states never have the same."""
    return secrets.token_hex(8)
