"""The local store's list; what it does with bytes is seen wherever dumps are made."""

import pytest

from neurmatic.backups.stores.folder import FolderStore
from neurmatic.hosts.local import LocalHost

KEYS = ["base-backups/a.json", "logical/a.json", "logical/b.json"]


@pytest.mark.parametrize(
    ("prefix", "keys"),
    [
        ("", KEYS),
        ("logical/", KEYS[1:]),
        ("logical/b", KEYS[2:]),
        ("log", KEYS[1:]),
        ("none/", []),
    ],
)
def test_the_list_is_of_what_lies_in_the_folder_and_is_the_stores_own(tmp_path, prefix, keys):
    root = tmp_path / "backups"
    for name in (*KEYS, "logical/.b.json.half", "physical/archive/1", "physical/backup/2", "../logical-not-ours"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    assert sorted(one.key for one in FolderStore(LocalHost(), root).entries(prefix)) == keys
