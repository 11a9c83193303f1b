"""Servers that behave in the ways a load must account for."""

import asyncio
import ssl
import threading
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

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
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ca.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return folder / "ca.pem", context
