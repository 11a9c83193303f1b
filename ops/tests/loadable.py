"""Servers that behave in the ways a load must account for, and the account."""

import asyncio
import math
import ssl
import threading

from throwaway import write_certificate

from neurmatic.probes.ledger import summarize

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Instance: api-1\r\n\r\nhello"


class Server:
    """An asyncio server on a port of its own, in a thread.

    `talk(reader, writer)` is what it does with each connection.
    """

    def __init__(self, talk, tls=None):
        self.talk, self.tls = talk, tls
        self.connections = self.requests = 0
        self._writers = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        self._ready.wait()
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}/"

    async def _serve(self):
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self.tls, backlog=1000)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._end.wait()
        server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0.05)

    async def _connected(self, reader, writer):
        self.connections += 1
        self._writers.add(writer)
        try:
            await self.talk(self, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def request(self, reader):
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        return head

    def die(self):
        """Listen no more, and cut every connection."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()


def always(answer):
    """Give every request on every connection this answer."""

    async def talk(server, reader, writer):
        while True:
            await server.request(reader)
            writer.write(answer)

    return talk


def once(answer):
    """Answer the first request of each connection, then close it."""

    async def talk(server, reader, writer):
        await server.request(reader)
        writer.write(answer)

    return talk


async def close_on_the_second(server, reader, writer):
    """What a client sees that sends a request just as the server closes the idle connection."""
    await server.request(reader)
    writer.write(OK)
    await server.request(reader)


async def silent(server, reader, writer):
    await server.request(reader)
    await asyncio.sleep(30)


def certificate(folder):
    """A self-signed certificate for localhost: its file, and a server's context."""
    made, key = write_certificate(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made, key)
    return made, context


def accounted(ledger):
    """The summary of a ledger that has exactly one entry for each due request."""
    assert [round(one.due * ledger.rate, 3) for one in ledger.entries] == list(range(len(ledger.entries)))
    assert len(ledger.entries) == math.ceil(ledger.rate * ledger.seconds - 1e-9)
    summary = summarize(ledger)
    assert sum(summary.answered.values()) + sum(summary.lost.values()) == summary.due == len(ledger.entries)
    return summary
