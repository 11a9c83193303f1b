"""An article is published while a list is open, whatever happens to the connection meanwhile."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

BACKEND = Path(sys.executable).with_name("neurmatic-backend")
FIRST = ".entry h2 >> nth=0"
OFFER = ".arrivals"
AFTER_A_RELOAD = 45  # nginx lets go of what its old workers hold after 30 s


class Newsroom:
    """Publishes by the platform's own command, and withdraws everything at the end."""

    def __init__(self, platform, folder):
        self.folder = folder
        settings = next(platform.state.rglob("api-1/env"))
        self.env = os.environ | {one.name: one.read_text().strip() for one in settings.iterdir()}
        self.titles = {}

    def publish(self, title, due=None, status=None):
        due = due or datetime.now(UTC)
        slug = re.sub(r"\W+", "-", title.lower())
        self.titles[title] = due
        meta = f"title: {title}\ndate: {due.isoformat()}\n" + (f"status: {status}\n" if status else "")
        (self.folder / f"{slug}.md").write_text(f"---\n{meta}---\nWords.")
        subprocess.run([BACKEND, "import", self.folder], env=self.env, check=True, capture_output=True)

    def withdraw(self):
        for title, due in self.titles.items():
            self.publish(title, due, "archived")


@pytest.fixture
def newsroom(platform, site_url, tmp_path):
    if site_url != platform.url:
        pytest.skip("publishes by command, on the stack that the tests started")
    one = Newsroom(platform, tmp_path)
    yield one
    one.withdraw()


class Live:
    """The list, open and connected; `sockets` are all that it has opened so far."""

    def __init__(self, page):
        self.page, self.sockets, self.greeted = page, [], []
        page.on("websocket", self._opened)

    def _opened(self, socket):
        self.sockets.append(socket)
        socket.on("framereceived", lambda frame: self.greeted.append(socket) if '["changed"' in frame else None)

    def until(self, done, seconds=15):
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, f"not within {seconds} s"
            self.page.wait_for_timeout(50)

    def connected(self, seconds=15):
        """Wait until the newest socket is open and has been greeted; returns it."""
        self.until(
            lambda: self.sockets and not self.sockets[-1].is_closed() and self.sockets[-1] in self.greeted, seconds
        )
        return self.sockets[-1]


@pytest.fixture
def live(page):
    one = Live(page)
    page.goto("/")
    page.evaluate("window.notReloaded = true")
    one.connected()
    return one


def arrives(page, title, seconds=10):
    expect(page.locator(OFFER)).to_contain_text(f"New: {title}", timeout=seconds * 1000)
    assert page.evaluate("window.notReloaded")


def test_a_published_article_is_offered_and_shown_without_a_reload_or_a_shift(live, newsroom):
    page = live.page
    before = page.locator(".entry h2").all_inner_texts()
    page.wait_for_timeout(600)
    newsroom.publish("Fresh from the press")
    arrives(page, "Fresh from the press")
    expect(page.get_by_role("status")).to_have_text("New: Fresh from the press")
    assert page.locator(".entry h2").all_inner_texts() == before
    assert page.evaluate("window.shifts") == []

    newsroom.publish("Even fresher")
    arrives(page, "Even fresher and 1 more")
    page.get_by_role("button", name="Show 2 new articles").click()
    assert page.locator(".entry h2").all_inner_texts()[:2] == ["Even fresher", "Fresh from the press"]
    expect(page.get_by_role("link", name="Even fresher", exact=True)).to_be_focused()
    expect(page.locator(OFFER)).to_have_count(0)
    page.wait_for_timeout(600)
    assert page.evaluate("window.shifts") == []
    assert page.evaluate("window.notReloaded")


def test_an_article_scheduled_for_a_second_arrives_then(live, newsroom):
    due = datetime.now(UTC) + timedelta(seconds=12)
    newsroom.publish("On the second", due)
    expect(live.page.locator(OFFER)).to_have_count(0)
    arrives(live.page, "On the second", 40)
    late = datetime.now(UTC) - due
    print(f"on the open list {late.total_seconds():.2f} s after its due second")
    assert late > timedelta()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_offer_is_for_everybody(open_page, newsroom, axe, scheme):
    page = open_page(width=320, height=640, color_scheme=scheme)
    live = Live(page)
    page.goto("/")
    live.connected()
    newsroom.publish(f"A title that is much longer than a narrow screen is wide, {scheme}")
    page.locator(OFFER).wait_for()
    page.evaluate(axe)
    result = page.evaluate("axe.run()")
    assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in result["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    expect(page.locator(OFFER)).to_be_in_viewport(ratio=1)
    page.get_by_role("button", name="Show 1 new article").focus()
    page.keyboard.press("Enter")
    expect(page.locator(FIRST)).to_contain_text("A title that is much longer")


def test_only_what_belongs_into_a_list_is_offered_there(open_page, newsroom):
    page = open_page()
    live = Live(page)
    page.goto("/?q=zebra")
    live.connected()
    newsroom.publish("About something else")
    newsroom.publish("About a zebra")
    arrives_in = page.locator(OFFER)
    expect(arrives_in).to_contain_text("New: About a zebra")
    expect(arrives_in).not_to_contain_text("more")


def test_it_comes_back_when_the_instance_that_held_its_socket_is_killed(live, newsroom, platform, console):
    console.failures_expected = True
    held = live.connected()
    for name in ("api-1", "api-2"):
        status = platform.json("status", check=False)  # the one killed before may still be starting
        row = next(row for row in status["services"] if row["instance"] == name)
        os.kill(row["pid"], signal.SIGKILL)
        begun = time.monotonic()
        with suppress(AssertionError):  # the other one may hold it
            live.until(held.is_closed, 5)
        if held.is_closed():
            break
    assert held.is_closed()
    live.connected()
    print(f"connected again {time.monotonic() - begun:.1f} s after the kill of {name}")
    newsroom.publish("After the kill")
    arrives(live.page, "After the kill")


def test_it_hears_across_a_reload_of_nginx(live, newsroom, platform, console):
    console.failures_expected = True
    held = live.connected()
    edge = next(row for row in platform.json("status")["services"] if row["instance"] == "edge")
    os.kill(edge["pid"], signal.SIGHUP)
    newsroom.publish("During the reload")
    arrives(live.page, "During the reload")
    live.until(held.is_closed, AFTER_A_RELOAD)
    live.connected()
    newsroom.publish("After the reload")
    arrives(live.page, "After the reload and 1 more")


def test_a_restart_by_the_command_loses_nothing(live, newsroom, platform, console):
    console.failures_expected = True
    platform.run("restart", "api")
    newsroom.publish("After the restart")
    arrives(live.page, "After the restart", 20)


def test_what_was_published_while_it_was_offline_is_offered_when_it_is_back(live, newsroom, console):
    console.failures_expected = True
    live.page.context.set_offline(True)
    newsroom.publish("Behind its back")
    live.page.wait_for_timeout(2500)
    expect(live.page.locator(OFFER)).to_have_count(0)
    live.page.context.set_offline(False)
    arrives(live.page, "Behind its back", 20)


def test_without_a_connection_the_site_works_as_before(open_page, api, console):
    console.failures_expected = True
    page = open_page()
    page.route_web_socket(re.compile("/socket.io/"), lambda socket: socket.close())
    page.goto("/")
    article = api.articles(limit=1)[0]
    page.get_by_role("link", name=article["title"], exact=True).click()
    expect(page.locator(".prose > *").first).to_be_visible()
    page.go_back()
    expect(page.locator(FIRST)).to_be_visible()
