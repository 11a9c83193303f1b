"""Secrets are found wherever they lie in a stream, and in an image's layers however the engine keeps them."""

import contextlib
import gzip
import io
import json
import tarfile

import pytest

from neurmatic.readiness import secrets
from neurmatic.readiness.finding import Unverifiable

VALUE = "a-secret-of-sixty-four-characters"
WANTED = secrets.sought({"TOKEN": VALUE, "SHORT": "abc"})


@pytest.mark.parametrize("before", [0, 1, secrets.CHUNK - 5, secrets.CHUNK, 2 * secrets.CHUNK - 1])
def test_a_secret_is_found_wherever_it_begins(before):
    stream = io.BytesIO(b"." * before + VALUE.encode() + b"." * 7)
    assert secrets.found_in(stream, WANTED) == {"TOKEN"}


def test_what_is_no_secret_is_not_found():
    assert secrets.found_in(io.BytesIO(VALUE[:-1].encode() * 3 + b"abc"), WANTED) == set()
    assert secrets.found_in(io.BytesIO(), WANTED) == set()


def test_a_secret_is_found_as_json_has_it():
    wanted = secrets.sought({"TOKEN": 'it has a " and a \\ in it'})
    said = json.dumps({"Env": ['LEAK=it has a " and a \\ in it']}).encode()
    assert secrets.found_in(io.BytesIO(said), wanted) == {"TOKEN"}


class Kept:
    """An engine that has one image, of one layer."""

    def __init__(self, layer, config=b"{}"):
        manifest = [{"Config": "blobs/sha256/c0ffee", "Layers": ["blobs/sha256/1a7e4"]}]
        self.parts = {"blobs/sha256/1a7e4": layer, "blobs/sha256/c0ffee": config}
        self.parts["manifest.json"] = json.dumps(manifest).encode()

    @contextlib.contextmanager
    def saved(self, _images):
        text = io.BytesIO()
        with tarfile.open(fileobj=text, mode="w") as archive:
            for name, content in self.parts.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        text.seek(0)
        with tarfile.open(fileobj=text, mode="r|") as archive:
            yield archive


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["as it is", "packed"])
def test_a_layer_is_searched(pack):
    layer = b"a file: " + VALUE.encode() * 2
    found = list(secrets.in_images(Kept(pack(layer)), {"sha256:c0ffee": "api-1"}, WANTED))
    assert found == ["TOKEN in a layer of api-1's image"]
    assert list(secrets.in_images(Kept(pack(b"nothing")), {"sha256:c0ffee": "api-1"}, WANTED)) == []


def test_settings_and_history_are_searched():
    kept = Kept(b"", json.dumps({"history": [{"created_by": f"RUN login {VALUE}"}]}).encode())
    found = list(secrets.in_images(kept, {"sha256:c0ffee": "api-1"}, WANTED))
    assert found == ["TOKEN in the settings or the history of api-1's image"]


def test_a_layer_that_cannot_be_read_is_no_verdict():
    with pytest.raises(Unverifiable, match="zstandard"):
        list(secrets.in_images(Kept(b"\x28\xb5\x2f\xfd..."), {"sha256:c0ffee": "api-1"}, WANTED))
