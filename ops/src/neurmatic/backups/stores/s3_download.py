"""One object's way out of a bucket: a stream that goes on where a connection broke."""

import io
from contextlib import suppress
from typing import TYPE_CHECKING

from neurmatic.backups.stores.base import StoreError
from neurmatic.backups.stores.s3_bucket import FAULTS, TRIES, Bucket

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Download(io.RawIOBase):
    """An object as a raw stream; it ends only where the object does.

    A restore reads as fast as PostgreSQL takes it, for hours maybe, and meanwhile connections break. Each break is
    followed by a request for the rest; TRIES of them in a row that bring nothing are an error.
    """

    def __init__(self, bucket: Bucket, key: str) -> None:
        self._bucket, self._key = bucket, key
        with bucket.asked(f"reading {key}"):
            answer = bucket.client.get_object(Bucket=bucket.name, Key=key)
        self._body, self._size, self._at = answer["Body"], answer["ContentLength"], 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill some of the buffer.

        Raises:
            StoreError: the store can't be read from any more.
        """
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), self._size - self._at)
        if not wanted:
            return 0
        for left in reversed(range(TRIES)):
            try:
                data = self._body.read(wanted)
            except FAULTS as error:
                if not left:
                    raise self._bucket.explained(f"reading {self._key}, at byte {self._at}", error) from error
            else:
                if data:
                    view[: len(data)] = data
                    self._at += len(data)
                    return len(data)
            self._go_on()
        raise StoreError(f"{self._key} ends at byte {self._at} of {self._size}, again and again")

    def close(self) -> None:
        if not self.closed:
            with suppress(*FAULTS):
                self._body.close()
        super().close()

    def _go_on(self) -> None:
        with suppress(*FAULTS):
            self._body.close()
        with self._bucket.asked(f"reading {self._key} from byte {self._at}"):
            answer = self._bucket.client.get_object(Bucket=self._bucket.name, Key=self._key, Range=f"bytes={self._at}-")
        self._body = answer["Body"]
