"""The S3 store against real servers; s3servers.py says what each of them is strict in.

What must hold everywhere runs against all three. A fault runs against the server that shows it: keys, signatures and TLS
against rclone and Swift, which check them (moto takes any key); a damaged body against rclone, which takes it, and Swift,
which doesn't; what needs a list of unfinished uploads against Swift.
"""

import dataclasses
import hashlib
import io
import random
import uuid
from datetime import timedelta

import pytest
import s3servers
from s3servers import BUCKET

from neurmatic.backups.logical import _put
from neurmatic.backups.stores import s3_bucket
from neurmatic.backups.stores.base import Metered, StoreError

MB = 1 << 20
PART = 5 * MB  # the smallest that S3 allows for a part but the last
SMALL = b"a small object"
LARGE = random.Random(5).randbytes(2 * PART + 12345)
SIZES = {"small": SMALL, "parts": LARGE, "exactly-two-parts": LARGE[: 2 * PART], "one-part": LARGE[:PART]}


class Slow:
    """A source that gives less than it is asked for, as a pipe may; it says its end only when asked again."""

    def __init__(self, data, most=700_001, then=None):
        self.file, self.most, self.then, self.ended = io.BytesIO(data), most, then, False

    def read(self, size=-1, /):
        data = self.file.read(min(size, self.most) if size >= 0 else self.most)
        if not data:
            self.ended = True
            if self.then:
                raise self.then
        return data


class BrokeError(Exception):
    pass


@pytest.fixture
def prefix():
    return f"stacks/{uuid.uuid4().hex[:8]}"


def parted(store, **other):
    return dataclasses.replace(store, part=PART, **other)


def read(store, key):
    with store.open(key) as file:
        return file.read()


def uploads(server, prefix):
    """Unfinished uploads that the server itself lists."""
    client = server.client()
    try:
        return client.list_multipart_uploads(Bucket=BUCKET, Prefix=prefix).get("Uploads", [])
    except client.exceptions.NoSuchUpload:  # as rclone says before the first one
        return []


def nothing_but(server, prefix, *keys):
    """These keys, whole; nothing else, and nothing unfinished."""
    assert server.keys(prefix) == [f"{prefix}/{key}" for key in sorted(keys)]
    assert uploads(server, prefix) == []


# ---- all servers


@pytest.mark.parametrize("data", SIZES.values(), ids=SIZES)
def test_what_is_put_is_there_with_what_is_said_of_it(server, prefix, data):
    store = parted(server.store(prefix))
    source = Metered(Slow(data))
    entry = store.put("logical/a.dump", source, lambda: {"sha256": source.sha256, "key-id": "age1x"})
    assert (entry.key, entry.size) == ("logical/a.dump", len(data))
    assert read(store, "logical/a.dump") == data
    said = {"sha256": hashlib.sha256(data).hexdigest(), "key-id": "age1x"}
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
    store.put_text("logical/a.json", "{}\nü")
    assert store.text("logical/a.json") == "{}\nü"


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


def test_facts_that_raise_leave_nothing(server, prefix):
    """Such as a copy whose checksum is not the first one's."""
    store = parted(server.store(prefix))

    def facts():
        raise StoreError("has changed since it was made")

    for data in SIZES.values():
        with pytest.raises(StoreError, match="has changed"):
            store.put("logical/a.dump", Slow(data), facts)
        nothing_but(server, prefix)


def test_a_copy_in_parts(server, prefix):
    """An object of more than half a gigabyte is copied so; rclone can't, and is asked for the whole."""
    store = parted(server.store(prefix), copy_part=PART)
    store.put("logical/a.dump", Slow(LARGE), lambda: {"size": "1"})
    assert read(store, "logical/a.dump") == LARGE
    assert store.metadata("logical/a.dump")["size"] == "1"
    nothing_but(server, prefix, "logical/a.dump")


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


