"""A registry of images, as Debian packages it, in a folder of its own."""

import socket
import subprocess
import time

from pebble import free_ports

CONFIG = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/store}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


class Registry:
    """It; an engine asks one on this machine without TLS."""

    def __init__(self, folder):
        (self.port,) = free_ports(1)
        self.name = f"127.0.0.1:{self.port}/rolling"
        self.file = folder / "registry.yml"
        self.file.write_text(CONFIG.format(folder=folder, port=self.port))
        self.process = None

    def start(self):
        self.process = subprocess.Popen(["docker-registry", "serve", self.file], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)

    def take(self, engine, tag):
        """Have an image of this name; the engine has it no more."""
        engine.run("push", tag)
        engine.run("image", "rm", tag)

    def _answers(self):
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(30)
            self.process = None
