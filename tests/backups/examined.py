"""A small stack with backups, here and in a bucket, looked at by the readiness checks as `verify` does."""

import contextlib
import json
import os
import shutil
import subprocess
import time

import pytest
from s3servers import BUCKET
from small_stack import StackDir, asked, setting

from neurmatic.backups import logical, swap
from neurmatic.errors import NeurmaticError
from neurmatic.hosts.local import LocalHost
from neurmatic.readiness.backups import copy_setting, database, newest
from neurmatic.readiness.catalogue import claims
from neurmatic.readiness.finding import Status
from neurmatic.readiness.run import execute, find_check
from neurmatic.readiness.subject import Subject, View
from neurmatic.stack.backup import S3_KEY_ID, S3_SECRET
from neurmatic.stack.layout import Layout
from neurmatic.stack.loading import load

STACK = """
[stack]
name = "kept"
user = "nobody"
[edge]
https_port = {https}
http_port = {http}
control_port = {control}
[services.app]
command = ["python3", "demo_app.py"]
ports = "{first}-{second}"
routes = ["/"]
needs = ["postgres"]
drain = 0
stop_timeout = 5
health.ready = "/ready"
[postgres]
port = {postgres}
[backup]
"""
BUCKET_OF_IT = """
[backup.s3]
bucket = "{bucket}"
endpoint = "{endpoint}"
path_style = true
ca = "{ca}"
"""