# ---- faults between the store and the server


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "parts"])
def test_a_server_that_fails_now_and_then_is_asked_again(server, proxy, prefix, data):
    between = proxy(server)
    store = parted(between.store(prefix))
    with between.fault("PUT", "incoming/", answer=500, times=2) as fault:
        store.put("logical/a.dump", Slow(data))
    assert fault.met == 2
    assert read(server.store(prefix), "logical/a.dump") == data
    nothing_but(server, prefix, "logical/a.dump")


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "parts"])
@pytest.mark.parametrize(
    "what",
    [
        {"answer": 500},
        {"answer": 503, "error": "SlowDown"},
        {"answer": 403, "error": "AccessDenied"},
        {"cut": "request"},
    ],
    ids=["500", "503", "403", "cut"],
)
def test_an_upload_that_fails_for_good_leaves_nothing(server, proxy, prefix, data, what):
    between = proxy(server)
    server.store(prefix).put_text("logical/earlier", "1")
    store = parted(between.store(prefix))
    fits = "partNumber=2" if data is LARGE else "incoming/"
    with (
        between.fault("PUT", fits, **what) as fault,
        pytest.raises(StoreError, match="sending .*incoming/logical/a.dump failed") as raised,
    ):
        store.put("logical/a.dump", Slow(data))
    assert fault.met
    assert raised.value.hint
    nothing_but(server, prefix, "logical/earlier")
    assert server.store(prefix).text("logical/earlier") == "1"


@pytest.mark.parametrize("step", ["completing", "copying"])
def test_an_upload_that_fails_late_leaves_nothing(server, proxy, prefix, step):
    between = proxy(server)
    store = parted(between.store(prefix))
    method, path = {"completing": ("POST", "uploadId"), "copying": ("PUT", f"{prefix}/logical/a.dump")}[step]
    with between.fault(method, path, answer=500) as fault, pytest.raises(StoreError) as raised:
        store.put("logical/a.dump", Slow(LARGE))
    assert fault.met == s3_bucket.TRIES
    assert "run it again" in raised.value.hint
    nothing_but(server, prefix)


def test_a_silent_server_is_not_waited_for_for_ever(rclone, proxy, prefix, monkeypatch):
    monkeypatch.setattr(s3_bucket, "READ_SECONDS", 0.5)
    between = proxy(rclone)
    store = between.store(prefix)
    with between.fault("PUT", "incoming/", silent=True), pytest.raises(StoreError, match="Read timeout"):
        store.put("logical/a.dump", Slow(SMALL))
    nothing_but(rclone, prefix)


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "parts"])
@pytest.mark.parametrize("kind", ["rclone", "swift", "moto"])
def test_a_flipped_byte_is_found(kind, request, proxy, prefix, data):
    """Swift refuses the body, as it is signed; rclone and moto take it, and what they hold is compared."""
    server = request.getfixturevalue(kind)
    between = proxy(server)
    store = parted(between.store(prefix))
    with (
        between.fault("PUT", "partNumber=2" if data is LARGE else "incoming/", flip=True) as fault,
        pytest.raises(StoreError) as raised,
    ):
        store.put("logical/a.dump", Slow(data))
    assert fault.met
    refused = "XAmzContentSHA256Mismatch" in str(raised.value)
    assert refused if kind == "swift" else "did not arrive as it was sent" in str(raised.value)
    nothing_but(server, prefix)


def test_a_flipped_byte_of_a_text_is_found(rclone, proxy, prefix):
    between = proxy(rclone)
    with between.fault("PUT", "logical/a.json", flip=True), pytest.raises(StoreError, match="did not arrive"):
        between.store(prefix).put_text("logical/a.json", "some text")
    nothing_but(rclone, prefix)


@pytest.mark.parametrize("data", SIZES.values(), ids=SIZES)
def test_an_etag_of_the_bytes_is_enough(server, proxy, prefix, data):
    """Swift's and moto's are made of the parts' MD5, rclone's of all the bytes; none is read back."""
    between = proxy(server)
    parted(between.store(prefix)).put("logical/a.dump", Slow(data))
    assert not [path for method, path in between.seen if method == "GET"]


