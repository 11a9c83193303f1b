"""Finding and reading articles."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

TITLES = ".entry h2"


@pytest.fixture
def short_pages(page):
    """Two articles to a page, so that any site has several pages."""
    page.route(
        re.compile(r"/api/v1/articles\?"),
        lambda route: route.continue_(url=route.request.url.replace("limit=10", "limit=2")),
    )
    return page


def titles(page):
    expect(page.locator(".outdated")).to_have_count(0)
    return page.locator(TITLES).all_inner_texts()


def query(page):
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def test_the_list_shows_the_newest_articles(page, api):
    page.goto("/")
    expect(page.locator(TITLES).first).to_be_visible()
    assert titles(page) == [article["title"] for article in api.articles(limit=10)]
    expect(page).to_have_title("Articles · Neurmatic")


def test_a_search_is_in_the_address_and_back_undoes_it(page, api):
    wanted = api.articles(limit=1)[0]
    word = max(re.findall(r"\w+", wanted["title"]), key=len)
    page.goto("/")
    before = titles(page)
    field = page.get_by_role("searchbox", name="Search the articles")
    field.fill(word)
    field.press("Enter")
    expect(page).to_have_title(f"“{word}” · Articles · Neurmatic")
    assert query(page) == {"q": word}
    assert titles(page) == [article["title"] for article in api.articles(limit=10, q=word)]
    expect(field).to_be_focused()
    expect(page.get_by_role("status")).to_contain_text(f"matching “{word}”")

    page.go_back()
    expect(page).to_have_title("Articles · Neurmatic")
    assert titles(page) == before
    expect(field).to_have_value("")

    page.go_forward()
    expect(field).to_have_value(word)
    page.reload()
    expect(field).to_have_value(word)
    assert titles(page) == [article["title"] for article in api.articles(limit=10, q=word)]


def test_a_search_without_a_result_offers_a_way_out(page):
    page.goto("/?q=zzyzzyqx")
    expect(page.get_by_text("There is no article matching “zzyzzyqx”.").first).to_be_visible()
    page.get_by_role("link", name="Show all articles").click()
    expect(page.locator(TITLES).first).to_be_visible()


def test_a_topic_filters_the_list(page, api):
    tag = api.get("/tags")["items"][0]["tag"]
    page.goto("/")
    topics = page.get_by_role("navigation", name="Topics")
    topics.get_by_role("link", name=re.compile(rf"^{re.escape(tag)} \d+ articles?$")).click()
    expect(page).to_have_title(f"{tag} · Articles · Neurmatic")
    assert query(page) == {"tag": tag}
    assert titles(page) == [article["title"] for article in api.articles(limit=10, tag=tag)]
    expect(topics.locator("[aria-current]")).to_contain_text(tag)
    expect(topics.locator("[aria-current]")).to_be_focused()
    topics.get_by_role("link", name="All").click()
    expect(page).to_have_title("Articles · Neurmatic")


def test_older_articles_come_page_by_page(short_pages, api):
    page = short_pages
    expected = [article["title"] for article in api.articles(limit=4)]
    page.goto("/")
    assert titles(page) == expected[:2]
    page.get_by_role("link", name="Older").click()
    expect(page).to_have_title("Older articles · Neurmatic")
    assert titles(page) == expected[2:]
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    assert "cursor" in query(page)
    page.reload()
    expect(page.locator(TITLES).first).to_have_text(expected[2])
    page.go_back()
    expect(page.locator(TITLES).first).to_have_text(expected[0])
    page.go_forward()
    page.get_by_role("link", name="Newest").click()
    expect(page.locator(TITLES).first).to_have_text(expected[0])


def test_a_cursor_that_means_nothing_leads_back_to_the_newest(page, console):
    console.failures_expected = True
    page.goto("/?cursor=nonsense")
    page.get_by_role("link", name="Start again at the newest articles").click()
    expect(page.locator(TITLES).first).to_be_visible()


def test_an_article_is_read_and_counted_once(page, api):
    article = api.articles(limit=1)[0]
    page.goto("/")
    with page.expect_request("**/api/v1/analytics/views") as view:
        page.get_by_role("link", name=article["title"], exact=True).click()
    assert view.value.post_data_json == {"slug": article["slug"]}
    expect(page).to_have_title(f"{article['title']} · Neurmatic")
    assert urlsplit(page.url).path == f"/articles/{article['slug']}"
    expect(page.get_by_role("heading", level=1, name=article["title"])).to_be_focused()
    expect(page.locator(".byline time").first).to_have_attribute("datetime", article["published_at"])
    expect(page.locator(".prose > *").first).to_be_visible()


def test_back_returns_to_where_the_list_was_scrolled_to(open_page):
    page = open_page(height=300)
    page.goto("/")
    expect(page.locator(TITLES).first).to_be_visible()
    page.locator(TITLES).last.scroll_into_view_if_needed()
    top = page.evaluate("scrollY")
    assert top > 0
    page.locator(TITLES).last.get_by_role("link").click()
    expect(page.locator(".prose")).to_be_visible()
    assert page.evaluate("scrollY") == 0
    page.go_back()
    expect(page.locator(TITLES).last).to_be_in_viewport()
    assert page.evaluate("scrollY") == pytest.approx(top, abs=1)


def test_an_article_opens_in_a_new_tab_as_any_link_does(page):
    page.goto("/")
    link = page.locator(TITLES).first.get_by_role("link")
    with page.context.expect_page() as tab:
        link.click(modifiers=["Control"])
    expect(tab.value.locator(".prose")).to_be_visible()
    assert urlsplit(page.url).path == "/"


def test_an_unknown_article_is_said_to_be_unknown(page, console):
    console.failures_expected = True
    page.goto("/articles/no-such-article-anywhere")
    expect(page.get_by_role("heading", level=1, name="There is no such article")).to_be_visible()
    expect(page).to_have_title("Not found · Neurmatic")


def test_an_unknown_address_is_said_to_be_unknown(page):
    page.goto("/nothing/here")
    expect(page.get_by_role("heading", level=1, name="There is no such page")).to_be_visible()
    expect(page).to_have_title("Not found · Neurmatic")
    page.get_by_role("link", name="See all articles").click()
    expect(page.locator(TITLES).first).to_be_visible()


def test_markup_in_a_title_is_shown_as_text(page, api):
    evil = '<img src="/favicon.svg" onerror="alert(1)"><b>bold</b>'

    def answer(route):
        response = api.get("/articles", limit=1)
        response["items"][0].update(title=evil, summary=evil, author=evil, tags=[evil])
        route.fulfill(json=response)

    page.route(re.compile(r"/api/v1/articles\?"), answer)
    page.goto("/")
    expect(page.locator(TITLES).first).to_have_text(evil)
    expect(page.locator("main b, main img")).to_have_count(0)


def test_the_status_page_says_how_the_platform_stands(page, api):
    page.goto("/")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Status").click()
    expect(page).to_have_title("Status · Neurmatic")
    checks = api.get("/health")["checks"]
    expect(page.locator(".check")).to_have_count(len(checks))
    expect(page.locator(".verdict")).to_be_visible()
    expect(page.locator(".facts")).to_contain_text("Answered by")
    expect(page.get_by_role("link", name="Status")).to_have_attribute("aria-current", "page")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
