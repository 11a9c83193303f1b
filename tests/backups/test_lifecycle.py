"""A bucket's own rules. They run against moto, which has rules, tags and Glacier; and against rclone and Swift, which don't.

Rclone takes a tag's text for an object's new content, and a tag's removal for the object's: so no store may be asked to
mark a dump before it is known to keep marks.
"""

import uuid

import pytest
from s3servers import BUCKET

from neurmatic.backups.stores import lifecycle
from neurmatic.backups.stores.base import StoreError
from neurmatic.backups.stores.lifecycle import NoLifecycleError, Rules

SECTION = {"days": 90, "glacier_days": 365}
OTHERS = [
    {
        "ID": "logs",
        "Status": "Enabled",
        "Filter": {"Prefix": "logs/"},
        "Expiration": {"Days": 7},
    },
    {
        "ID": "neurmatic-other-dumps",
        "Status": "Enabled",
        "Filter": {"Prefix": "other/logical/"},
        "Expiration": {"Days": 9},
    },
]


@pytest.fixture
def prefix(moto):
    """A folder of one test's own, in a bucket without rules."""
    moto.client().delete_bucket_lifecycle(Bucket=BUCKET)
    return f"stacks/{uuid.uuid4().hex[:8]}"


def there(server):
    """The rules as the server itself says them, by id."""
    return {rule["ID"]: rule for rule in server.client().get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]}


def tags(server, key):
    return server.client().get_object_tagging(Bucket=BUCKET, Key=key)["TagSet"]


def test_rules_are_installed_and_read_back(moto, prefix):
    store = moto.store(prefix)
    assert lifecycle.read(store) is None
    rules = lifecycle.install(store, moto.section(**SECTION))
    assert rules == lifecycle.read(store) == Rules(glacier_days=90, gone_days=365, unfinished_days=2)
    assert str(rules) == ("superseded dumps to Glacier after 90 days, gone after 365 days; unfinished uploads after 2")
    assert there(moto)[f"neurmatic-{prefix}-dumps"] == {
        "ID": f"neurmatic-{prefix}-dumps",
        "Status": "Enabled",
        "Filter": {
            "And": {"Prefix": f"{prefix}/logical/", "Tags": [{"Key": "neurmatic", "Value": "superseded"}]},
        },
        "Transitions": [{"Days": 90, "StorageClass": "GLACIER"}],
        "Expiration": {"Days": 365},
    }


def test_no_rule_expires_what_bears_no_mark(moto, prefix):
    lifecycle.install(moto.store(prefix), moto.section(**SECTION))
    for rule in there(moto).values():
        expires = "Expiration" in rule or "Transitions" in rule
        assert expires == (rule["Filter"].get("And", {}).get("Tags") == [lifecycle.MARK])


def test_rules_of_others_stay(moto, prefix):
    moto.client().put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": OTHERS})
    before = there(moto)
    store = moto.store(prefix)
    lifecycle.install(store, moto.section(**SECTION))
    lifecycle.install(moto.store(f"{prefix}/inner"), moto.section(days=10, glacier_days=20))
    lifecycle.install(moto.store(""), moto.section(days=11, glacier_days=21))
    found = there(moto)
    assert {name: found[name] for name in before} == before
    assert len(found) == len(before) + 3 * 3
    assert lifecycle.read(store) == Rules(90, 365, 2)
    assert lifecycle.read(moto.store(f"{prefix}/inner")) == Rules(10, 20, 2)
    assert lifecycle.read(moto.store("")) == Rules(11, 21, 2)


def test_changed_days_are_installed_and_unchanged_ones_are_not(moto, proxy, prefix):
    between = proxy(moto)
    store = between.store(prefix)
    lifecycle.install(store, moto.section(**SECTION))
    between.seen.clear()
    lifecycle.install(store, moto.section(**SECTION))
    assert ("PUT", f"/{BUCKET}?lifecycle") not in between.seen
    assert lifecycle.install(store, moto.section(days=30, glacier_days=60)) == Rules(30, 60, 2)
    assert ("PUT", f"/{BUCKET}?lifecycle") in between.seen


def test_dumps_that_go_before_they_would_move_do_not_move(moto, prefix):
    assert lifecycle.install(moto.store(prefix), moto.section(days=90, glacier_days=90)) == Rules(None, 90, 2)


