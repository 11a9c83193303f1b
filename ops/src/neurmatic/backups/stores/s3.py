"""The store in a bucket of any S3-compatible server."""

import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self, cast

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from neurmatic.backups.stores.base import NOTHING, Entry, StoreError
from neurmatic.backups.stores.s3_bucket import Bucket, answered
from neurmatic.backups.stores.s3_download import Download
from neurmatic.backups.stores.s3_upload import DAMAGED, PART, OtherETagError, Said, Sent, Upload, summed
from neurmatic.hosts.pipeline import Source
from neurmatic.stack.backup import S3
from neurmatic.stack.secret import Secret

if TYPE_CHECKING:
    from mypy_boto3_s3.literals import StorageClassType
    from mypy_boto3_s3.type_defs import CopySourceTypeDef, HeadObjectOutputTypeDef, MultipartUploadTypeDef

INCOMING = "incoming/"
OTHERS = (INCOMING, "physical/")
"""Folders whose objects are not this store's: what is not yet compared, and pgBackRest's repository."""
COPY_PART = 512 << 20
"""An object is copied within the store in one request if it is smaller, else in parts of this many bytes."""
LEFTOVER_AGE = timedelta(days=1)
ABSENT = ("NoSuchKey", "404")


@dataclass(frozen=True)
class S3Store:
    """Objects below a prefix of a bucket.

    An object is sent in parts. The store answers each with an ETag, which is the part's MD5 with nearly every store; only
    when all of them were right are the parts made an object, at once and under its final key. Where ETags are anything
    else, the object goes to incoming/, is read back and compared there, and is copied to its final key by the store. So
    nothing partial and nothing damaged on the way ever has a final key. In the end the object is asked for its size and
    ETag; a proof, which restores what lies there, trusts nothing.

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

    def put(self, key: str, source: Source, about: Mapping[str, str] = NOTHING) -> Entry:
        """Store all that the source gives, and see that it arrived; see the class for how."""
        upload = Upload(self.bucket, source, self.part)
        try:
            sent = upload.send(self.at(key), self._said(about), checked=True)
        except OtherETagError:
            return self._put_by_incoming(key, upload, about)
        with self._gone_on_failure(key):
            return self._checked(key, sent)

    def _put_by_incoming(self, key: str, upload: Upload, about: Mapping[str, str]) -> Entry:
        """The store's own copy of what was compared is trusted but for its size."""
        incoming = INCOMING + key
        try:
            sent = upload.send(self.at(incoming), {}, checked=False)
            self._checked(incoming, sent)
            with self._gone_on_failure(key):
                self._copy(self.at(incoming), self.at(key), self._said(about))
                entry = self._entry(key)
                if entry.size != sent.size:
                    raise StoreError(f"the copy of {key} has {entry.size} bytes, not the {sent.size} that were sent")
        finally:
            with suppress(StoreError):  # the cause is being raised; what stays is removed by clear_leftovers
                self.remove(incoming)
        return entry

    @contextmanager
    def _gone_on_failure(self, key: str) -> Iterator[None]:
        try:
            yield
        except StoreError:
            with suppress(StoreError):
                self.remove(key)
            raise

    def _said(self, about: Mapping[str, str]) -> Said:
        return {"StorageClass": cast("StorageClassType", self.storage_class), "Metadata": dict(about)}

    def put_text(self, key: str, text: str, about: Mapping[str, str] = NOTHING) -> None:
        """Store a small text. It is read back, whatever the store says of it."""
        with self.bucket.asked(f"storing {key}"):
            self.bucket.client.put_object(
                Bucket=self.bucket.name, Key=self.at(key), Body=text.encode(), Metadata=dict(about)
            )
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
        about = self._head(key)
        return {name.lower(): value for name, value in about["Metadata"].items()}  # some stores capitalise them

    def storage_class_of(self, key: str) -> str:
        """The class that the store says an object has; one that it doesn't name is the usual one."""
        return self._head(key).get("StorageClass", "STANDARD")

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
        about = self._head(key)
        return Entry(key, about["ContentLength"], about["LastModified"])

    def _head(self, key: str) -> "HeadObjectOutputTypeDef":
        with self.bucket.asked(f"asking for {key}"):
            return self.bucket.client.head_object(Bucket=self.bucket.name, Key=self.at(key))

    def _checked(self, key: str, sent: Sent) -> Entry:
        """See that this object is what was sent: by its size and its ETag, or by reading it."""
        about = self._head(key)
        if about["ContentLength"] != sent.size or about["ETag"].strip('"') not in sent.etags:
            with self.open(key) as file:
                there = summed(file.read, self.part)
            if there != sent:
                raise StoreError(
                    f"{key} did not arrive as it was sent to {self.bucket.endpoint}: it has {there.size} bytes there, "
                    f"{sent.size} were sent, and their checksums differ",
                    DAMAGED,
                )
        return Entry(key, about["ContentLength"], about["LastModified"])

    def _copy(self, source: str, target: str, said: Said) -> None:
        whole = TransferConfig(multipart_threshold=sys.maxsize)
        parts = TransferConfig(multipart_threshold=self.copy_part, multipart_chunksize=self.copy_part)
        more = {**said, "MetadataDirective": "REPLACE"}
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
