"""Markdown to HTML that may stand on a page: rendered, then sanitised."""

import re

import nh3
from markdown_it import MarkdownIt

WORDS_PER_MINUTE = 220
_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
_TAGS = {
    "a", "abbr", "b", "blockquote", "br", "code", "dd", "del", "dl", "dt", "em", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img",
    "kbd", "li", "ol", "p", "pre", "s", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_ATTRIBUTES = {"a": {"href", "title"}, "img": {"src", "alt", "title"}, "code": {"class"}, "ol": {"start"}}


def to_html(markdown: str) -> str:
    """Render Markdown; scripts, styles, event handlers and dangerous links are gone, headings begin at level 2."""
    return sanitise(re.sub(r"<(/?)h1>", r"<\1h2>", _MARKDOWN.render(markdown)))


def sanitise(html: str) -> str:
    """Leave only what text needs."""
    return nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        clean_content_tags={"script", "style"},
        link_rel="noopener nofollow",
    )


def reading_minutes(markdown: str) -> int:
    """Minutes that reading takes, at least 1."""
    return max(1, round(len(markdown.split()) / WORDS_PER_MINUTE))


def plain_summary(markdown: str, length: int = 200) -> str:
    """The first words of a text, without its markup."""
    text = nh3.clean(to_html(markdown), tags=set())
    words = " ".join(text.split())
    return words if len(words) <= length else words[:length].rsplit(" ", 1)[0] + " …"
