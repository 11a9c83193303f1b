"""The site needs nothing that a strict Content-Security-Policy forbids, and the policy holds where sanitising failed."""

import re

import pytest
from playwright.sync_api import expect

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@pytest.fixture
def strict_page(page, api, site_url):
    """A page whose documents come with the policy, whatever the site itself sends."""
    document = api.text("/")
    page.route(
        lambda url: url.startswith(site_url) and not re.search(r"/(api|assets)/|\.\w+$", url),
        lambda route: route.fulfill(
            body=document, content_type="text/html", headers={"Content-Security-Policy": POLICY}
        ),
    )
    return page


def test_every_page_works_under_a_strict_policy(strict_page, api):
    page = strict_page
    page.goto("/")
    page.get_by_role("link", name=api.articles(limit=1)[0]["title"], exact=True).click()
    expect(page.locator(".prose > *").first).to_be_visible()
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Status").click()
    expect(page.locator(".verdict")).to_be_visible()
    page.goto("/nothing/here")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no such page")


def test_open_lists_hear_of_changes_under_a_strict_policy(strict_page):
    with strict_page.expect_websocket() as live:
        strict_page.goto("/")
    live.value.wait_for_event("framereceived", lambda frame: '["changed"' in frame)


def test_a_script_in_an_article_would_not_run(strict_page, api, console):
    page = strict_page
    article = api.get(f"/articles/{api.articles(limit=1)[0]['slug']}")
    article["body_html"] = '<p>text</p><img src="/favicon.svg" alt="" onload="window.ran = true">'
    page.route("**/api/v1/articles/*", lambda route: route.fulfill(json=article))
    page.goto(f"/articles/{article['slug']}")
    expect(page.locator(".prose img")).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.ran") is None
    assert [text for text in console if "Content Security Policy" in text] == console
    console.clear()
