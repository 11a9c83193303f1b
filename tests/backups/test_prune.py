"""Prune on the local folder and a bucket: moto where rules and marks matter, rclone where there are none.

What is decided is a matter of ops/tests/test_retention.py; here is what becomes of it in the stores.
"""

import io
import os
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from s3servers import BUCKET

from neurmatic.backups.catalog import listed
from neurmatic.backups.manifest import Manifest, Proof, dump_key
from neurmatic.backups.prune import orphans, prune
from neurmatic.backups.setting import Setting
from neurmatic.backups.stores import lifecycle
from neurmatic.backups.stores.base import StoreError
from neurmatic.errors import NeurmaticError
from neurmatic.hosts.local import LocalHost
from neurmatic.releases.project import Quiet
from neurmatic.stack.backup import Backup
from neurmatic.stack.layout import Layout
from neurmatic.stack.loading import load

STACK = """
[stack]
name = "one"
[services.api]
command = ["serve"]
ports = "8100-8109"
routes = ["/"]
[postgres]
[backup]
"""
NOW = datetime.now(UTC)


@pytest.fixture
def make(tmp_path):
    """A stack's backups, in a folder and on this server; no database is asked by prune."""

    def setting(server=None, endpoint=None):
        stack = load(STACK, "f").stack
        if server:
            section = server.section(prefix=f"stacks/{uuid.uuid4().hex[:8]}")
            if endpoint:
                section = section.model_copy(update={"endpoint": endpoint, "ca": ""})
            stack = stack.model_copy(update={"backup": Backup(s3=section)})
        layout = Layout(tmp_path / "state", tmp_path)
        layout.state.mkdir()
        secrets = server.secrets() if server else {}
        return Setting(LocalHost(), layout, stack, secrets, None, Path("/nowhere"), Quiet(), None)

    return setting


def put(store, name, age, proof=None, identity="7/app"):
    """A dump as a run leaves it, made so many days ago; `proof` as in test_retention.py."""
    ended = (NOW - timedelta(days=age)).isoformat()
    manifest = Manifest(name, "logical", identity, "app", ended, ended, 1, "15", "r", "", "age1", 4, 1)
    store.put(manifest.dump_key, io.BytesIO(b"dump"))
    store.put_text(manifest.key, manifest.text())
    if proof is not None:
        differences = () if proof else ("a table is missing",)
        store.put_text(manifest.proof_key, Proof(name, ended, 1, 1, 1, 1, differences).text())
    return manifest


def keys(store):
    return [entry.key for entry in store.entries()]


def ids(store):
    return [one.id for one in listed([store])]


def of(*manifests, proven=()):
    """The keys of these dumps."""
    found = []
    for one in manifests:
        found += [one.dump_key, one.key]
        if one.id in proven:
            found.append(one.proof_key)
    return sorted(found)


class Cut(LocalHost):
    """A host that removes so many files and then no more."""

    def __init__(self, after):
        self.left = after

    def remove(self, path):
        self.left -= 1
        if self.left < 0:
            raise StoreError("cut off")
        super().remove(path)


def actions(decisions):
    return {f"{one.kept.store} {one.kept.id}": one.action for one in decisions if one.action != "keep"}


def grow_old(setting, key):
    """A local object as if it were of the day before yesterday."""
    before = time.time() - 2 * 86400
    os.utime(setting.local.root / key, (before, before))


def test_what_goes_is_said_and_then_gone(make):
    setting = make()
    a, b, c = put(setting.local, "a", 50, False), put(setting.local, "b", 40, True), put(setting.local, "c", 1)
    d = put(setting.local, "d", 45)
    decisions = prune(setting, dry_run=False)
    assert actions(decisions) == {"local a": "remove", "local d": "remove"}
    assert [one.kept.id for one in decisions] == ["a", "d", "b", "c"]
    assert keys(setting.local) == of(b, c, proven=("b",))
    assert setting.reporter.lines == [
        "remove logical a of app in local: older than 30 days",
        "remove logical d of app in local: older than 30 days",
        "keep logical b of app in local: the last one that is proven",
    ]
    events = [(one["action"], one["result"], one["store"], one["removed"]) for one in setting.events.read()]
    assert events == [("prune", "begun", "local", [a.id, d.id]), ("prune", "done", "local", [a.id, d.id])]