@pytest.mark.parametrize("data", SIZES.values(), ids=SIZES)
def test_with_any_other_etag_the_object_is_read_back(server, proxy, prefix, data):
    """As those of a store that encrypts; the proxy gives them."""
    between = proxy(server)
    store = parted(between.store(prefix))
    with between.fault("HEAD", "incoming/", etag='"0123456789abcdef0123456789abcdef"'):
        store.put("logical/a.dump", Slow(data))
        assert [path for method, path in between.seen if method == "GET" and "incoming/" in path]
        nothing_but(server, prefix, "logical/a.dump")
        client = server.client()

        def facts():
            client.put_object(Bucket=BUCKET, Key=store.at("incoming/logical/b.dump"), Body=data[:-1] + b"?")
            return {}

        with pytest.raises(StoreError, match="did not arrive as it was sent"):
            store.put("logical/b.dump", Slow(data), facts)
    nothing_but(server, prefix, "logical/a.dump")


def test_a_copy_of_another_size_does_not_stay(rclone, proxy, prefix):
    """The server is made to copy another object than it was asked for."""
    store = rclone.store(prefix)
    between = proxy(rclone)

    def facts():
        store.bucket.client.put_object(Bucket=BUCKET, Key=store.at("incoming/logical/a.dump"), Body=b"other")
        return {}

    broken = between.store(prefix)
    object.__setattr__(broken, "_check", lambda *_: None)
    with pytest.raises(StoreError, match="has 5 bytes, not the 14"):
        broken.put("logical/a.dump", Slow(SMALL), facts)
    nothing_but(rclone, prefix)


def test_a_download_goes_on_where_it_broke(server, proxy, prefix):
    between = proxy(server)
    parted(server.store(prefix)).put("logical/a.dump", Slow(LARGE))
    store = between.store(prefix)
    with between.fault("GET", "logical/a.dump", cut="answer", times=5) as fault:
        assert read(store, "logical/a.dump") == LARGE
    assert fault.met == 5


def test_a_download_that_breaks_for_good_is_an_error(server, proxy, prefix):
    between = proxy(server)
    server.store(prefix).put("logical/a.dump", Slow(SMALL))
    store = between.store(prefix)
    with store.open("logical/a.dump"):  # so far it is well
        pass
    with (
        between.fault("GET", "logical/a.dump", cut="answer"),
        pytest.raises(StoreError, match="reading .*logical/a.dump"),
    ):
        # the smaller the rest, the less of it comes: at last a half of one byte, which is none
        read(store, "logical/a.dump")


@pytest.mark.parametrize("when", ["parts", "copy"])
def test_a_server_killed_on_the_way(own_rclone, proxy, prefix, when):
    """Killed while it takes parts, or while it copies. What was there is there after its return, and nothing else."""
    server = own_rclone
    server.store(prefix).put("logical/earlier", Slow(SMALL))
    between = proxy(server)

    class Killing(Slow):
        def read(self, size=-1, /):
            if when == "parts" and self.file.tell() > PART + 1:
                server.kill()
            return super().read(size)

    def facts():
        if when == "copy":
            server.kill()
        return {}

    with pytest.raises(StoreError) as raised:
        parted(between.store(prefix)).put("logical/a.dump", Killing(LARGE), facts)
    assert "reachable" in raised.value.hint
    server.start()
    store = server.store(prefix)
    assert [one.key for one in store.entries()] == ["logical/earlier"]
    assert read(store, "logical/earlier") == SMALL
    store.clear_leftovers(timedelta(0))
    nothing_but(server, prefix, "logical/earlier")


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


def test_a_dump_is_put_as_dumps_are(server, prefix):
    """`logical` counts the bytes that were read, and says what is known of them."""
    from datetime import UTC, datetime
    from types import SimpleNamespace

    store = parted(server.store(prefix))
    source = Metered(Slow(LARGE))
    begun = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    _put(SimpleNamespace(key_id="age1key"), store, "logical/a.dump", source, begun=begun)
    said = {
        "time": "2026-01-02T03:04:05+00:00",
        "size": str(len(LARGE)),
        "sha256": hashlib.sha256(LARGE).hexdigest(),
        "key-id": "age1key",
    }
    assert said.items() <= store.metadata("logical/a.dump").items()
