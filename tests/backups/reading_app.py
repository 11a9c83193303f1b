"""An application that keeps a connection to its database, as real ones do: each answer is how many notes there are."""

import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg


class Notes:
    """One connection for all; where it broke, a new one is tried once."""

    def __init__(self):
        self.lock, self.connection = threading.Lock(), None

    def count(self):
        with self.lock:
            try:
                return self._asked()
            except psycopg.OperationalError:
                self.connection = None
                return self._asked()

    def _asked(self):
        if self.connection is None:
            self.connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, connect_timeout=2)
        return self.connection.execute("SELECT count(*) FROM notes").fetchone()[0]


notes = Notes()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/ready":
            status, text = (503, "as it is told") if os.path.exists("unready") else (200, "ready")
        else:
            try:
                status, text = 200, str(notes.count())
            except psycopg.Error as error:
                status, text = 503, str(error)
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
server.serve_forever(poll_interval=0.05)
