/** One article. */

import * as api from "../api/client";
import { ApiRefusal } from "../api/errors";
import type { Article } from "../api/types";
import { h } from "../dom";
import { whenAvailable } from "../views/outage";
import { textSkeleton } from "../views/skeleton";
import { byline, tagLinks } from "../views/summary";
import { dayOf } from "../views/words";
import { wayOut } from "./missing";
import type { Page } from "./page";

export function articlePage(slug: string): Page {
  const heading = h("h1", { tabindex: "-1" }, h("span", { class: "visually-hidden" }, "Loading the article"));
  const element = h("article", { class: "reading" }, heading, textSkeleton());

  async function show(signal: AbortSignal): Promise<string> {
    try {
      const place = (notice: HTMLElement) => { element.replaceChildren(heading, notice); };
      const article = await whenAvailable(() => api.article(slug, signal), { signal, place, heading });
      heading.textContent = article.title;
      element.replaceChildren(heading, ...content(article));
      api.countView(slug);
      return article.title;
    } catch (error) {
      if (!(error instanceof ApiRefusal) || error.status !== 404) throw error;
      heading.textContent = "There is no such article";
      element.replaceChildren(heading, ...wayOut("It may have been withdrawn, or its address has a slip in it."));
      return "Not found";
    }
  }

  return { element, heading, follow: () => false, show };
}

function content(article: Article): HTMLElement[] {
  const body = h("div", { class: "prose" });
  // The one place where markup comes from the API: it is Markdown that the server rendered and sanitised against an
  // allow list when the article was saved, and the Content-Security-Policy runs no script that slipped through.
  // eslint-disable-next-line no-restricted-properties -- see above
  body.innerHTML = article.body_html;
  makeScrollable(body);
  const topics = tagLinks(article.tags);
  return [
    byline(article, updatedLater(article)),
    h("p", { class: "lead" }, article.summary),
    body,
    h("footer", { class: "article-end" }, topics, h("p", {}, h("a", { href: "/" }, "All articles"))),
  ];
}

function updatedLater(article: Article): string | undefined {
  const { published_at: published, updated_at: updated } = article;
  return updated > published && dayOf(updated) !== dayOf(published) ? updated : undefined;
}

/** Wide code and tables scroll by themselves; a keyboard needs to reach them for that. */
function makeScrollable(body: HTMLElement): void {
  for (const code of body.querySelectorAll("pre")) code.tabIndex = 0;
  for (const table of body.querySelectorAll("table")) {
    const frame = h("div", { class: "wide", tabindex: "0", role: "group", "aria-label": "Table" });
    table.replaceWith(frame);
    frame.append(table);
  }
}
