"""The S3 store against real servers; s3servers.py says what each of them is strict in.

What must hold everywhere runs against all three; keys, signatures and TLS against rclone and Swift, which check them (moto
takes any key); what needs a list of unfinished uploads against Swift.
"""

import hashlib
from datetime import timedelta

import pytest
import s3servers
from s3servers import BUCKET
from stored import LARGE, SIZES, SMALL, BrokeError, Slow, nothing_but, parted, read, uploads

from neurmatic.backups.stores.base import Metered, StoreError

# ---- all servers


@pytest.mark.parametrize("data", SIZES.values(), ids=SIZES)
def test_what_is_put_is_there_with_what_is_said_of_it(server, prefix, data):
    store = parted(server.store(prefix))
    said = {"sha256": hashlib.sha256(data).hexdigest(), "key-id": "age1x"}
    entry = store.put("logical/a.dump", Slow(data), said)
    assert (entry.key, entry.size) == ("logical/a.dump", len(data))
    assert read(store, "logical/a.dump") == data
    assert said.items() <= store.metadata("logical/a.dump").items()  # rclone adds the time
    assert [(one.key, one.size) for one in store.entries("logical/")] == [("logical/a.dump", len(data))]
    nothing_but(server, prefix, "logical/a.dump")
    about = server.client().head_object(Bucket=BUCKET, Key=f"{prefix}/logical/a.dump")
    assert about.get("StorageClass", "STANDARD") == server.storage_class


def test_the_source_is_asked_for_its_end(server, prefix):
    """A pipeline tells at its end, and only there, that a program failed: also where the end is that of a part."""
    store = parted(server.store(prefix))
    for data in SIZES.values():
        source = Slow(data)
        store.put("a", source)
        assert source.ended


def test_texts(server, prefix):
    store = server.store(prefix)
    assert store.text("logical/a.json") is None
    store.put_text("logical/a.json", "{}\nä")
    store.put_text("logical/a.json", "{}\nü", {"sha256": "abc"})
    assert store.text("logical/a.json") == "{}\nü"
    assert store.metadata("logical/a.json")["sha256"] == "abc"


def test_removing(server, prefix):
    store = server.store(prefix)
    store.put_text("a", "1")
    store.put_text("b", "2")
    store.remove("a")
    store.remove("a")
    assert [one.key for one in store.entries()] == ["b"]


def test_keys_of_others_are_not_listed(server, prefix):
    store = server.store(prefix)
    for key in ("logical/b", "logical/a", "base-backups/a", "incoming/logical/c", "physical/archive/1"):
        server.client().put_object(Bucket=BUCKET, Key=f"{prefix}/{key}", Body=b"1")
    server.client().put_object(Bucket=BUCKET, Key=f"{prefix}-other/logical/x", Body=b"1")
    assert [one.key for one in store.entries()] == ["base-backups/a", "logical/a", "logical/b"]
    assert [one.key for one in store.entries("logical/")] == ["logical/a", "logical/b"]
    assert store.entries("physical/") == []


def test_more_than_one_page_is_listed(own_rclone, prefix):
    """Rclone serves a folder, so that many objects are made at once."""
    folder = own_rclone.folder / "data" / BUCKET / prefix / "logical"
    folder.mkdir(parents=True)
    for n in range(2010):
        (folder / f"{n:04}").touch()
    assert len(own_rclone.store(prefix).entries("logical/")) == 2010


def test_a_source_that_raises_leaves_nothing(server, prefix):
    store = parted(server.store(prefix))
    store.put("logical/earlier", Slow(SMALL))
    for data in SIZES.values():
        with pytest.raises(BrokeError):
            store.put("logical/a.dump", Slow(data, then=BrokeError()))
        nothing_but(server, prefix, "logical/earlier")
    assert read(store, "logical/earlier") == SMALL


def test_a_source_that_is_not_what_it_should_be_leaves_nothing(server, prefix):
    """Such as a copy whose checksum is not the first one's, which shows at its end."""
    store = parted(server.store(prefix))

    def changed():
        raise StoreError("has changed since it was made")

    for data in SIZES.values():
        with pytest.raises(StoreError, match="has changed"):
            store.put("logical/a.dump", Metered(Slow(data), at_end=changed))
        nothing_but(server, prefix)


