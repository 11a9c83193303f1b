"""The running site in a real browser, which trusts the site's certificate authority and nothing less."""

import json
import os
import ssl
import subprocess
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from live_platform import running
from playwright.sync_api import expect, sync_playwright

# All tests are one client to the edge, and faster than any reader.
HURRIED = "\n[environments.development.edge.limits]\nrate = 10000\nburst = 10000\nconnections = 1000\n"
CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    # A document that a test answers itself has no address, and from nowhere a browser opens no websocket to loopback.
    "--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets",
]
AXE = Path(__file__).parents[2] / "frontend/node_modules/axe-core/axe.min.js"
FAILURES = ("Failed to load resource", "WebSocket connection to")

# Adds up what moved without the reader's doing, from before the first paint on.
WATCH_LAYOUT = """
window.shifts = [];
new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
        if (entry.hadRecentInput) continue;
        window.shifts.push({
            value: entry.value,
            moved: entry.sources.map(({ node }) => (node?.nodeType === 1 ? node.outerHTML.slice(0, 80) : String(node))),
        });
    }
}).observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture(scope="session")
def platform():
    yield from running(HURRIED)


@pytest.fixture(scope="session")
def site_url(request):
    """The running site that NEURMATIC_SITE_URL names, such as https://localhost:8443; else one started for the tests."""
    url = os.environ.get("NEURMATIC_SITE_URL") or request.getfixturevalue("platform").url
    return url.rstrip("/")


@pytest.fixture(scope="session")
def site_ca(site_url):  # a site started for the tests says which authority is its own
    """The file with the certificate authority that signed the site's certificate; None where the system knows it."""
    return os.environ.get("NEURMATIC_SITE_CA")


class Api:
    """What the site's API says, asked from outside the browser."""

    def __init__(self, site_url, site_ca):
        self._site = site_url
        self._tls = ssl.create_default_context(cafile=site_ca)

    def text(self, path):
        with urlopen(self._site + path, context=self._tls, timeout=10) as answer:
            return answer.read().decode()

    def get(self, path, **query):
        return json.loads(self.text(f"/api/v1{path}?{urlencode(query)}"))

    def articles(self, **query):
        return self.get("/articles", **query)["items"]


@pytest.fixture(scope="session")
def api(site_url, site_ca):
    return Api(site_url, site_ca)


@pytest.fixture(scope="session")
def browser(site_ca, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    if site_ca:
        trust(home, site_ca)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=CHROMIUM_ARGS, env={**os.environ, "HOME": str(home)}
        )
        yield browser
        browser.close()


def trust(home, certificate):
    database = home / ".pki/nssdb"
    database.mkdir(parents=True)
    certutil = ["certutil", "-d", f"sql:{database}"]
    subprocess.run([*certutil, "-N", "--empty-password"], check=True)
    subprocess.run([*certutil, "-A", "-n", "site", "-t", "C,,", "-i", certificate], check=True)


expect.set_options(timeout=20_000)


class Console(list):
    """The browser's error messages. A test that breaks the API on purpose expects the browser to say so."""

    failures_expected = False

    def unexpected(self):
        return [text for text in self if not (self.failures_expected and text.startswith(FAILURES))]


@pytest.fixture
def console():
    return Console()


@pytest.fixture
def open_page(browser, site_url, console):
    """Makes pages of a given width and colour scheme; at the end no error may be on any console."""
    contexts = []

    def make(width=1280, height=900, **options):
        context = browser.new_context(base_url=site_url, viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        context.set_default_timeout(10_000)
        context.add_init_script(WATCH_LAYOUT)
        page = context.new_page()
        page.on("console", lambda message: console.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: console.append(str(error)))
        return page

    yield make
    for context in contexts:
        context.close()
    assert console.unexpected() == []


@pytest.fixture
def page(open_page):
    return open_page()


@pytest.fixture(scope="session")
def axe():
    if not AXE.is_file():
        pytest.fail(f"{AXE} is missing: run npm ci in frontend")
    return AXE.read_text()
