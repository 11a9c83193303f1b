"""Breaks what passes between a client and a real server: a small HTTP proxy on loopback with faults to switch on."""

import http.client
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Fault:
    """What is done to requests that fit, the first `times` of them.

    Args:
        answer: status to answer with instead of asking the server.
        error: code of S3 in that answer.
        cut: "request": close the connection when half of the body came; "answer": when half of the answer was sent.
        flip: change one byte of the body.
        other_etag: give an ETag that is no MD5, as a store does that encrypts with keys of its own; where a client names
            it later, the server hears its own.
        silent: take the request and never answer.
        body: fits only when this is in the request's body.
    """

    method: str
    path: str
    times: int = 10**9
    answer: int = 0
    error: str = "InternalError"
    cut: str = ""
    flip: bool = False
    other_etag: bool = False
    silent: bool = False
    body: bytes = b""
    met: int = 0


class Proxy:
    """In front of a server of s3servers.py. The host that clients sign is the proxy's own, and is passed on.

    Args:
        tls: whether it has that server's own certificate, as stacks want one; else it speaks plain HTTP.
    """

    def __init__(self, server, *, tls=False):
        self.server = server
        self.faults = []
        self.seen = []
        self.etags = {}
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self}))
        self._http.daemon_threads = True
        if tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(server.folder / "server.pem", server.folder / "server-key.pem")
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.endpoint = f"{'https://localhost' if tls else 'http://127.0.0.1'}:{self._http.server_address[1]}"

    @contextmanager
    def fault(self, method, path, **what):
        one = Fault(method, path, **what)
        self.faults.append(one)
        try:
            yield one
        finally:
            self.faults.remove(one)

    def store(self, prefix="", **other):
        return self.server.store(prefix, endpoint=self.endpoint, ca="", **other)

    def close(self):
        self.ended.set()
        self._http.shutdown()
        self._http.server_close()

    def connect(self):
        url = urlsplit(self.server.endpoint)
        if self.server.ca:
            context = ssl.create_default_context(cafile=self.server.ca)
            return http.client.HTTPSConnection(url.hostname, url.port, context=context, timeout=30)
        return http.client.HTTPConnection(url.hostname, url.port, timeout=30)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy = None

    def _any(self):
        size = int(self.headers.get("Content-Length") or 0)
        if self._claimed(lambda fault: fault.cut == "request"):
            self.rfile.read(size // 2)
            return self._close()
        body = self.rfile.read(size)
        self.proxy.seen.append((self.command, self.path))
        fault = self._claimed(lambda fault: fault.cut != "request" and fault.body in body)
        for other, own in self.proxy.etags.items():
            body = body.replace(other.encode(), own.encode())
        if fault and fault.silent:
            self.proxy.ended.wait(60)
            return self._close()
        if fault and fault.answer:
            said = f"<Error><Code>{fault.error}</Code><Message>a fault of the test</Message></Error>".encode()
            return self._send(fault.answer, [("Content-Type", "application/xml")], said)
        if fault and fault.flip:
            body = body[: size // 2] + bytes([body[size // 2] ^ 1]) + body[size // 2 + 1 :]
        return self._pass_on(
            body, cut=bool(fault and fault.cut == "answer"), other_etag=bool(fault and fault.other_etag)
        )

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _any  # noqa: N815  as http.server wants them

    def _claimed(self, fits):
        with self.proxy.lock:
            for one in self.proxy.faults:
                if one.method == self.command and one.path in self.path and one.met < one.times and fits(one):
                    one.met += 1
                    return one
        return None

    def _pass_on(self, body, *, cut, other_etag):
        connection = self.proxy.connect()
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("connection", "expect"):
                connection.putheader(name, value)
        try:
            connection.endheaders(body or None)
            answer = connection.getresponse()
            data = answer.read()
        except OSError:
            return self._close()
        finally:
            connection.close()
        headers = [(n, v) for n, v in answer.getheaders() if n.lower() not in ("transfer-encoding", "connection")]
        if other_etag:
            headers = [(n, self._other(v) if n.lower() == "etag" else v) for n, v in headers]
        if cut:
            data, whole = data[: len(data) // 2], len(data)
            headers = [(n, str(whole) if n.lower() == "content-length" else v) for n, v in headers]
        self._send(answer.status, headers, data)
        return self._close() if cut else None

    def _other(self, etag):
        other = etag[::-1]
        self.proxy.etags[other.strip('"')] = etag.strip('"')
        return other

    def _send(self, status, headers, data):
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in headers):
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _close(self):
        self.close_connection = True
        self.connection.close()

    def log_message(self, *words):
        pass
