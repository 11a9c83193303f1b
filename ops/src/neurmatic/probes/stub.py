"""Stands in for an instance at its port, to be unwell in a chosen way: not ready, or breaking off in mid-request."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Stub:
    """What reached it, by method; `ready` and `live` paths are not counted."""

    def __init__(self, quiet: frozenset[str]) -> None:
        self.quiet = quiet
        self.reached: Counter[str] = Counter()


@contextmanager
def unwell(port: int, *, ready: str, live: str | None, breaks_off: bool = False) -> Iterator[Stub]:
    """Serve at the port: 503 at `ready`, 200 elsewhere; with `breaks_off` ready, but every other request gets no answer."""
    stub = Stub(frozenset({ready, live or ready}))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            path = self.path.partition("?")[0]
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if path not in stub.quiet:
                stub.reached[self.command] += 1
                if breaks_off:
                    self.close_connection = True
                    return
            self.send_response(503 if path == ready and not breaks_off else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
