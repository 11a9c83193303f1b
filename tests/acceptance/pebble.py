"""A real ACME CA for tests: pebble, the ACME project's own server, with its DNS double; each process ended by its number."""

import http.client
import json
import os
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

from throwaway import write_certificate

FETCH = Path(__file__).parents[1] / "fetch-newer"
CACHE = Path(__file__).parents[2] / "build" / "pebble"
BLOCKED = "blocked.example"


class Pebble:
    """An ACME CA that looks for challenges at `http_port` of 127.0.0.1, whatever the name.

    Nonces are refused now and then, and no authorization is taken twice, as a CA may. Its root is new at each start.
    """

    def __init__(self, http_port, *, seconds=90 * 86400, ocsp_port=None):
        subprocess.run([FETCH, CACHE, "pebble"], check=True)
        self.folder = Path(tempfile.mkdtemp(prefix="pebble-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        self.port, self.management, dns, dns_management = free_ports(4)
        self.directory = f"https://localhost:{self.port}/dir"
        self.http_port, self.seconds, self.ocsp_port = http_port, seconds, ocsp_port
        self._processes = []
        self.certificate, self.key = write_certificate(self.folder)
        self._start_one(
            "pebble-challtestsrv", "-dns01", f"127.0.0.1:{dns}", "-management", f"127.0.0.1:{dns_management}",
            "-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "",
        )  # fmt: skip
        self.dns = dns
        self.start()

    def start(self):
        """Start the CA (again); what it issued before is of another root."""
        config = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": str(self.certificate),
            "privateKey": str(self.key),
            "httpPort": self.http_port,
            "tlsPort": 1,
            "ocspResponderURL": f"http://127.0.0.1:{self.ocsp_port}" if self.ocsp_port else "",
            "externalAccountBindingRequired": False,
            "domainBlocklist": [BLOCKED],
            "retryAfter": {"authz": 1, "order": 1},
            "certificateValidityPeriod": self.seconds,
        }
        (self.folder / "pebble.json").write_text(json.dumps({"pebble": config}))
        self.process = self._start_one(
            "pebble", "-config", str(self.folder / "pebble.json"), "-dnsserver", f"127.0.0.1:{self.dns}"
        )
        until = time.monotonic() + 15
        while True:
            try:
                root = self.ask("/roots/0")
                break
            except OSError:
                assert time.monotonic() < until, (self.folder / "log").read_text()
                time.sleep(0.1)
        # What an operator of a private CA has: one file with the root of its server and the root of what it issues.
        self.roots = self.folder / "roots.pem"
        self.roots.write_text(self.certificate.read_text() + root)

    def ask(self, path):
        """A page of its management address, such as /intermediate-keys/0."""
        context = ssl.create_default_context(cafile=self.certificate)
        connection = http.client.HTTPSConnection("localhost", self.management, context=context, timeout=5)
        connection.request("GET", path)
        return connection.getresponse().read().decode()

    def stop(self):
        self.process.kill()
        self.process.wait()

    def remove(self):
        for one in self._processes:
            one.kill()
            one.wait()
        subprocess.run(["rm", "-r", self.folder], check=True)

    def _start_one(self, name, *words):
        env = os.environ | {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0", "PEBBLE_WFE_NONCEREJECT": "15"}
        with (self.folder / "log").open("ab") as log:
            one = subprocess.Popen([CACHE / "usr" / "bin" / name, *words], stdout=log, stderr=log, env=env)
        self._processes.append(one)
        return one


def free_ports(count):
    """Ports that are free now; held together while they are chosen, so that they differ."""
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports
