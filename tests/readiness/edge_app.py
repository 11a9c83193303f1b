"""A small application behind the edge: lenient about spelling, careless about headers, and it counts what reaches it.

What `announce` says lies in a folder that every instance looks into: `python3 edge_app.py announce WORDS`.
"""

import base64
import hashlib
import itertools
import json
import os
import select
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

fetches = itertools.count(1)


def lenient(path):
    """What a router that is lenient about everything takes this path for."""
    path = unquote(unquote(path)).lower().replace("\\", "/")
    parts = []
    for segment in path.split("/"):
        name = segment.partition(";")[0].strip()
        if name == "..":
            parts = parts[:-1]
        elif name not in ("", "."):
            parts.append(name)
    return "/" + "/".join(parts).removesuffix(".json")


def frame(text):
    """A websocket's text frame; short ones have their length in the second byte."""
    return bytes((0x81, len(text))) + text.encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = lenient(urlsplit(self.path).path)
        if path in ("/api/health/ready", "/api/health/live"):
            return self.answer(503 if os.path.exists(f"unready-{os.environ['NEURMATIC_INSTANCE']}") else 200, {})
        if path.startswith("/api/list"):
            time.sleep(0.2)
            return self.answer(
                200, {"fetch": f"{os.environ['NEURMATIC_INSTANCE']}-{next(fetches)}", "text": "word " * 1000}
            )
        if path == "/api/live" and self.headers.get("Upgrade"):
            return self.live()
        if path.startswith("/api/auth/"):
            return self.answer(401, {"reached": path})
        return self.answer(404, {})

    def live(self):
        """Once the client has said anything, tell it each announcement, until it goes."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        digest = hashlib.sha1(key.encode(), usedforsecurity=False).digest()
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", "websocket")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
        self.end_headers()
        self.close_connection = True
        known, deaf = None, os.path.exists(f"deaf-{os.environ['NEURMATIC_INSTANCE']}")
        while True:
            if select.select([self.connection], [], [], 0.05)[0]:
                if not self.connection.recv(4096):
                    return
                known = set(os.listdir("announced"))
            if known is not None and not deaf:
                for words in sorted(set(os.listdir("announced")) - known):
                    known.add(words)
                    self.connection.sendall(frame(f"news: {words}"))

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def do_OPTIONS(self):
        self.do_GET()

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("X-Release", os.environ["NEURMATIC_RELEASE"])
        self.send_header("X-Frame-Options", "ALLOWALL")
        self.send_header("Content-Security-Policy", "default-src *")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("X-Powered-By", "carelessness")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 256


if sys.argv[1:2] == ["announce"]:
    open(f"announced/{sys.argv[-1]}", "w").close()
    sys.exit()
server = Server(("127.0.0.1", int(os.environ["PORT"])), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever(poll_interval=0.05)
