"""Open pages, connected to real instances over real websockets."""

import asyncio
import json
import resource
import signal
import subprocess
from collections import deque
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import pytest
from platform_support import BIN, Process, wait_for
from test_articles import article
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Message, RejectConnection, Request

from neurmatic_backend.articles.service import save
from neurmatic_backend.core.lifecycle import Lifecycle
from neurmatic_backend.realtime.listener import FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, wait_seconds
from neurmatic_backend.realtime.sockets import Sockets, most_clients, origin

SITE = "http://localhost:8000"  # FRONTEND_URL's default
LISTENING = "query ILIKE 'LISTEN%realtime%'"


class RefusedError(Exception):
    """No websocket was opened; its argument is the answer's status."""


class ClosedError(Exception):
    """The instance closed it; its argument is the code."""


class Page:
    """An open page as the protocol shows it. What it is told at its connection is `greeting`."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.protocol = WSConnection(ConnectionType.CLIENT)
        self.waiting = deque()
        self.greeting = {}

    def write(self, event):
        self.writer.write(self.protocol.send(event))

    def says(self, data):
        self.write(Message(data=data))

    async def event(self):
        while not self.waiting:
            self.protocol.receive_data(await self.reader.read(4096) or None)
            self.waiting.extend(self.protocol.events())
        event = self.waiting.popleft()
        if isinstance(event, RejectConnection):
            raise RefusedError(event.status_code)
        if isinstance(event, CloseConnection):
            raise ClosedError(event.code)
        return event

    async def packet(self):
        text = (await self.event()).data
        if text == "2":  # ping
            self.says("3")
            return await self.packet()
        return text

    async def hears(self, seconds=10):
        """The next change."""
        async with asyncio.timeout(seconds):
            name, change = json.loads((await self.packet()).removeprefix("42"))
        assert name == "changed"
        return change


@asynccontextmanager
async def opened(api, origin=SITE):
    page = Page(*await asyncio.open_connection("127.0.0.1", api.port))
    try:
        headers = [(b"Origin", origin.encode())] if origin else []
        page.write(Request(host="x", target="/socket.io/?EIO=4&transport=websocket", extra_headers=headers))
        assert isinstance(await page.event(), AcceptConnection)
        assert (await page.packet()).startswith('0{"sid"')
        page.says("40")
        assert (await page.packet()).startswith('40{"sid"')
        page.greeting = await page.hears()
        assert set(page.greeting) == {"version"}
        yield page
    finally:
        page.writer.close()


async def refused(api, origin=SITE):
    """The status with which a page of this origin is refused."""
    with pytest.raises(RefusedError) as refusal:
        async with opened(api, origin):
            pass
    return refusal.value.args[0]


@pytest.fixture(scope="module")
def instances(environment):
    """Two of them, both listening."""
    both = [Process("serve", environment | {"NEURMATIC_INSTANCE": name}).ready() for name in ("api-1", "api-2")]
    wait_for(lambda: asyncio.run(listeners(environment)) == 2, what="listening")
    yield both
    assert [one.end()[0] for one in both] == [0, 0]


async def listeners(environment):
    connection = await asyncpg.connect(environment["DATABASE_URL"])
    try:
        return await connection.fetchval(f"SELECT count(*) FROM pg_stat_activity WHERE {LISTENING}")
    finally:
        await connection.close()


async def publish(database, *articles):
    for one in articles:
        async with database.transaction() as connection:
            await save(connection, one)


async def test_what_one_command_publishes_is_heard_through_every_instance(instances, database, environment, tmp_path):
    (tmp_path / "fresh.md").write_text("---\ntitle: Fresh\ndate: 2026-05-01\n---\nText.")
    async with opened(instances[0]) as one, opened(instances[1]) as other, opened(instances[1], origin=None) as third:
        done = await asyncio.to_thread(
            subprocess.run, [BIN / "neurmatic-backend", "import", str(tmp_path)], env=environment, check=True
        )
        assert done.returncode == 0
        heard = [await page.hears() for page in (one, other, third)]
    assert heard[0] == heard[1] == heard[2]
    assert {name: heard[0][name] for name in ("slug", "title", "published_at")} == {
        "slug": "fresh", "title": "Fresh", "published_at": "2026-05-01T00:00:00Z",
    }  # fmt: skip
    assert heard[0]["version"] != one.greeting["version"]


async def test_a_command_has_the_clients_of_every_instance_told_something(instances, environment):
    async with opened(instances[0]) as one, opened(instances[1]) as other:
        command = [BIN / "neurmatic-backend", "announce", "Rehearsed"]
        await asyncio.to_thread(subprocess.run, command, env=environment, check=True)
        assert [(await page.hears())["title"] for page in (one, other)] == ["Rehearsed"] * 2


async def test_what_the_worker_publishes_is_heard_at_its_second_and_already_in_the_list(instances, database, run):
    run("worker").ready()
    async with opened(instances[0]) as page:
        due = datetime.now(UTC) + timedelta(seconds=2)
        await publish(database, article(1, status="scheduled", publish_at=due))
        heard = await page.hears()
        late = datetime.now(UTC) - due
        assert (
            instances[1].get("/articles", params={"version": heard["version"]}).json()["items"][0]["slug"]
            == "article-1"
        )
    assert heard["slug"] == "article-1"
    assert late >= timedelta()


async def test_who_connects_later_is_told_the_version_of_then(instances, database):
    async with opened(instances[0]) as early:
        await publish(database, article(1))
        version = (await early.hears())["version"]
    for instance in instances:
        async with opened(instance) as late:
            assert late.greeting["version"] == version


async def test_what_is_rolled_back_unchanged_or_not_new_is_not_announced(instances, database):
    await publish(database, article(1))
    async with opened(instances[0]) as page:
        with pytest.raises(RuntimeError):
            async with database.transaction() as connection:
                await save(connection, article(2))
                raise RuntimeError
        await publish(database, article(1), article(1, title="Edited"), article(3, status="draft"), article(4))
        assert (await page.hears())["slug"] == "article-4"


async def test_an_article_published_again_is_announced_again(instances, database):
    await publish(database, article(1), article(1, status="archived"))
    async with opened(instances[0]) as page:
        await publish(database, article(1))
        assert (await page.hears())["slug"] == "article-1"


async def test_a_title_too_long_to_be_told_does_not_hinder_the_publication(instances, database):
    async with opened(instances[0]) as page:
        await publish(database, article(1, title="ä" * 5000))
        assert set(await page.hears()) == {"version"}
    assert instances[0].status("/articles/article-1") == 200


async def test_after_its_connection_was_cut_an_instance_says_that_it_may_have_missed_something(instances, database):
    async with opened(instances[0]) as one, opened(instances[1]) as other:
        cut = await database.pool.fetch(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {LISTENING}")
        assert len(cut) == 2
        await publish(database, article(1))  # while nobody may be listening
        for page in (one, other):
            versions = {page.greeting["version"]}
            change = await page.hears()
            if "slug" in change:  # it listened again before the publication
                continue
            assert set(change) == {"version"} and change["version"] not in versions
        await asyncio.sleep(1)
        await publish(database, article(2))
        for page in (one, other):
            while (await page.hears()).get("slug") != "article-2":
                pass


async def test_without_redis_nothing_is_missing(run, database):
    api = run("serve", REDIS_URL="redis://127.0.0.1:1/0")
    wait_for(lambda: api.status("/health/ready") == 200)
    async with opened(api) as page:
        await publish(database, article(1))
        assert (await page.hears())["slug"] == "article-1"


@pytest.mark.parametrize("foreign", ["https://evil.example", "http://localhost:8001", "http://localhost", "null"])
async def test_pages_of_other_sites_are_refused(api, foreign):
    assert await refused(api, foreign) == 403


def test_long_polling_is_refused_as_a_problem(api):
    answer = httpx.get(f"http://127.0.0.1:{api.port}/socket.io/?EIO=4&transport=polling")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert "websockets only" in answer.json()["detail"] and answer.headers["x-release"] == "test-1"


async def test_what_a_client_says_is_ignored_and_what_is_too_long_ends_it(api, database):
    async with opened(api) as loud, opened(api) as quiet:
        for said in (
            '42["changed",{"version":"x"}]',
            '451-["x",{"_placeholder":true,"num":0}]',
            b"\1" * 900,
            "9",
            "4",
            "",
        ):
            loud.says(said)
        await publish(database, article(1))
        assert [(await page.hears())["slug"] for page in (loud, quiet)] == ["article-1"] * 2
        loud.says('42["x","' + "y" * 2000 + '"]')
        with pytest.raises(ClosedError) as closed:
            await loud.hears()
        assert closed.value.args[0] == 1009
        await publish(database, article(2))
        assert (await quiet.hears())["slug"] == "article-2"


async def test_open_sockets_are_told_to_come_again_and_do_not_hold_the_exit(run):
    api = run("serve", NEURMATIC_DRAIN_SECONDS="5").ready()
    async with opened(api) as page, opened(api):
        api.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(wait_for, lambda: api.status("/health/ready") == 503)
        assert await refused(api) == 403, "while draining it takes no new ones"
        with pytest.raises(ClosedError) as closed:
            await page.hears()
        assert closed.value.args[0] == 1012
        output, _ = await asyncio.to_thread(api.process.communicate, timeout=60)
        assert (
            api.process.returncode == 0 and "timeout graceful shutdown" not in output.lower()
        )  # uvicorn's own limit had not to end it


async def test_a_full_instance_refuses_before_it_accepts():
    sockets = Sockets(SITE, Lifecycle("r", "i"))
    sockets._most = 0
    sent = []

    async def send(message):
        sent.append(message)

    await sockets({"type": "websocket"}, None, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


def test_half_of_the_file_descriptors_are_left_for_everything_else():
    assert [most_clients(limit) for limit in (1024, 20000, resource.RLIM_INFINITY)] == [512, 2000, 2000]


def test_the_site_is_known_by_scheme_host_and_port():
    assert origin("https://example.org") == "https://example.org"
    assert origin("https://example.org:8443/") == "https://example.org:8443"


def test_waits_grow_to_a_limit_and_differ():
    assert FIRST_WAIT_SECONDS * 0.7 <= wait_seconds(0) <= FIRST_WAIT_SECONDS * 1.3
    assert all(wait_seconds(n) <= LONGEST_WAIT_SECONDS * 1.3 for n in (5, 50, 5000))
    assert len({wait_seconds(3) for _ in range(10)}) > 1