@pytest.mark.parametrize("installed", [True, False], ids=["with rules", "before there are rules"])
def test_a_dry_run_says_the_same_and_changes_nothing(make, moto, installed):
    moto.client().delete_bucket_lifecycle(Bucket=BUCKET)
    setting = make(moto)
    for store in setting.stores:
        for name, age, proof in (("a", 100, True), ("b", 95, True), ("c", 1, True)):
            put(store, name, age, proof)
    remote = setting.store("s3")
    if installed:
        lifecycle.install(remote, setting.backup.s3)
    before = [keys(store) for store in setting.stores]
    dry = prune(setting, dry_run=True)
    said = list(setting.reporter.lines)
    assert [keys(store) for store in setting.stores] == before
    assert setting.events.read() == []
    assert not lifecycle.is_marked(remote, "logical/a.dump.zst.age")
    assert (lifecycle.read(remote) is not None) == installed
    setting.reporter.lines.clear()
    assert actions(prune(setting, dry_run=False)) == actions(dry)
    assert actions(dry) == {"local a": "remove", "local b": "remove", "s3 a": "retire", "s3 b": "retire"}
    assert setting.reporter.lines == said


def test_the_clock_can_be_told(make):
    setting = make()
    put(setting.local, "a", 2, True)
    put(setting.local, "b", 1, True)
    assert actions(prune(setting, dry_run=False)) == {}
    assert actions(prune(setting, dry_run=False, now=NOW + timedelta(days=40))) == {"local a": "remove"}
    assert ids(setting.local) == ["b"]


def test_a_store_without_rules_is_pruned_after_its_days(make, rclone):
    setting = make(rclone)
    store = setting.store("s3")
    put(store, "a", 91)
    b, c = put(store, "b", 89), put(store, "c", 1, True)
    assert actions(prune(setting, dry_run=False)) == {"s3 a": "remove"}
    assert keys(store) == of(b, c, proven=("c",))
    assert "has no lifecycle rules; so prune itself removes dumps after 90 days" in setting.reporter.lines[0]


def test_superseded_dumps_are_left_to_the_stores_rules(make, moto):
    setting = make(moto)
    store = setting.store("s3")
    made = [put(store, "a", 300, True), put(store, "b", 91), put(store, "c", 89, True), put(store, "d", 1)]
    decisions = prune(setting, dry_run=False)
    assert actions(decisions) == {"s3 a": "retire", "s3 b": "retire"}
    assert [one.id for one in made if lifecycle.is_marked(store, one.dump_key)] == ["a", "b"]
    assert keys(store) == of(*made, proven=("a", "c"))
    assert lifecycle.read(store).gone_days == 365
    assert setting.events.read()[-1]["retired"] == ["a", "b"]
    marked = {
        key for key in moto.keys(store.prefix) if moto.client().get_object_tagging(Bucket=BUCKET, Key=key)["TagSet"]
    }
    assert marked == {store.at(one.dump_key) for one in made[:2]}  # manifests must stay readable


def test_what_was_marked_is_not_said_again(make, moto):
    setting = make(moto)
    store = setting.store("s3")
    put(store, "a", 100)
    put(store, "b", 1, True)
    prune(setting, dry_run=False)
    assert any(line.startswith("retire logical a") for line in setting.reporter.lines)
    setting.reporter.lines.clear()
    assert actions(prune(setting, dry_run=False)) == {"s3 a": "retire"}
    assert setting.reporter.lines == []


