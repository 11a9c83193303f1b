"""What the tests of the S3 store put there, and how they look at what is there."""

import dataclasses
import io
import random

from s3servers import BUCKET

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
