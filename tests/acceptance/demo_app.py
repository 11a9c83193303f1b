"""A small application that keeps the application contract, from the standard library alone."""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

draining = threading.Event()
ended_idle = []
"""Connections that this end had to close, since nothing was asked on them for long."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.do_GET(len(self.rfile.read(int(self.headers["Content-Length"]))))

    def do_GET(self, received=0):
        if self.path.startswith("/slow"):
            time.sleep(2)
        status = 503 if self.path == "/ready" and (draining.is_set() or os.path.exists("unready")) else 200
        text = json.dumps(
            {
                "instance": os.environ["NEURMATIC_INSTANCE"],
                "greeting": os.environ.get("GREETING", ""),
                "host": self.headers["Host"],
                "received": received,
                "ended_idle": len(ended_idle),
            }
        ).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        if draining.is_set():  # so that whoever keeps this connection alive goes elsewhere for the next one
            self.send_header("Connection", "close")
        self.send_header("X-Release", os.environ["NEURMATIC_RELEASE"])
        self.end_headers()
        self.wfile.write(text)

    def log_error(self, words, *_):
        if words.startswith("Request timed out"):
            ended_idle.append(self.client_address)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128


def main():
    if len(sys.argv) > 1:
        sys.exit("as it was told to")
    server = Server(("127.0.0.1", int(os.environ["PORT"])), Handler)
    Handler.timeout = 3

    def drain():
        time.sleep(float(os.environ["NEURMATIC_DRAIN_SECONDS"]))
        server.shutdown()

    def stop(*_):
        draining.set()
        threading.Thread(target=drain).start()

    signal.signal(signal.SIGTERM, stop)
    print("serving", flush=True)
    server.serve_forever(poll_interval=0.05)
    server.server_close()


main()
