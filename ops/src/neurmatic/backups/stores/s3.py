"""The store in a bucket of any S3-compatible server."""

import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from neurmatic.backups.stores.base import Entry, Facts, StoreError
from neurmatic.backups.stores.s3_bucket import Bucket, answered
from neurmatic.backups.stores.s3_download import Download
from neurmatic.backups.stores.s3_upload import PART, Sent, send, summed
from neurmatic.hosts.pipeline import Source
from neurmatic.stack.backup import S3
from neurmatic.stack.secret import Secret

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CopySourceTypeDef, MultipartUploadTypeDef

INCOMING = "incoming/"
OTHERS = (INCOMING, "physical/")
"""Folders whose objects are not this store's: what is on its way, and pgBackRest's repository."""
COPY_PART = 512 << 20
"""An object is copied within the store in one request if it is smaller, else in parts of this many bytes."""
LEFTOVER_AGE = timedelta(days=1)
ABSENT = ("NoSuchKey", "404")


@dataclass(frozen=True)
class S3Store:
    """Objects below a prefix of a bucket.

    An object is sent to incoming/, checked there, and then copied by the store itself to its final key, with its
    storage class and with metadata that is known only after the last byte. So nothing partial and nothing damaged on
    the way ever has a final key. What the check trusts: an ETag that is the MD5 of what was sent, or made of the MD5 of
    its parts, as nearly every store's is; where it is anything else, the object is read back and compared. The store's
    own copy is trusted but for its size; a proof, which restores what lies there, trusts nothing.

    Requests are repeated a few times, and silence is borne for a minute at most (s3_bucket.py).

    Args:
        prefix: folder in the bucket, without a slash at its end; empty: none.
        storage_class: of what `put` stores. Small texts, which are read often, have the store's usual one.
    """

    bucket: Bucket
    prefix: str
    storage_class: str
    part: int = PART
    copy_part: int = COPY_PART
    name: str = "s3"

    @classmethod
    def of(cls, s3: S3, secrets: Mapping[str, Secret], project: Path) -> Self:
        """As [backup.s3] describes it; nothing is asked yet."""
        return cls(Bucket.of(s3, secrets, project), s3.prefix, s3.storage_class)

    def at(self, key: str) -> str:
        """The key in the bucket."""
        return f"{self.prefix}/{key}" if self.prefix else key

    def put(self, key: str, source: Source, facts: Facts = dict) -> Entry:
        """Store all that the source gives, and see that it arrived; see the class for how.

        When the last request, the copy, fails without an answer, an object without a manifest may be there.
        """
        incoming = self.at(INCOMING + key)
        try:
            sent = send(self.bucket, incoming, source, self.part)
            about = facts()
            self._check(INCOMING + key, sent)
            self._copy(incoming, self.at(key), about)
        finally:
            with suppress(StoreError):  # the cause is being raised; what stays is removed by clear_leftovers
                self.remove(INCOMING + key)
        entry = self._entry(key)
        if entry.size != sent.size:
            self.remove(key)
            raise StoreError(f"the store's copy of {key} has {entry.size} bytes, not the {sent.size} that were sent")
        return entry

    def put_text(self, key: str, text: str) -> None:
        """Store a small text. It is read back, whatever the store says of it."""
        with self.bucket.asked(f"storing {key}"):
            self.bucket.client.put_object(Bucket=self.bucket.name, Key=self.at(key), Body=text.encode())
        if self.text(key) != text:
            self.remove(key)
            raise StoreError(f"{key} did not arrive as it was sent to {self.bucket.endpoint}", "run it again")

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """The object as a stream; where the connection breaks, it goes on from there."""
        with Download(self.bucket, self.at(key)) as raw, io.BufferedReader(raw, 1 << 20) as file:
            yield file

    def text(self, key: str) -> str | None:
        with self.bucket.asked(f"reading {key}"):
            try:
                answer = self.bucket.client.get_object(Bucket=self.bucket.name, Key=self.at(key))
            except ClientError as error:
                if answered(error) in ABSENT:
                    return None
                raise
            return answer["Body"].read().decode(errors="replace")

    def metadata(self, key: str) -> Mapping[str, str]:
        with self.bucket.asked(f"asking for {key}"):
            about = self.bucket.client.head_object(Bucket=self.bucket.name, Key=self.at(key))
        return {name.lower(): value for name, value in about["Metadata"].items()}  # some stores capitalise them

    def storage_class_of(self, key: str) -> str:
        """The class that the store says an object has; one that it doesn't name is the usual one."""
        with self.bucket.asked(f"asking for {key}"):
            about = self.bucket.client.head_object(Bucket=self.bucket.name, Key=self.at(key))
        return about.get("StorageClass", "STANDARD")

    def entries(self, prefix: str = "") -> list[Entry]:
        return sorted((one for one in self._all(prefix) if not one.key.startswith(OTHERS)), key=lambda one: one.key)

    def remove(self, key: str) -> None:
        with self.bucket.asked(f"removing {key}"), suppress_absent():
            self.bucket.client.delete_object(Bucket=self.bucket.name, Key=self.at(key))

    def clear_leftovers(self, age: timedelta = LEFTOVER_AGE) -> int:
        """Abort uploads and remove incoming objects that are older than this; pgBackRest's are its own business."""
        before = datetime.now(UTC) - age
        count = 0
        for one in self._all(INCOMING):
            if one.modified <= before:
                self.remove(one.key)
                count += 1
        for upload in self._uploads():
            if upload["Initiated"] <= before and not upload["Key"].startswith(self.at("physical/")):
                with self.bucket.asked(f"aborting the upload of {upload['Key']}"):
                    self.bucket.client.abort_multipart_upload(
                        Bucket=self.bucket.name, Key=upload["Key"], UploadId=upload["UploadId"]
                    )
                count += 1
        return count

    def _uploads(self) -> list["MultipartUploadTypeDef"]:
        with self.bucket.asked("looking for unfinished uploads"):
            try:
                pages = self.bucket.client.get_paginator("list_multipart_uploads")
                found = list(pages.paginate(Bucket=self.bucket.name, Prefix=self.at("")))
            except ClientError as error:
                if answered(error) == "NoSuchUpload":  # as rclone says where there are none
                    return []
                raise
        return [one for page in found for one in page.get("Uploads", [])]

    def _all(self, prefix: str) -> Iterator[Entry]:
        with self.bucket.asked(f"listing {prefix or 'all'}"):
            pages = self.bucket.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket.name, Prefix=self.at(prefix)):
                for found in page.get("Contents", []):
                    yield Entry(found["Key"].removeprefix(self.at("")), found["Size"], found["LastModified"])

    def _entry(self, key: str) -> Entry:
        with self.bucket.asked(f"asking for {key}"):
            about = self.bucket.client.head_object(Bucket=self.bucket.name, Key=self.at(key))
        return Entry(key, about["ContentLength"], about["LastModified"])

    def _check(self, key: str, sent: Sent) -> None:
        """See that this object is what was sent."""
        with self.bucket.asked(f"asking for {key}"):
            about = self.bucket.client.head_object(Bucket=self.bucket.name, Key=self.at(key))
        if about["ContentLength"] == sent.size and about["ETag"].strip('"') in sent.etags:
            return
        with self.open(key) as file:
            there = summed(file.read, self.part)
        if there != sent:
            raise StoreError(
                f"{key} did not arrive as it was sent to {self.bucket.endpoint}: it has {there.size} bytes there, "
                f"{sent.size} were sent, and their checksums differ",
                "run it again; if it comes back, something on the way to the store damages data",
            )

    def _copy(self, source: str, target: str, about: Mapping[str, str]) -> None:
        whole = TransferConfig(multipart_threshold=sys.maxsize)
        parts = TransferConfig(multipart_threshold=self.copy_part, multipart_chunksize=self.copy_part)
        more = {"StorageClass": self.storage_class, "Metadata": dict(about), "MetadataDirective": "REPLACE"}
        origin: CopySourceTypeDef = {"Bucket": self.bucket.name, "Key": source}
        with self.bucket.asked(f"giving {target} its name"):
            try:
                self.bucket.client.copy(origin, self.bucket.name, target, ExtraArgs=more, Config=parts)
            except (
                KeyError
            ):  # no ETag of a part: as rclone answers, which can't copy in parts, but does any size at once
                self.bucket.client.copy(origin, self.bucket.name, target, ExtraArgs=more, Config=whole)


@contextmanager
def suppress_absent() -> Iterator[None]:
    """What is not there is as good as removed."""
    try:
        yield
    except ClientError as error:
        if answered(error) not in ABSENT:
            raise