def test_a_missing_bucket_is_named(server):
    store = server.store(bucket="no-such-bucket")
    for action in (
        lambda: store.put("a", Slow(SMALL)),
        lambda: store.put_text("a", "1"),
        lambda: store.text("a"),
        store.entries,
        lambda: parted(store).put("a", Slow(LARGE)),
    ):
        with pytest.raises(StoreError, match="bucket no-such-bucket at http.*NoSuchBucket") as raised:
            action()
        assert "create the bucket" in raised.value.hint


def test_a_missing_object_is_an_error(server, prefix):
    store = server.store(prefix)
    with pytest.raises(StoreError, match=r"reading .*logical/none.* failed"):
        read(store, "logical/none")
    with pytest.raises(StoreError, match="404"):
        store.metadata("logical/none")


# ---- keys, signatures, TLS, classes: servers that check them


@pytest.mark.parametrize("kind", ["rclone", "swift"])
@pytest.mark.parametrize("wrong", [{"key": "test:nobody"}, {"secret": "not it"}], ids=["key", "secret"])
def test_wrong_keys(kind, wrong, request, prefix):
    server = request.getfixturevalue(kind)
    server.store(prefix).put_text("logical/earlier", "1")
    store = server.store(prefix, **wrong)
    for action in (
        lambda: store.put("logical/a", Slow(SMALL)),
        lambda: parted(store).put("logical/a", Slow(LARGE)),
        lambda: store.put_text("logical/a", "1"),
        lambda: store.text("logical/earlier"),
        store.entries,
        lambda: store.remove("logical/earlier"),
        lambda: store.metadata("logical/earlier"),
        lambda: read(store, "logical/earlier"),
    ):
        with pytest.raises(StoreError, match="403") as raised:
            action()
        assert "BACKUP_S3_KEY_ID and BACKUP_S3_SECRET in secrets.env" in raised.value.hint
        assert server.secret not in str(raised.value)
    nothing_but(server, prefix, "logical/earlier")


def test_a_refused_storage_class_is_named(swift, prefix):
    """Swift has one class."""
    store = parted(swift.store(prefix, storage_class="STANDARD_IA"))
    for data in (SMALL, LARGE):
        with pytest.raises(StoreError, match="InvalidStorageClass") as raised:
            store.put("logical/a", Slow(data))
        assert "[backup.s3] storage_class" in raised.value.hint
        nothing_but(swift, prefix)


def test_an_unknown_authority_is_refused(rclone, prefix):
    """Rclone speaks TLS with an authority of its own."""
    with pytest.raises(StoreError, match="SSL") as raised:
        rclone.store(prefix, ca="").entries()
    assert "[backup.s3] ca" in raised.value.hint
    with pytest.raises(StoreError) as raised:
        rclone.store(prefix, ca="/nowhere/ca.pem").entries()
    assert "[backup.s3] ca" in raised.value.hint


def test_nobody_there(prefix, rclone):
    store = rclone.store(prefix, endpoint=f"http://127.0.0.1:{s3servers.free_port()}", ca="")
    with pytest.raises(StoreError, match="listing all failed in bucket") as raised:
        store.entries()
    assert "endpoint" in raised.value.hint


# ---- leftovers


def test_leftovers_are_cleared_once_they_are_old(swift, prefix):
    """Rclone forgets unfinished uploads by itself, and moto takes each for years old."""
    server = swift
    client, store = server.client(), server.store(prefix)
    store.put_text("logical/a", "1")
    for key in ("incoming/logical/b", "physical/x"):
        client.put_object(Bucket=BUCKET, Key=f"{prefix}/{key}", Body=b"half")
    for key in ("incoming/logical/c", "logical/d", "physical/y"):
        upload = client.create_multipart_upload(Bucket=BUCKET, Key=f"{prefix}/{key}")["UploadId"]
        client.upload_part(Bucket=BUCKET, Key=f"{prefix}/{key}", UploadId=upload, PartNumber=1, Body=b"1")
    assert store.clear_leftovers() == 0
    assert len(uploads(server, prefix)) == 3
    assert store.clear_leftovers(timedelta(seconds=-5)) == 3
    assert [one["Key"] for one in uploads(server, prefix)] == [f"{prefix}/physical/y"]
    assert server.keys(prefix) == [f"{prefix}/logical/a", f"{prefix}/physical/x"]