@pytest.mark.parametrize(
    "change",
    [
        lambda rules: rules.pop(0),
        lambda rules: rules[0].update(Status="Disabled"),
        lambda rules: rules[0].update(Filter={"Prefix": rules[0]["Filter"]["And"]["Prefix"]}),
        lambda rules: rules.pop(1),
    ],
    ids=["removed", "switched off", "for every dump", "without an end of uploads"],
)
def test_rules_that_were_changed_by_hand_count_for_nothing_and_are_mended(moto, prefix, change):
    store = moto.store(prefix)
    lifecycle.install(store, moto.section(**SECTION))
    rules = sorted(there(moto).values(), key=lambda rule: rule["ID"])
    change(rules)
    moto.client().put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": rules})
    assert lifecycle.read(store) is None
    assert lifecycle.install(store, moto.section(**SECTION)) == Rules(90, 365, 2)


def test_marks(moto, prefix):
    store = moto.store(prefix)
    store.put_text("logical/a.dump", "1")
    assert not lifecycle.unmark(store, "logical/a.dump")
    lifecycle.mark(store, "logical/a.dump")
    assert lifecycle.is_marked(store, "logical/a.dump")
    assert tags(moto, f"{prefix}/logical/a.dump") == [{"Key": "neurmatic", "Value": "superseded"}]
    assert lifecycle.unmark(store, "logical/a.dump")
    assert not lifecycle.is_marked(store, "logical/a.dump")
    assert store.text("logical/a.dump") == "1"


# ---- stores without


@pytest.mark.parametrize("kind", ["rclone", "swift"])
def test_a_store_without_rules_says_so_and_nothing_in_it_is_touched(kind, request, prefix):
    server = request.getfixturevalue(kind)
    store = server.store(prefix)
    store.put_text("logical/a.dump", "1")
    assert lifecycle.read(store) is None
    with pytest.raises(NoLifecycleError, match="has no lifecycle rules"):
        lifecycle.install(store, server.section(**SECTION))
    assert server.keys(prefix) == [f"{prefix}/logical/a.dump"]
    assert store.text("logical/a.dump") == "1"


@pytest.mark.parametrize("kind", ["rclone", "swift"])
def test_a_store_without_tags_is_found_out_on_an_object_of_no_worth(kind, request, prefix):
    """Rclone overwrites and deletes it; Swift refuses."""
    server = request.getfixturevalue(kind)
    store = server.store(prefix)
    store.put_text("logical/a.dump", "1")
    with pytest.raises(NoLifecycleError, match="keeps no tags"):
        lifecycle._check_marks(store)
    assert server.keys(prefix) == [f"{prefix}/logical/a.dump"]


def test_a_store_without_glacier_gets_the_rules_without_it(moto, proxy, prefix):
    """Moto with a proxy before it that refuses the class, as servers without tiers do."""
    between = proxy(moto)
    store = between.store(prefix)
    with between.fault("PUT", "?lifecycle", answer=400, error="InvalidStorageClass", body=b"GLACIER") as fault:
        assert lifecycle.install(store, moto.section(**SECTION)) == Rules(None, 365, 2)
    assert fault.met


@pytest.mark.parametrize("answer", [(403, "AccessDenied"), (501, "NotImplemented")], ids=["may not", "can not"])
@pytest.mark.parametrize("asked", ["GET ?lifecycle", "PUT ?lifecycle", "PUT ?tagging"])
def test_what_a_key_may_not_is_as_what_a_store_can_not(moto, proxy, prefix, answer, asked):
    between = proxy(moto)
    with between.fault(*asked.split(), answer=answer[0], error=answer[1]) as fault, pytest.raises(NoLifecycleError):
        lifecycle.install(between.store(prefix), moto.section(**SECTION))
    assert fault.met
    assert moto.keys(prefix) == []


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_store_in_trouble_is_not_one_without_rules(moto, proxy, prefix, method):
    """Else prune would delete what the rules would keep for a year."""
    between = proxy(moto)
    with between.fault(method, "?lifecycle", answer=500), pytest.raises(StoreError) as raised:
        lifecycle.install(between.store(prefix), moto.section(**SECTION))
    assert not isinstance(raised.value, NoLifecycleError)
    assert "run it again" in raised.value.hint
