"""One object's way into a bucket: read to its end, sent in parts, and summed so that its arrival can be checked."""

import hashlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from neurmatic.backups.stores.base import StoreError
from neurmatic.backups.stores.s3_bucket import FAULTS, Bucket
from neurmatic.hosts.pipeline import Source

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART = 24 << 20
"""Bytes of the first 1,000 parts; the next 1,000 have twice as many, and so on.

So the 10,000 parts of S3 hold 1.3 TB, while the parts of a dump below 25 GB are all alike, as some stores want them.
"""
AT_ONCE, CHUNK = 3, 1 << 20


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


def send(bucket: Bucket, key: str, source: Source, first: int) -> Sent:
    """Send all that the source gives: at once if it is less than a part, else in parts.

    At most AT_ONCE parts, and twice the one being read, are in memory: 120 MB for a dump below 25 GB, 1.2 GB at 1.3 TB.

    Raises:
        StoreError: it could not be sent; whatever else the source raises. Nothing is left in the bucket, unless it can't
            be reached any more.
    """
    part = read_part(source.read, first)
    if len(part) < first:
        sums = Sums()
        if part:
            sums.add(part)
        with bucket.asked(f"sending {key}"):
            bucket.client.put_object(Bucket=bucket.name, Key=key, Body=part)
        return sums.sent()
    with bucket.asked(f"beginning to send {key}"):
        upload = bucket.client.create_multipart_upload(Bucket=bucket.name, Key=key)["UploadId"]
    try:
        return _Multipart(bucket, key, upload, first).run(part, source)
    except BaseException:
        with suppress(*FAULTS):
            bucket.client.abort_multipart_upload(Bucket=bucket.name, Key=key, UploadId=upload)
        raise


class _Multipart:
    def __init__(self, bucket: Bucket, key: str, upload: str, first: int) -> None:
        self._bucket, self._key, self._upload, self._first = bucket, key, upload, first
        self._sums = Sums()
        self._done: list[CompletedPartTypeDef] = []

    def run(self, part: bytes, source: Source) -> Sent:
        running: deque[Future[CompletedPartTypeDef]] = deque()
        with ThreadPoolExecutor(AT_ONCE) as pool:  # its end waits for every part, so that an abort leaves none behind
            number = 1
            while part:
                if len(running) == AT_ONCE:
                    self._done.append(running.popleft().result())
                self._sums.add(part)
                running.append(pool.submit(self._send, number, part))
                number += 1
                part = read_part(source.read, part_size(self._first, number))
            self._done += [one.result() for one in running]
        sent = self._sums.sent()
        with self._bucket.asked(f"completing {self._key}"):
            self._bucket.client.complete_multipart_upload(
                Bucket=self._bucket.name, Key=self._key, UploadId=self._upload, MultipartUpload={"Parts": self._done}
            )
        return sent

    def _send(self, number: int, part: bytes) -> "CompletedPartTypeDef":
        with self._bucket.asked(f"sending part {number} of {self._key}"):
            answer = self._bucket.client.upload_part(
                Bucket=self._bucket.name, Key=self._key, UploadId=self._upload, PartNumber=number, Body=part
            )
        if "ETag" not in answer:
            raise StoreError(f"the store took part {number} of {self._key} and gave no ETag for it")
        return {"ETag": answer["ETag"], "PartNumber": number}
