"""What goes wrong between the S3 store and real servers; s3servers.py says what each of them is strict in.

A damaged body runs against rclone and moto, which take it, and Swift, which doesn't.
"""

from datetime import timedelta

import pytest
from s3servers import BUCKET
from stored import LARGE, PART, SIZES, SMALL, Slow, nothing_but, parted, read

from neurmatic.backups.stores import s3_bucket
from neurmatic.backups.stores.base import StoreError
from neurmatic.backups.stores.s3 import S3Store
from neurmatic.backups.stores.s3_upload import Upload


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "parts"])
def test_a_server_that_fails_now_and_then_is_asked_again(server, proxy, prefix, data):
    between = proxy(server)
    store = parted(between.store(prefix))
    with between.fault("PUT", "partNumber=1", answer=500, times=2) as fault:
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
    fits = "partNumber=2" if data is LARGE else "partNumber=1"
    with (
        between.fault("PUT", fits, **what) as fault,
        pytest.raises(StoreError, match="sending .*logical/a.dump failed") as raised,
    ):
        store.put("logical/a.dump", Slow(data))
    assert fault.met
    assert raised.value.hint
    nothing_but(server, prefix, "logical/earlier")
    assert server.store(prefix).text("logical/earlier") == "1"


def test_an_upload_that_can_t_be_completed_leaves_nothing(server, proxy, prefix):
    between = proxy(server)
    store = parted(between.store(prefix))
    with between.fault("POST", "uploadId", answer=500) as fault, pytest.raises(StoreError) as raised:
        store.put("logical/a.dump", Slow(LARGE))
    assert fault.met == s3_bucket.TRIES
    assert "run it again" in raised.value.hint
    nothing_but(server, prefix)


def test_an_upload_whose_last_answer_is_lost_is_whole_or_not_there(server, proxy, prefix):
    """Asked again, a store may know no such upload any more."""
    between = proxy(server)
    with between.fault("POST", "uploadId", cut="answer", times=1) as fault:
        try:
            parted(between.store(prefix)).put("logical/a.dump", Slow(LARGE))
        except StoreError:
            nothing_but(server, prefix)
        else:
            assert read(server.store(prefix), "logical/a.dump") == LARGE
    assert fault.met == 1


def test_a_silent_server_is_not_waited_for_for_ever(rclone, proxy, prefix, monkeypatch):
    monkeypatch.setattr(s3_bucket, "READ_SECONDS", 3)
    between = proxy(rclone)
    store = between.store(prefix)
    with between.fault("PUT", "logical/", silent=True) as fault, pytest.raises(StoreError, match="Read timeout"):
        store.put("logical/a.dump", Slow(SMALL))
    assert fault.met == s3_bucket.TRIES
    nothing_but(rclone, prefix)


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "parts"])
@pytest.mark.parametrize("kind", ["rclone", "swift", "moto"])
def test_a_flipped_byte_never_has_the_key(kind, request, proxy, prefix, data):
    """Swift refuses the body, as it is signed; rclone and moto take it, and their ETag tells."""
    server = request.getfixturevalue(kind)
    between = proxy(server)
    store = parted(between.store(prefix))
    with (
        between.fault("PUT", "partNumber=2" if data is LARGE else "partNumber=1", flip=True) as fault,
        pytest.raises(StoreError) as raised,
    ):
        store.put("logical/a.dump", Slow(data))
    assert fault.met
    refused = "XAmzContentSHA256Mismatch" in str(raised.value)
    assert refused if kind == "swift" else "did not arrive as it was sent" in str(raised.value)
    # Neither completed nor copied: under the key there was nothing at any time.
    assert not [one for one in between.seen if one[0] in ("POST", "PUT") and named(one[1])]
    nothing_but(server, prefix)


def named(path):
    """Whether a request of this path gives a dump its key."""
    return "/logical/a.dump" in path and "incoming/" not in path and "partNumber" not in path and "uploads" not in path


def test_a_flipped_byte_of_a_text_is_found(rclone, proxy, prefix):
    between = proxy(rclone)
    with between.fault("PUT", "logical/a.json", flip=True), pytest.raises(StoreError, match="did not arrive"):
        between.store(prefix).put_text("logical/a.json", "some text")
    nothing_but(rclone, prefix)


@pytest.mark.parametrize("data", SIZES.values(), ids=SIZES)
def test_right_etags_are_enough(server, proxy, prefix, data):
    """Swift's and moto's are made of the parts' MD5, rclone's of all the bytes; nothing is read back or copied."""
    between = proxy(server)
    parted(between.store(prefix)).put("logical/a.dump", Slow(data))
    assert not [one for one in between.seen if one[0] == "GET" or "incoming/" in one[1]]


