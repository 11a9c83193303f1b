"""Real S3-compatible servers on loopback, each for what the others can't; each ended by its number.

Rclone  TLS with an authority of its own, refuses wrong keys and signatures, takes every storage class; starts at once.
        It takes any body for whatever its checksum says, capitalises metadata, has neither lifecycle nor tags.
Swift   OpenStack's, with s3api: strict in all of that; refuses classes but STANDARD; has neither lifecycle nor tags.
Moto    has lifecycle rules, tags and storage classes, and lists unfinished uploads; it takes any key.
"""

import os
import pwd
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import boto3
from botocore.config import Config
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from neurmatic.backups.stores.s3 import S3Store
from neurmatic.stack.backup import S3, S3_KEY_ID, S3_SECRET
from neurmatic.stack.secret import Secret

BIN = Path(sys.executable).parent
SWIFT = Path(__file__).parents[2] / "build" / "swift-venv" / "bin"
BUCKET = "backups"


class Server:
    """One server with a bucket. Its folder outlives `kill`, so that `start` finds what was stored."""

    key, secret = "the-key-id", "the-secret-of-it"
    ca = None
    storage_class = "STANDARD_IA"

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="s3-", dir="/var/tmp"))
        self.port = free_port()
        self.processes = []
        self.prepare()
        self.start()
        self.client().create_bucket(Bucket=BUCKET)

    @property
    def endpoint(self):
        return f"https://localhost:{self.port}" if self.ca else f"http://127.0.0.1:{self.port}"

    def prepare(self):
        """What is made once."""

    def start(self):
        """Start it, and wait until it answers."""
        for words in self.commands():
            with (self.folder / "log").open("ab") as log:
                env = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder)}
                self.processes.append(
                    subprocess.Popen([str(word) for word in words], env=env, stdout=log, stderr=log, cwd=self.folder)
                )
        until = time.monotonic() + 60
        while True:
            try:
                self.client().list_buckets()
                break
            except Exception:
                assert time.monotonic() < until, (self.folder / "log").read_text()[-3000:]
                time.sleep(0.1)

    def kill(self):
        """As a power cut would."""
        for one in self.processes:
            one.kill()
        for one in self.processes:
            one.wait()
        self.processes.clear()

    def remove(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def client(self):
        """The administrator's own, which no test's fault reaches."""
        return boto3.Session(self.key, self.secret, region_name="us-east-1").client(
            "s3",
            endpoint_url=self.endpoint,
            verify=str(self.ca) if self.ca else None,
            config=Config(
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                retries={"total_max_attempts": 1},
                connect_timeout=5,
                read_timeout=20,
            ),
        )

    def section(self, **other):
        """[backup.s3] of a stack that uses it."""
        given = {"bucket": BUCKET, "endpoint": self.endpoint, "path_style": True, "ca": str(self.ca or "")}
        return S3(**given | {"storage_class": self.storage_class} | other)

    def secrets(self, key=None, secret=None):
        return {S3_KEY_ID: Secret(key or self.key), S3_SECRET: Secret(secret or self.secret)}

    def store(self, prefix="", key=None, secret=None, **other):
        """The store as the tool makes it."""
        return S3Store.of(self.section(prefix=prefix, **other), self.secrets(key, secret), Path("/"))

    def keys(self, prefix=""):
        """Every key that the server itself lists."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [one["Key"] for page in pages for one in page.get("Contents", [])]


class Rclone(Server):
    def prepare(self):
        (self.folder / "data").mkdir()
        self.ca = self.folder / "ca.pem"
        _certify(self.folder)

    def commands(self):
        yield (
            *(BIN / "rclone", "serve", "s3", "--addr", f"127.0.0.1:{self.port}"),
            *("--auth-key", f"{self.key},{self.secret}", "--config", "/dev/null"),
            *("--cert", self.folder / "server.pem", "--key", self.folder / "server-key.pem", self.folder / "data"),
        )


class Moto(Server):
    def commands(self):
        yield BIN / "moto_server", "-H", "127.0.0.1", "-p", self.port


class Swift(Server):
    """One proxy, one of each storage server, one replica on one folder."""

    key, secret = "test:tester", "testing"
    storage_class = "STANDARD"
    kinds = ("object", "container", "account")

    def prepare(self):
        assert (SWIFT / "swift-proxy-server").exists(), "make build/swift-venv/.installed"
        (self.folder / "devices" / "one").mkdir(parents=True)
        (self.folder / "swift.conf").write_text(
            "[swift-hash]\nswift_hash_path_suffix = a\n[storage-policy:0]\nname = one\ndefault = yes\n"
        )
        account = pwd.getpwuid(os.getuid()).pw_name
        common = f"swift_dir = {self.folder}\nbind_ip = 127.0.0.1\nworkers = 0\nuser = {account}\n"
        for kind in self.kinds:
            port = free_port()
            self._ring(kind, port)
            (self.folder / f"{kind}.conf").write_text(
                f"[DEFAULT]\n{common}bind_port = {port}\ndevices = {self.folder}/devices\nmount_check = false\n"
                f"fallocate_reserve = 0\n[pipeline:main]\npipeline = {kind}-server\n"
                f"[app:{kind}-server]\nuse = egg:swift#{kind}\n"
            )
        filters = ("catch_errors", "listing_formats", "bulk", "s3api", "tempauth", "slo", "dlo")
        text = (
            f"[DEFAULT]\n{common}bind_port = {self.port}\n"
            f"[pipeline:main]\npipeline = {' '.join(filters).replace('s3api', 'cache s3api')} proxy-server\n"
            "[app:proxy-server]\nuse = egg:swift#proxy\nallow_account_management = true\naccount_autocreate = true\n"
            "[filter:cache]\nuse = egg:swift#memcache\n"
        )
        for name in filters:
            text += f"[filter:{name}]\nuse = egg:swift#{name}\n"
            if name == "tempauth":
                text += f"user_test_tester = {self.secret} .admin\n"
        (self.folder / "proxy.conf").write_text(text)

    def commands(self):
        for kind in (*self.kinds, "proxy"):
            yield SWIFT / f"swift-{kind}-server", self.folder / f"{kind}.conf"

    def _ring(self, kind, port):
        device = ("--region", "1", "--zone", "1", "--ip", "127.0.0.1", "--port", str(port), "--device", "one")
        for words in (("create", "4", "1", "0"), ("add", *device, "--weight", "1"), ("rebalance",)):
            subprocess.run(
                [SWIFT / "swift-ring-builder", self.folder / f"{kind}.builder", *words],
                check=True,
                stdout=subprocess.DEVNULL,
            )


def free_port():
    """A free port below those that connections take."""
    for port in random.sample(range(22000, 31000), k=9000):
        with socket.socket() as one:
            if port not in free_port.given and one.connect_ex(("127.0.0.1", port)) != 0:
                free_port.given.add(port)
                return port
    raise AssertionError("no free port")


free_port.given = set()


def _certify(folder):
    """An authority, and a certificate of it for 127.0.0.1."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name.from_rfc4514_string("CN=authority of a test")
    now = datetime.now(UTC)

    def base(name, public):
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(ca_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=2))
        )

    ca = base(ca_name, ca_key.public_key())
    ca = ca.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(ca_key, SHA256())
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")])
    one = base(x509.Name.from_rfc4514_string("CN=localhost"), key.public_key()).add_extension(names, critical=False)
    one = one.sign(ca_key, SHA256())
    (folder / "ca.pem").write_bytes(ca.public_bytes(Encoding.PEM))
    (folder / "server.pem").write_bytes(one.public_bytes(Encoding.PEM))
    (folder / "server-key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
