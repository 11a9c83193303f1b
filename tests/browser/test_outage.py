"""The API goes away and comes back while somebody is reading."""

import re

import pytest
from playwright.sync_api import expect

NOTICE = "The API isn\N{RIGHT SINGLE QUOTATION MARK}t answering"
API = re.compile(r"/api/")


@pytest.fixture
def outage(page, console):
    """Switches the API off for the page; what it returns switches it on again."""
    console.failures_expected = True
    page.route(API, lambda route: route.abort())
    return lambda: page.unroute(API)


@pytest.fixture(params=["/", "article", "/status"])
def address(request, api):
    return f"/articles/{api.articles(limit=1)[0]['slug']}" if request.param == "article" else request.param


def test_every_page_says_that_the_api_is_away_and_recovers_by_itself(page, outage, address):
    page.goto(address)
    expect(page.get_by_role("heading", name=NOTICE)).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text(NOTICE)
    expect(page.locator(".notice-next")).to_have_text(re.compile(r"Tried (once|\d times); trying again in \d+ s\."))
    outage()
    expect(page.locator(".entry h2, .prose > *, .verdict").first).to_be_visible()
    expect(page.get_by_role("heading", name=NOTICE)).to_have_count(0)


def test_a_reader_may_try_at_once_and_keeps_the_focus(page, outage):
    page.goto("/")
    expect(page.locator(".notice-next")).to_contain_text("Tried 3 times")
    outage()
    page.get_by_role("button", name="Try now").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".entry h2").first).to_be_visible(timeout=2000)
    expect(page.get_by_role("heading", level=1)).to_be_focused()


def test_a_gateway_that_answers_for_the_api_counts_as_an_outage(page, console):
    console.failures_expected = True
    page.route(API, lambda route: route.fulfill(status=502, content_type="text/html", body="<h1>Bad Gateway</h1>"))
    page.goto("/")
    expect(page.get_by_role("heading", name=NOTICE)).to_be_visible()
    page.unroute(API)
    expect(page.locator(".entry h2").first).to_be_visible()


def test_leaving_a_page_ends_its_waiting(page, outage):
    page.goto("/")
    expect(page.get_by_role("heading", name=NOTICE)).to_be_visible()
    outage()
    page.evaluate("history.pushState(null, '', '/nothing/here'); history.pushState(null, '', '/'); history.back()")
    expect(page.get_by_role("heading", level=1, name="There is no such page")).to_be_visible()
    page.wait_for_timeout(2500)
    expect(page.get_by_role("heading", level=1, name="There is no such page")).to_be_visible()


def test_an_unhealthy_platform_is_told_in_plain_words(page, api, console):
    console.failures_expected = True
    health = api.get("/health")
    health["status"] = "unhealthy"
    health["checks"]["database"] = {"status": "down", "critical": True, "detail": "connection refused"}
    page.route("**/api/v1/health", lambda route: route.fulfill(status=503, json=health))
    page.goto("/status")
    expect(page.locator(".verdict")).to_contain_text("show articles right now: its database")
    expect(page.locator(".check", has_text="Database")).to_contain_text("Down")