def test_a_mark_is_taken_back_when_the_newer_one_turns_out_bad(make, moto):
    """The rules must not remove what has become the last proven one again."""
    setting = make(moto)
    store = setting.store("s3")
    a, b = put(store, "a", 100, True), put(store, "b", 95, True)
    c = put(store, "c", 1, True)
    prune(setting, dry_run=False)
    assert lifecycle.is_marked(store, a.dump_key) and lifecycle.is_marked(store, b.dump_key)
    for one in (b, c):
        store.put_text(one.proof_key, Proof(one.id, one.ended, 1, 1, 1, 1, ("damaged",)).text())
    assert actions(prune(setting, dry_run=False)) == {"s3 b": "retire"}
    assert not lifecycle.is_marked(store, a.dump_key)
    assert lifecycle.is_marked(store, b.dump_key)


def test_what_the_rules_removed_is_cleared_away(make):
    """Its manifest and its proof are left; in the list it isn't any more."""
    setting = make()
    a, b = put(setting.local, "a", 400, True), put(setting.local, "b", 1, True)
    setting.local.remove(a.dump_key)
    assert ids(setting.local) == ["b"]
    assert orphans(setting.local) == []
    for key in keys(setting.local):
        grow_old(setting, key)
    prune(setting, dry_run=False)
    assert keys(setting.local) == of(b, proven=("b",))


def test_leftovers_of_killed_runs_are_cleared_away_once_they_are_old(make):
    setting = make()
    one = put(setting.local, "a", 1, True)
    setting.local.put("logical/b.dump.zst.age", io.BytesIO(b"a dump without a manifest"))
    setting.local.put_text("logical/c.proof.json", "{}")
    setting.local.put_text("logical/note.txt", "somebody's own")
    setting.local.put_text("logical/.d.dump.zst.age.1", "half a file")
    prune(setting, dry_run=False)
    assert len(keys(setting.local)) == 6
    for key in (*keys(setting.local), "logical/.d.dump.zst.age.1"):
        grow_old(setting, key)
    prune(setting, dry_run=False)
    assert keys(setting.local) == sorted([*of(one, proven=("a",)), "logical/note.txt"])
    assert not (setting.local.root / "logical/.d.dump.zst.age.1").exists()


@pytest.mark.parametrize("after", range(6))
def test_a_prune_that_is_cut_off_leaves_no_broken_backup(make, after):
    """Whichever removal is the last that is made, whatever is listed is whole; and a later run ends what was begun."""
    setting = make()
    put(setting.local, "a", 50, True)
    put(setting.local, "b", 45)
    c = put(setting.local, "c", 1, True)
    with pytest.raises(NeurmaticError, match="local: cut off"):
        prune(replace(setting, host=Cut(after)), dry_run=False)
    for name in ("a", "b", "c"):
        assert f"logical/{name}.json" not in keys(setting.local) or dump_key(name) in keys(setting.local)
    assert setting.events.read()[-1]["result"] == "failed"
    for key in keys(setting.local):
        grow_old(setting, key)
    prune(setting, dry_run=False)
    prune(setting, dry_run=False)
    assert keys(setting.local) == of(c, proven=("c",))


def test_one_stores_failure_does_not_keep_the_other_full(make, rclone, proxy):
    between = proxy(rclone)
    setting = make(rclone, endpoint=between.endpoint)
    for store in setting.stores:
        put(store, "a", 100)
        put(store, "b", 1, True)
    with pytest.raises(NeurmaticError, match="local: cut off"):
        prune(replace(setting, host=Cut(0)), dry_run=False)
    assert ids(setting.store("s3")) == ["b"]
    with between.fault("GET", "list-type", answer=500), pytest.raises(NeurmaticError, match="s3: listing logical/"):
        prune(setting, dry_run=False)
    assert ids(setting.local) == ["b"]


def test_no_database_loses_its_last_backup_to_another(make):
    setting = make()
    put(setting.local, "a", 60, True, identity="1/app")
    put(setting.local, "b", 55, True, identity="1/app")
    put(setting.local, "c", 1, True, identity="2/app")
    prune(setting, dry_run=False)
    assert ids(setting.local) == ["b", "c"]
