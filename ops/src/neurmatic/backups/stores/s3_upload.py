"""One object's way into a bucket: read to its end, sent in parts, and each part checked before the whole has its key."""

import hashlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from neurmatic.backups.stores.base import StoreError
from neurmatic.backups.stores.s3_bucket import FAULTS, Bucket
from neurmatic.hosts.pipeline import Source

if TYPE_CHECKING:
    from mypy_boto3_s3.literals import StorageClassType
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART = 24 << 20
"""Bytes of the first 1,000 parts; the next 1,000 have twice as many, and so on.

So the 10,000 parts of S3 hold 1.3 TB, while the parts of a dump below 25 GB are all alike, as some stores want them.
"""
AT_ONCE, CHUNK = 3, 1 << 20
DAMAGED = "run it again; if it comes back, something on the way to the store damages data"


class OtherETagError(StoreError):
    """The first part's ETag is not its MD5: the store makes them of something else, or the part was damaged."""


class Said(TypedDict, total=False):
    """What is said of an object from the beginning."""

    StorageClass: "StorageClassType"
    Metadata: dict[str, str]


@dataclass(frozen=True)
class Sent:
    """What was sent: its bytes, and the ETags that a store may give it.

    Amazon's store, and most others, make that of the MD5 of the parts; some, and Amazon's own of what it copied at once,
    of the MD5 of all the bytes.
    """

    size: int
    etags: frozenset[str]


class Sums:
    """Size and ETags of an object whose parts are added one by one."""

    def __init__(self) -> None:
        self._whole = hashlib.md5(usedforsecurity=False)
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, part: bytes) -> None:
        self._whole.update(part)
        self._parts.append(hashlib.md5(part, usedforsecurity=False).digest())
        self._size += len(part)

    def sent(self) -> Sent:
        of_parts = hashlib.md5(b"".join(self._parts), usedforsecurity=False).hexdigest()
        return Sent(self._size, frozenset({self._whole.hexdigest(), f"{of_parts}-{len(self._parts)}"}))


def read_part(read: Callable[[int], bytes], size: int) -> bytes:
    """The next `size` bytes; fewer only if the source said that it ends, which it must be asked for."""
    chunks, missing = [], size
    while missing and (data := read(min(CHUNK, missing))):
        chunks.append(data)
        missing -= len(data)
    return b"".join(chunks)


def part_size(first: int, number: int) -> int:
    """Bytes of the part with this number, from 1."""
    return first * (1 + (number - 1) // 1000)


def summed(read: Callable[[int], bytes], first: int) -> Sent:
    """What `send` says of the same bytes."""
    sums, number = Sums(), 1
    while part := read_part(read, part_size(first, number)):
        sums.add(part)
        number += 1
    return sums.sent()


class Upload:
    """All that a source gives, on its way into a bucket in parts, be it a single one.

    At most AT_ONCE parts, and twice the one being read, are in memory: 120 MB for a dump below 25 GB, 1.2 GB at 1.3 TB.
    """

    def __init__(self, bucket: Bucket, source: Source, first: int) -> None:
        self._bucket, self._source, self._first = bucket, source, first
        self._begun = [self._read(1)]
        """Parts that were read before the store's answer to the first one."""

    def send(self, key: str, said: Said, *, checked: bool) -> Sent:
        """Send everything; nothing has the key before all of it is there.

        Args:
            key: in the bucket.
            said: of the object.
            checked: whether each part's ETag must be its MD5; if so, the key is given only when each one's was.

        Raises:
            OtherETagError: the first part's is not. Whatever was read is still here: another `send` begins anew.
            StoreError: it could not be sent, or another part was damaged on its way; whatever else the source raises.
                Nothing is left in the bucket, unless it can't be reached any more.
        """
        client, bucket = self._bucket.client, self._bucket.name
        with self._bucket.asked(f"beginning to send {key}"):
            upload = client.create_multipart_upload(Bucket=bucket, Key=key, **said)["UploadId"]
        completing = False
        try:
            sent, parts = self._sent(key, upload, checked=checked)
            completing = True
            with self._bucket.asked(f"completing {key}"):
                client.complete_multipart_upload(
                    Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
                )
        except BaseException:
            with suppress(*FAULTS):
                client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
            if completing:  # it may have been done, and the answer lost
                with suppress(*FAULTS):
                    client.delete_object(Bucket=bucket, Key=key)
            raise
        return sent

    def _sent(self, key: str, upload: str, *, checked: bool) -> "tuple[Sent, list[CompletedPartTypeDef]]":
        sums, done = Sums(), list["CompletedPartTypeDef"]()
        running: deque[Future[CompletedPartTypeDef]] = deque()
        with ThreadPoolExecutor(AT_ONCE) as pool:  # its end waits for every part, so that an abort leaves none behind

            def send(number: int, part: bytes) -> None:
                running.append(pool.submit(self._send, key, upload, number, part, checked=checked))
                sums.add(part)

            send(1, self._begun[0])
            if len(self._begun) == 1:
                self._begun.append(self._read(2))
            done.append(running.popleft().result())
            number, part = 2, self._begun[1]
            self._begun.clear()
            while part:
                if len(running) == AT_ONCE:
                    done.append(running.popleft().result())
                send(number, part)
                number += 1
                part = self._read(number)
            done += [one.result() for one in running]
        return sums.sent(), done

    def _read(self, number: int) -> bytes:
        return read_part(self._source.read, part_size(self._first, number))

    def _send(self, key: str, upload: str, number: int, part: bytes, *, checked: bool) -> "CompletedPartTypeDef":
        with self._bucket.asked(f"sending part {number} of {key}"):
            answer = self._bucket.client.upload_part(
                Bucket=self._bucket.name, Key=key, UploadId=upload, PartNumber=number, Body=part
            )
        if "ETag" not in answer:
            raise StoreError(f"the store took part {number} of {key} and gave no ETag for it")
        if checked and answer["ETag"].strip('"') != hashlib.md5(part, usedforsecurity=False).hexdigest():
            error = OtherETagError if number == 1 else StoreError
            raise error(
                f"part {number} of {key} did not arrive as it was sent to {self._bucket.endpoint}",
                DAMAGED,
            )
        return {"ETag": answer["ETag"], "PartNumber": number}
