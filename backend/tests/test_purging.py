"""What the edge is told to keep no longer, by a real instance to a real HTTP server in the edge's place."""

import asyncio
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from platform_support import free_port, wait_for
from test_articles import article
from test_jobs import eventually
from test_realtime import LISTENING, instances, opened, publish

from neurmatic_backend.articles.routes import TAGS_SECONDS

__all__ = ["instances"]  # a fixture
LISTS = ["/api/v1/articles", "/api/v1/tags"]


class Edge(ThreadingHTTPServer):
    """Writes down what it is asked to purge, and is as slow or unwilling as a test wants it."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Purging)
        self.purged, self.seconds, self.status = [], 0, 200
        self.url = f"http://127.0.0.1:{self.server_port}/purge"

    def articles(self):
        """For each purge, the articles beside the two lists, which are always among it."""
        assert all(one[:2] == LISTS for one in self.purged)
        return [one[2:] for one in self.purged]


class Purging(BaseHTTPRequestHandler):
    def do_POST(self):
        assert self.path == "/purge"
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        time.sleep(self.server.seconds)
        self.server.purged.append(body.splitlines())
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def edge():
    one = Edge()
    threading.Thread(target=one.serve_forever, args=(0.05,)).start()
    yield one
    one.shutdown()
    one.server_close()


@pytest.fixture
def api(run, edge, database):
    """An instance that listens, and has said so."""
    one = run("serve", EDGE_PURGE_URL=edge.url).ready()
    wait_for(lambda: edge.purged, what="listening")
    assert edge.articles() == [[]], "nobody knows what was announced before: the lists, and nothing else"
    edge.purged.clear()
    return one


async def purges(edge, count):
    """The articles of each of the next purges; no more come."""
    await asyncio.to_thread(wait_for, lambda: len(edge.purged) >= count, what=f"purge {count}")
    await asyncio.sleep(0.2)
    found = edge.articles()
    edge.purged.clear()
    return found


async def test_each_public_change_purges_the_lists_and_its_article_and_nothing_else(api, edge, database):
    path = "/api/v1/articles/{}".format
    await publish(database, article(1))
    assert await purges(edge, 1) == [[path("article-1")]]
    await publish(database, article(1, title="Edited"))
    assert await purges(edge, 1) == [[path("article-1")]]
    await publish(database, article(1, slug="elsewhere"))
    assert await purges(edge, 1) == [[path("article-1"), path("elsewhere")]]
    await publish(database, article(1, slug="elsewhere", status="archived"))
    assert await purges(edge, 1) == [[path("elsewhere")]]
    await publish(database, article(1, slug="elsewhere"))
    assert await purges(edge, 1) == [[path("elsewhere")]]


async def test_what_is_not_public_purges_nothing(api, edge, database):
    await publish(database, article(1, status="draft"), article(1, status="draft", title="Edited"))
    with pytest.raises(RuntimeError):
        async with database.transaction() as connection:
            from neurmatic_backend.articles.service import save

            await save(connection, article(2))
            raise RuntimeError
    await publish(database, article(3), article(3))
    assert await purges(edge, 1) == [["/api/v1/articles/article-3"]], "the only one that changed anything public"


async def test_who_is_told_of_a_publication_gets_nothing_stale(api, edge, database):
    edge.seconds = 0.3
    async with opened(api) as page:
        await publish(database, article(1))
        assert (await page.hears())["slug"] == "article-1"
        assert edge.articles() == [["/api/v1/articles/article-1"]]


def tagged(instance):
    return [one["tag"] for one in instance.get("/tags").json()["items"]]


async def test_what_the_instances_themselves_keep_is_made_anew_before_the_edge_asks_for_it(instances, database):
    for tags in (("first",), ("second",)):
        await publish(database, article(1, tags=tags))

        def told():
            return all(tagged(one) == list(tags) for one in (*instances, *instances))  # noqa: B023

        await asyncio.to_thread(wait_for, told, TAGS_SECONDS - 3)  # what they keep would not have ended by itself


async def test_a_title_too_long_to_be_told_leaves_the_purge_as_it_is(api, edge, database):
    await publish(database, article(1, title="ä" * 5000))
    assert await purges(edge, 1) == [["/api/v1/articles/article-1"]]


async def test_who_could_not_listen_purges_the_lists(api, edge, database):
    await database.pool.fetch(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {LISTENING}")
    assert [] in await purges(edge, 1)


@pytest.mark.parametrize("way", ["gone", "hung", "unwilling"])
async def test_an_edge_that_does_not_purge_hinders_nothing_and_is_logged(run, edge, database, way):
    edge.seconds, edge.status = (5, 200) if way == "hung" else (0, 500)
    api = run("serve", EDGE_PURGE_URL=f"http://127.0.0.1:{free_port()}/purge" if way == "gone" else edge.url).ready()
    await eventually(lambda: database.pool.fetch(f"SELECT pid FROM pg_stat_activity WHERE {LISTENING}"))
    async with opened(api) as page:
        await publish(database, article(1))
        while (await page.hears()).get("slug") != "article-1":  # first it says that it listens
            pass
    code, output = await asyncio.to_thread(api.end)
    assert code == 0 and output.count("the edge goes on serving what is stale") >= 2


async def test_without_an_edge_nothing_is_purged_and_nothing_said(run, database):
    api = run("serve").ready()
    async with opened(api) as page:
        await publish(database, article(1))
        assert (await page.hears())["slug"] == "article-1"
    assert "stale" not in (await asyncio.to_thread(api.end))[1]
