"""A small application whose behaviour comes from a file beside it: each content is another release. From the standard library alone.

behaviour.json may say:
    greeting       what every answer holds
    start          seconds until it listens
    exits          it ends as soon as it is started
    never_ready    /ready says 503
    says           the release that it says it is
    dies           [seconds after its first answer, names of the instances that do]
    hangs          / takes longer than anyone waits
    breaks         seconds after its first answer from which / answers 500; /other and /ready go on
    build, migrate what that command does: "fail", "hang", "fill" the disk and fail, "filled" for no failure, or seconds to take
"""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BEHAVIOUR = json.loads(Path(__file__).with_name("behaviour.json").read_text())
NAME = os.environ.get("NEURMATIC_INSTANCE", "")
draining = threading.Event()
asked = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 3

    def do_GET(self):
        first = not asked and self.path != "/ready"
        asked.append(time.monotonic()) if first else None
        if first and "dies" in BEHAVIOUR and NAME in BEHAVIOUR["dies"][1]:
            threading.Timer(BEHAVIOUR["dies"][0], os._exit, (3,)).start()
        if self.path == "/slow":
            time.sleep(2)
        if self.path == "/" and BEHAVIOUR.get("hangs"):
            time.sleep(8)
        self.answer(self.status())

    def status(self):
        if self.path == "/ready":
            return 503 if draining.is_set() or BEHAVIOUR.get("never_ready") else 200
        broken = self.path == "/" and asked and time.monotonic() - asked[0] >= BEHAVIOUR.get("breaks", 1e9)
        return 500 if broken else 200

    def answer(self, status):
        said = BEHAVIOUR.get("says") or os.environ["NEURMATIC_RELEASE"]
        text = json.dumps({"instance": NAME, "release": said, "greeting": BEHAVIOUR["greeting"]}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        if draining.is_set():  # so that whoever keeps this connection alive goes elsewhere for the next one
            self.send_header("Connection", "close")
        self.send_header("X-Release", said)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for requests in flight
    request_queue_size = 128


def serve():
    if BEHAVIOUR.get("exits"):
        sys.exit("as it was told to")
    time.sleep(BEHAVIOUR.get("start", 0))
    server = Server((os.environ["LISTEN_ADDRESS"], int(os.environ["PORT"])), Handler)

    def drain():
        time.sleep(float(os.environ["NEURMATIC_DRAIN_SECONDS"]))
        server.shutdown()

    def stop(*_):
        draining.set()
        threading.Thread(target=drain).start()

    signal.signal(signal.SIGTERM, stop)
    server.serve_forever(poll_interval=0.05)
    server.server_close()


def fill(path):
    """Fill the disk; what the system says in the end."""
    try:
        with Path(path).open("ab", buffering=0) as file:
            while True:
                file.write(bytes(100_000))
    except OSError as error:
        return str(error)


def work(step):
    """What the release's build and migration do."""
    way = BEHAVIOUR.get(step, 0)
    if way == "fail":
        sys.exit(f"{step} fails as it was told to")
    if way in ("fill", "filled"):
        error = fill("fill" if step == "build" else "../../data/fill")
        sys.exit(error if way == "fill" else 0)
    time.sleep(1000 if way == "hang" else way)


if __name__ == "__main__":
    serve() if sys.argv[1] == "serve" else work(sys.argv[1])