@pytest.mark.parametrize("data", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("kind", ["rclone", "moto"])
def test_with_any_other_etags_the_object_is_compared_before_it_has_its_key(kind, request, proxy, prefix, data):
    """As those of a store that encrypts; the proxy gives them, which Swift, where requests are signed as a whole, finds."""
    server = request.getfixturevalue(kind)
    between = proxy(server)
    store = parted(between.store(prefix), copy_part=PART)
    with between.fault("PUT", "partNumber", other_etag=True), between.fault("HEAD", "", other_etag=True):
        store.put("logical/a.dump", Slow(data), {"size": "1"})
        there = [one for one in between.seen if one[0] == "GET" and "incoming/" in one[1]]
        assert there and between.seen.index(there[0]) < between.seen.index(next(filter(copies, between.seen)))
        assert read(store, "logical/a.dump") == data
        assert store.metadata("logical/a.dump")["size"] == "1"
        assert store.storage_class_of("logical/a.dump") == server.storage_class
        nothing_but(server, prefix, "logical/a.dump")
    last = f"partNumber={-(-len(data) // PART)}"
    with (
        between.fault("PUT", last, other_etag=True, flip=True),
        between.fault("PUT", "partNumber", other_etag=True),
        between.fault("HEAD", "", other_etag=True),
        pytest.raises(StoreError, match="did not arrive as it was sent"),
    ):
        store.put("logical/b.dump", Slow(data))
    nothing_but(server, prefix, "logical/a.dump")


def copies(one):
    return one[0] in ("PUT", "POST") and named(one[1])


def test_a_copy_that_fails_leaves_nothing(rclone, proxy, prefix):
    between = proxy(rclone)
    with (
        between.fault("PUT", "partNumber", other_etag=True),
        between.fault("PUT", f"{prefix}/logical/a.dump", answer=500) as fault,
        pytest.raises(StoreError),
    ):
        parted(between.store(prefix)).put("logical/a.dump", Slow(LARGE))
    assert fault.met == s3_bucket.TRIES
    nothing_but(rclone, prefix)


def test_a_copy_of_another_size_does_not_stay(rclone, proxy, prefix, monkeypatch):
    """The server is made to copy another object than it was asked for."""
    between = proxy(rclone)
    store, checked = between.store(prefix), S3Store._checked

    def wrongly(self, key, sent):
        entry = checked(self, key, sent)
        rclone.client().put_object(Bucket=BUCKET, Key=self.at(key), Body=b"other")
        return entry

    monkeypatch.setattr(S3Store, "_checked", wrongly)
    with (
        between.fault("PUT", "partNumber", other_etag=True),
        pytest.raises(StoreError, match="has 5 bytes, not the 14"),
    ):
        store.put("logical/a.dump", Slow(SMALL))
    nothing_but(rclone, prefix)


@pytest.mark.parametrize("kind", ["rclone", "moto"])
def test_a_first_part_that_was_damaged_once_is_sent_again(kind, request, proxy, prefix):
    server = request.getfixturevalue(kind)
    between = proxy(server)
    with between.fault("PUT", "partNumber=1", flip=True, times=1) as fault:
        parted(between.store(prefix)).put("logical/a.dump", Slow(LARGE))
    assert fault.met == 1
    assert read(server.store(prefix), "logical/a.dump") == LARGE
    nothing_but(server, prefix, "logical/a.dump")


@pytest.mark.parametrize("other", [LARGE[:-1] + b"?", LARGE[:-1]], ids=["bytes", "size"])
def test_what_a_store_put_together_wrongly_does_not_stay(server, prefix, monkeypatch, other):
    store, client, send = parted(server.store(prefix)), server.client(), Upload.send

    def wrongly(self, key, *words, **more):
        sent = send(self, key, *words, **more)
        client.put_object(Bucket=BUCKET, Key=key, Body=other)
        return sent

    monkeypatch.setattr(Upload, "send", wrongly)
    with pytest.raises(StoreError, match="did not arrive as it was sent"):
        store.put("logical/a.dump", Slow(LARGE))
    nothing_but(server, prefix)


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


@pytest.mark.parametrize("when", ["parts", "end"])
def test_a_server_killed_on_the_way(own_rclone, proxy, prefix, when):
    """Killed while it takes parts, or before they are completed. What was there is there after its return, and nothing else."""
    server = own_rclone
    server.store(prefix).put("logical/earlier", Slow(SMALL))
    between = proxy(server)

    class Killing(Slow):
        def read(self, size=-1, /):
            if when == "parts" and self.file.tell() > PART + 1:
                server.kill()
            data = super().read(size)
            if when == "end" and not data:
                server.kill()
            return data

    with pytest.raises(StoreError) as raised:
        parted(between.store(prefix)).put("logical/a.dump", Killing(LARGE))
    assert "reachable" in raised.value.hint
    server.start()
    store = server.store(prefix)
    assert [one.key for one in store.entries()] == ["logical/earlier"]
    assert read(store, "logical/earlier") == SMALL
    store.clear_leftovers(timedelta(0))
    nothing_but(server, prefix, "logical/earlier")
