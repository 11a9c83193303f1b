"""Everybody can use the site: on a phone, by keyboard, by ear, in the dark; and nothing jumps."""

import re

import pytest
from playwright.sync_api import expect

API = re.compile(r"/api/")
SETTLED = "main:not([data-loading]) h1"
SLOW_SECONDS = 0.7  # a shift within half a second of a click isn't counted, so content comes later than that


@pytest.fixture(params=["list", "search", "article", "status", "missing", "unknown article", "outage"])
def state(request, api, console):
    """A page in each of the states that a reader may meet: an address, and whether the API is away."""
    console.failures_expected = True
    slug = api.articles(limit=1)[0]["slug"]
    addresses = {
        "list": "/",
        "search": "/?q=zzyzzyqx&tag=nothing",
        "article": f"/articles/{slug}",
        "status": "/status",
        "missing": "/nothing/here",
        "unknown article": "/articles/no-such-article-anywhere",
        "outage": "/",
    }
    return addresses[request.param], request.param == "outage"


def visit(page, state):
    address, away = state
    if away:
        page.route(API, lambda route: route.abort())
    page.goto(address)
    page.locator(".notice" if away else SETTLED).wait_for()
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(open_page, state, scheme, axe):
    page = open_page(color_scheme=scheme)
    visit(page, state)
    page.evaluate(axe)
    result = page.evaluate("axe.run()")
    assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in result["violations"]] == []
    assert result["passes"]


@pytest.mark.parametrize("width", [320, 360])
def test_a_phone_never_scrolls_sideways(open_page, state, width):
    page = open_page(width=width, height=740)
    visit(page, state)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_moves_while_pages_load(open_page, api, width):
    page = open_page(width=width, height=740)
    page.route(API, lambda route: (page.wait_for_timeout(SLOW_SECONDS * 1000), route.continue_()))
    article = api.articles(limit=1)[0]
    heading = page.get_by_role("heading", level=1)

    page.goto("/")
    page.locator(".entry h2").first.wait_for()
    page.get_by_role("link", name=article["title"], exact=True).click()
    expect(heading).to_have_text(article["title"])
    page.go_back()
    page.locator(".entry h2").first.wait_for()
    page.get_by_role("searchbox").fill("zzyzzyqx")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Show all articles").click()
    page.locator(".entry h2").first.wait_for()
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Status").click()
    page.locator(".verdict").wait_for()
    page.wait_for_timeout(500)
    assert page.evaluate("window.shifts") == []


def test_nothing_moves_on_a_first_load(open_page, state):
    page = open_page()
    visit(page, state)
    page.wait_for_timeout(300)
    assert page.evaluate("window.shifts") == []


def test_an_article_is_found_and_opened_by_keyboard_alone(page, api):
    article = api.articles(limit=1)[0]
    page.goto("/")
    page.locator(".entry h2").first.wait_for()
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.entry h2 a')"):
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name=article["title"])).to_be_focused()


def test_the_first_tab_offers_to_skip_to_the_content(page):
    page.goto("/")
    page.locator(".entry h2").first.wait_for()
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("searchbox")).to_be_focused()


def test_landmarks_are_there_once(page):
    page.goto("/")
    for role in ("banner", "main", "contentinfo", "search"):
        expect(page.get_by_role(role)).to_have_count(1)


def test_reduced_motion_stands_still(open_page):
    page = open_page(reduced_motion="reduce")
    page.route(API, lambda _: None)  # never answers
    page.goto("/")
    page.locator(".skeleton .bar").first.wait_for(state="attached")
    assert page.evaluate("document.getAnimations().length") == 0
