"""Open pages across a deploy: each is told to come back, and nothing is published behind its back."""

import json
import os
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from neurmatic.probes.http import request
from neurmatic.probes.tls import Place
from neurmatic.probes.websocket import through_edge

RESTARTS = 1012
"""A server's word for: come back, I am being replaced (RFC 6455's registry)."""


class Page(threading.Thread):
    """What an open list does: it listens, asks for the list again when it is told of a change, and comes back when it is closed.

    `away` is called when it has been closed, before it comes back.
    """

    def __init__(self, platform, away):
        super().__init__(daemon=True)
        self.platform, self.away = platform, away
        self.heard, self.listed, self.codes, self.version = [], set(), [], ""
        self.opened = 0
        self.is_left = False
        self.error = None

    def run(self):
        try:
            self.open_until_left()
        except Exception as error:
            self.error = error

    def open_until_left(self):
        url = urlsplit(self.platform.url)
        place = Place("127.0.0.1", url.port, "localhost", self.platform.ca)
        while not self.is_left:
            with (
                suppress(OSError),
                through_edge(place, self.platform.url, "/socket.io/?EIO=4&transport=websocket") as it,
            ):
                if it.answer.status == 101:
                    self.stay(it)
            time.sleep(0.2)

    def stay(self, socket):
        socket.say("40")
        self.opened += 1
        while socket.is_open and not self.is_left:
            for message in socket.listen(0.1):
                self.take(socket, message)
        if not self.is_left:
            self.codes.append(socket.code)
            self.away()

    def take(self, socket, message):
        if message == "2":
            socket.say("3")
        elif message.startswith("42"):
            change = json.loads(message[2:])[1]
            self.heard.append(change.get("slug", ""))
            if change["version"] != self.version:
                self.version = change["version"]
                self.reload()

    def reload(self):
        url = f"{self.platform.url}/api/v1/articles?limit=100&version={self.version}"
        answer = request(url, ca=self.platform.ca, address="127.0.0.1")
        assert answer.status == 200, answer
        self.listed |= {one["slug"] for one in answer.json()["items"]}


class Publisher:
    """Publishes articles by the command of the release that serves before the deploy."""

    def __init__(self, platform, folder):
        env = (platform.state / "services" / _instances(platform)[0] / "env").iterdir()
        self.env = {path.name: path.read_text().strip() for path in env}
        release = platform.state / "releases" / self.env["NEURMATIC_RELEASE"]
        self.program, self.folder = release / "venv/bin/neurmatic-backend", folder
        self.slugs = []

    def publish(self, slug):
        file = self.folder / f"{slug}.md"
        file.write_text(f"---\ntitle: {slug}\nstatus: published\ntags: [across]\n---\nText.")
        subprocess.run([self.program, "import", str(file)], env=self.env, check=True, capture_output=True)
        self.slugs.append(slug)


def _instances(platform):
    return sorted(one for one in os.listdir(platform.state / "services") if one.startswith("api-"))


def leaving_workers(platform):
    """nginx's workers that end when their last connection does, or after a while."""
    pid = next(row["pid"] for row in platform.json("status")["services"] if row["instance"] == "edge")
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(OSError):
            if "shutting down" in Path(f"/proc/{child}/cmdline").read_text():
                found.append(child)
    return found


def eventually(holds, pages, what, seconds=30):
    until = time.monotonic() + seconds
    while not holds():
        assert not [page.error for page in pages if page.error]
        assert time.monotonic() < until, f"{what}: {[(page.opened, page.codes, page.heard[-5:]) for page in pages]}"
        time.sleep(0.05)


def test_an_open_page_is_told_to_come_back_and_misses_nothing(platform, tmp_path):
    publisher, old, quiet = Publisher(platform, tmp_path), _instances(platform), threading.Event()
    text = platform.file.read_text()

    def publish_while_away():
        assert quiet.wait(30)
        publisher.publish("published-while-away")

    pages = [Page(platform, lambda: None), Page(platform, publish_while_away)]
    watching = pages[1]
    for page in pages:
        page.start()
    eventually(lambda: all(page.listed for page in pages), pages, "no page was greeted")

    platform.file.write_text(text.replace('version = "0.1.0"', 'version = "0.1.0-next"'))
    with ThreadPoolExecutor(1) as pool:
        deploying = pool.submit(platform.json, "deploy", "--no-backup")
        count = 0
        while not any(page.codes or page.error for page in pages) and not deploying.done():
            publisher.publish(f"across-{(count := count + 1)}")
        quiet.set()
        done = deploying.result()
    platform.file.write_text(text)
    assert done["measured"]["failed"] == 0, done
    assert not set(_instances(platform)) & set(old)
    assert count > 3

    # After this nothing is published: what tells a page of the last one is that it came back.
    eventually(lambda: all(page.opened == 2 for page in pages), pages, "a page was not let in again")
    for page in pages:
        assert page.codes == [RESTARTS]
        eventually(
            lambda page=page: set(publisher.slugs) <= page.listed, pages, "something was published behind its back"
        )
    assert "published-while-away" not in watching.heard
    eventually(lambda: not leaving_workers(platform), pages, "a page came back to an nginx that is about to cut it")
    publisher.publish("after")
    for page in pages:
        eventually(lambda page=page: "after" in page.heard, pages, "the release that serves now tells nothing")
        page.is_left = True
        page.join()
    assert [page.opened for page in pages] == [2, 2]
