/** What is said about an article besides its text. */

import type { ArticleSummary } from "../api/types";
import { h } from "../dom";
import { everything, tagged } from "../routing/listing";
import { articleHref, articlesHref } from "../routing/routes";
import { dayOf } from "./words";

/** An article as an entry of a list. */
export function summary(article: ArticleSummary): HTMLElement {
  return h(
    "article",
    { class: "entry" },
    h("h2", {}, h("a", { href: articleHref(article.slug) }, article.title)),
    byline(article),
    h("p", { class: "entry-summary" }, article.summary),
    tagLinks(article.tags),
  );
}

export function byline(article: ArticleSummary, updated?: string): HTMLElement {
  const parts = [h("span", {}, article.author), date("", article.published_at)];
  if (updated !== undefined) parts.push(date("updated ", updated));
  parts.push(h("span", {}, `${article.reading_minutes} min read`));
  return h("p", { class: "byline" }, ...parts);
}

function date(prefix: string, timestamp: string): HTMLElement {
  return h("span", {}, prefix, h("time", { datetime: timestamp }, dayOf(timestamp)));
}

export function tagLinks(tags: readonly string[]): HTMLElement | undefined {
  if (tags.length === 0) return undefined;
  const links = tags.map((tag) => h("li", {}, h("a", { href: articlesHref(tagged(everything, tag)) }, tag)));
  return h("ul", { class: "tags", "aria-label": "Topics" }, ...links);
}
