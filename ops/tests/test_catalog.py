"""Which backup is the latest, where two stores have some."""

from datetime import UTC, datetime, timedelta

import pytest

from neurmatic.backups.catalog import Kept, chosen
from neurmatic.backups.manifest import Manifest
from neurmatic.errors import ConfigurationError

NOW = datetime.now(UTC)


def kept(name, store, hours, kind="physical"):
    moment = (NOW - timedelta(hours=hours)).isoformat()
    made = Manifest(
        id=name, kind=kind, identity="1/app", database="app", begun=moment, ended=moment, duration_s=1, server_version="15",
        release="", revision="", key_id="k", size=1, database_bytes=1,
    )  # fmt: skip
    return Kept(store, made)


@pytest.mark.parametrize(
    ("backups", "expected"),
    [
        ([("a", "local", 5.1), ("b", "s3", 5.0)], ("a", "local")),  # one run: the nearer store
        ([("a", "local", 30), ("b", "s3", 5)], ("b", "s3")),  # the local store missed a night
        ([("a", "local", 5), ("a", "s3", 5)], ("a", "local")),
        ([("a", "s3", 5)], ("a", "s3")),
        ([("a", "local", 29), ("b", "local", 5), ("c", "s3", 4.9)], ("b", "local")),
        ([("a", "local", 5), ("b", "local", -48)], ("a", "local")),  # dated in the future
        ([("b", "local", -48)], ("b", "local")),
    ],
)
def test_the_latest(backups, expected):
    found = chosen([kept(*one) for one in backups], "latest")
    assert (found.id, found.store) == expected


def test_none_is_an_error_that_says_what_was_looked_for():
    with pytest.raises(ConfigurationError, match="no backup b of kind logical in s3"):
        chosen([kept("a", "local", 1)], "b", "logical", "s3")