class Examined:
    """One running stack with a dump, a base backup and the records of drills; a test that breaks it heals it.

    The rehearsal copy is shared by all that break things on it, as it is by the checks of one `verify`.
    """

    def __init__(self, server):
        self.stack = StackDir()
        self.server = server
        # Where the services' account can read it, too; and pgBackRest finds no address in a certificate, only names.
        ca = shutil.copy(server.ca, self.stack.folder / "ca.pem").name
        endpoint = server.endpoint.replace("127.0.0.1", "localhost")
        self.text = STACK.format(**self.stack.ports) + BUCKET_OF_IT.format(bucket=BUCKET, endpoint=endpoint, ca=ca)
        self.stack.file.write_text(self.text)
        self.layout = Layout(self.stack.state, self.stack.folder)
        self.host = LocalHost()
        self.user = "nobody" if os.geteuid() == 0 else None
        self.stack.state.mkdir()
        self.layout.secrets.write_text(f"{S3_KEY_ID}={server.key}\n{S3_SECRET}={server.secret}\n")
        self.layout.secrets.chmod(0o600)
        self._subject = None

    def start(self):
        """Start it, fill it, and make its first backups."""
        self.stack.run("up")
        self.sql("CREATE TABLE notes (id int PRIMARY KEY, text text NOT NULL CHECK (text <> ''))")
        self.sql("CREATE TABLE replies (id serial PRIMARY KEY, note int NOT NULL REFERENCES notes, t text)")
        self.sql("INSERT INTO notes SELECT n, md5(n::text) FROM generate_series(1, 500) n")
        self.sql("INSERT INTO replies (note) SELECT id FROM notes")
        self.stack.run("backup", "run")

    @property
    def setting(self):
        """What the tool's own commands work with, read anew."""
        return setting(self.stack)

    @property
    def local(self):
        """The folder of the local store."""
        return self.layout.backups

    @property
    def bucket(self):
        """The bucket's administrator."""
        return self.server.client()

    def sql(self, query, *args):
        return asked(self.stack, query, *args)

    def newest(self, kind, store):
        """The manifest of the newest backup of a kind in a store."""
        return newest(self.setting, kind, store).manifest

    def view(self, text="", s3=None):
        """The running stack, as its stack file or another text says; with another bucket."""
        stack = load(text or self.text, "f").stack
        if s3:
            stack = stack.replace(backup=stack.backup.replace(s3=s3))
        return View(self.host, self.layout, stack)

    def examine(self, slug, text="", **other):
        """The finding of a claim's check, on what `view` gives."""
        self._subject = self._subject or Subject(self.view(), self.user)
        self._subject.live = self.view(text, **other)
        claim = next(claim for claim in claims() if claim.slug == slug)
        return execute(claim, find_check(claim), self._subject)

    def settle(self):
        """Clear away what a check that ended early left on the shared copy; where that can't be done, the copy itself."""
        copy = self._subject and self._subject._copy
        if not copy:
            return
        try:
            there = copy_setting(copy)
            copy.await_health()
            with database(there).connected() as connection:
                tables = connection.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE 'rehearsed_%'")
                for (name,) in tables.fetchall():
                    connection.execute(f"DROP TABLE {name}".encode())
                names = connection.execute("SELECT datname FROM pg_database WHERE datname ~ '^(app_|rehearsed_)'")
                found = [name for (name,) in names.fetchall()]
            for name in found:
                swap.drop(logical.live(there, "postgres"), name)
            shutil.rmtree(there.local.root / "logical", ignore_errors=True)
            copy.layout.events.unlink(missing_ok=True)
        except NeurmaticError:
            self.close_copy()

    def close_copy(self):
        if self._subject:
            self._subject.close()
            self._subject = None

    # ---- breaking the running stack; each is whole again at the end

    @contextlib.contextmanager
    def events(self, change):
        """Its events, each as `change` makes it; None leaves it out."""
        text = self.layout.events.read_text()
        kept = [one for one in map(change, map(json.loads, text.splitlines())) if one]
        self.layout.events.write_text("".join(json.dumps(one) + "\n" for one in kept))
        try:
            yield
        finally:
            self.layout.events.write_text(text)

    @contextlib.contextmanager
    def aside(self, path):
        """A file that is gone."""
        path.rename(path.with_name(".aside"))
        try:
            yield
        finally:
            path.with_name(".aside").rename(path)

    @contextlib.contextmanager
    def another(self, path, data, mode=0o600):
        """A file with other bytes, or one that wasn't there; its owner is the services' account."""
        before = path.read_bytes() if path.exists() else None
        path.write_bytes(data)
        path.chmod(mode)
        if self.user:
            shutil.chown(path, self.user)
        try:
            yield
        finally:
            if before is None:
                path.unlink()
            else:
                path.write_bytes(before)

    @contextlib.contextmanager
    def mode(self, path, mode):
        before = path.stat().st_mode & 0o777
        path.chmod(mode)
        try:
            yield
        finally:
            path.chmod(before)

    @contextlib.contextmanager
    def stopped(self, timer):
        """A timer that was stopped."""
        self._sv("down", timer)
        try:
            yield
        finally:
            self._sv("up", timer)

    @contextlib.contextmanager
    def told(self, timer, old, new, *, restart=True):
        """A timer whose command says something else; without `restart`, the process that waits is the one before."""
        run = self.layout.service(timer) / "run"
        text = run.read_text()
        assert old in text
        run.write_text(text.replace(old, new))
        try:
            if restart:
                self._sv("down", timer)
                self._sv("up", timer)
            yield
        finally:
            run.write_text(text)
            if restart:
                self._sv("down", timer)
                self._sv("up", timer)

    def _sv(self, command, timer):
        subprocess.run(["sv", "-w", "20", command, self.layout.service(timer)], check=True, capture_output=True)
        until = time.monotonic() + 20
        while command == "up" and "snooze" not in self._command_line(timer):
            assert time.monotonic() < until
            time.sleep(0.05)

    def _command_line(self, timer):
        one = self.setting.runtime.inspect([timer])[timer]
        return self.host.command_line(one.pid).split()[0] if one.pid else ""

    @contextlib.contextmanager
    def objects(self, keys, put=None):
        """Objects of the bucket that are gone; with `put`, it is called with the bucket's client and each as it was."""
        before = []
        for key in keys:
            one = self.bucket.get_object(Bucket=BUCKET, Key=key)
            metadata = {name.lower(): text for name, text in one["Metadata"].items()}
            before.append(
                {
                    "Bucket": BUCKET,
                    "Key": key,
                    "Body": one["Body"].read(),
                    "Metadata": metadata,
                    "StorageClass": one.get("StorageClass", "STANDARD"),
                }
            )
        assert before
        for one in before:
            self.bucket.delete_object(Bucket=BUCKET, Key=one["Key"])
            if put:
                self.bucket.put_object(**put(one))
        try:
            yield
        finally:
            for one in before:
                self.bucket.put_object(**one)

    def remove(self):
        self.close_copy()
        self.stack.remove()


@contextlib.contextmanager
def wrong(place, name, instead):
    """A wrong implementation in place of the product's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, name, instead)
        yield


def red(finding, words):
    """The check has failed, at the end of what it saw, with these words, and has not broken down."""
    assert finding.status is Status.FAIL, finding.evidence
    assert words in finding.evidence.partition("BUT")[2], finding.evidence
    assert "Traceback" not in finding.evidence
