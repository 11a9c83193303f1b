/** The list of articles: newest first, searched, filtered by topic, page by page. */

import { latestVersion } from "../api/changes";
import * as api from "../api/client";
import { ApiRefusal, ApiUnavailable } from "../api/errors";
import { pause } from "../api/patience";
import type { ArticlePage, TagCount } from "../api/types";
import { focus, h } from "../dom";
import { everything, type Listing, newest, olderThan, searching, tagged } from "../routing/listing";
import { articlesHref, type Route } from "../routing/routes";
import { announce } from "../views/announce";
import { whenAvailable } from "../views/outage";
import { listSkeleton } from "../views/skeleton";
import { summary } from "../views/summary";
import { counted } from "../views/words";
import { offerArrivals, type Shown } from "./arrivals";
import type { Page } from "./page";

const skeletonEntries = 5;
const longestTopicsSeconds = 1;

export class ArticlesPage implements Page {
  readonly heading = h("h1", { tabindex: "-1" }, "Articles");
  private readonly field = h("input", {
    type: "search", name: "q", id: "q", placeholder: "Search the articles", autocomplete: "off", maxlength: "100",
  });
  private readonly form = h(
    "form",
    { role: "search", class: "search", action: "/" },
    h("label", { for: "q", class: "visually-hidden" }, "Search the articles"),
    this.field,
    h("button", { class: "button" }, "Search"),
  );
  private readonly topics = h("ul", { class: "topics-list" });
  private readonly results = h("div", { class: "results" }, summaryLine(""), listSkeleton(skeletonEntries));
  private counts: readonly TagCount[] | undefined;

  readonly element = h(
    "div",
    { class: "listing" },
    h("div", { class: "listing-head" }, this.heading, this.form),
    h("nav", { class: "topics", "aria-labelledby": "topics" }, h("h2", { id: "topics" }, "Topics"), this.topics),
    this.results,
  );

  constructor(
    private listing: Listing,
    go: (href: string) => void,
  ) {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      go(articlesHref(searching(this.listing, this.field.value)));
    });
  }

  follow(route: Route): boolean {
    if (route.kind !== "articles") return false;
    this.listing = route.listing;
    return true;
  }

  async show(signal: AbortSignal): Promise<string> {
    const { listing } = this;
    this.field.value = listing.q;
    this.showTopics();
    this.results.classList.add("outdated");
    const topics = this.loadTopics(signal);
    try {
      this.fill(...await this.ask(listing, signal));
    } finally {
      if (!signal.aborted) this.results.classList.remove("outdated");
    }
    // They are a part of the page's height; but nobody waits long for an aid.
    await Promise.race([topics, pause(longestTopicsSeconds, signal)]);
    return pageTitle(listing);
  }

  private async ask(listing: Listing, signal: AbortSignal): Promise<HTMLElement[]> {
    const place = (notice: HTMLElement) => {
      this.results.classList.remove("outdated");
      this.fill(notice);
    };
    try {
      const { heading } = this;
      const version = latestVersion();
      const page = await whenAvailable(() => api.articles(listing, signal, version), { signal, place, heading });
      if (listing.cursor === "") this.offerArrivals({ listing, page, version }, signal); // older pages get none
      return found(listing, page);
    } catch (error) {
      if (!(error instanceof ApiRefusal)) throw error;
      return refused(listing, error);
    }
  }

  private offerArrivals(shown: Shown, signal: AbortSignal): void {
    const place = (offer: HTMLElement) => { this.results.prepend(offer); };
    offerArrivals(shown, signal, place, (now, first) => {
      this.fill(...found(shown.listing, now));
      scrollTo(0, 0);
      this.results.querySelectorAll<HTMLElement>(".entry h2 a")[now.items.indexOf(first)]?.focus();
    });
  }

  private fill(...children: HTMLElement[]): void {
    this.results.replaceChildren(...children);
  }

  /** Topics are an aid: without them the list is as good, so their failure isn't shown. */
  private async loadTopics(signal: AbortSignal): Promise<void> {
    try {
      this.counts ??= await api.tags(signal);
      this.showTopics();
    } catch (error) {
      if (!signal.aborted && !(error instanceof ApiUnavailable || error instanceof ApiRefusal)) throw error;
    }
  }

  private showTopics(): void {
    const { listing, topics } = this;
    const known = this.counts ?? [];
    const unknown = listing.tag === "" || known.some(({ tag }) => tag === listing.tag) ? [] : [{ tag: listing.tag }];
    const focused = topics.contains(document.activeElement);
    const rows: { tag: string; count?: number }[] = [...known, ...unknown];
    topics.replaceChildren(topic(listing, "", "All"), ...rows.map(({ tag, count }) => topic(listing, tag, tag, count)));
    const current = topics.querySelector<HTMLElement>("[aria-current]");
    if (current === null) return;
    if (current.offsetLeft + current.offsetWidth > topics.clientWidth) topics.scrollLeft = current.offsetLeft;
    if (focused) focus(current);
  }
}

function topic(listing: Listing, tag: string, name: string, count?: number): HTMLElement {
  const current = listing.tag === tag ? "true" : undefined;
  const number = count === undefined ? undefined : h("span", { class: "count" }, String(count), articlesWord(count));
  return h("li", {}, h("a", { href: articlesHref(tagged(listing, tag)), "aria-current": current }, name, number));
}

function articlesWord(count: number): HTMLElement {
  return h("span", { class: "visually-hidden" }, count === 1 ? " article" : " articles");
}

function found(listing: Listing, page: ArticlePage): HTMLElement[] {
  const text = describe(listing, page);
  announce(text);
  const line = summaryLine(text);
  if (page.items.length === 0) {
    return [line, h("p", {}, h("a", { href: articlesHref(everything) }, "Show all articles"))];
  }
  const entries = h("ol", { class: "entries" }, ...page.items.map((article) => h("li", {}, summary(article))));
  return [line, entries, ...pager(listing, page.next_cursor ?? "")];
}

function refused(listing: Listing, refusal: ApiRefusal): HTMLElement[] {
  const text = "The API can’t answer this question.";
  announce(text);
  const start = listing.cursor === "" ? articlesHref(everything) : articlesHref(newest(listing));
  return [summaryLine(text), h("p", {}, refusal.message), h("p", {}, h("a", { href: start }, "Start again at the newest articles"))];
}

function pager(listing: Listing, next: string): HTMLElement[] {
  const links: HTMLElement[] = [];
  if (listing.cursor !== "") links.push(h("a", { class: "button", href: articlesHref(newest(listing)) }, "Newest"));
  if (next !== "") links.push(h("a", { class: "button", rel: "next", href: articlesHref(olderThan(listing, next)) }, "Older"));
  return links.length === 0 ? [] : [h("nav", { class: "pager", "aria-label": "Pages" }, ...links)];
}

function summaryLine(text: string): HTMLElement {
  return h("p", { class: "results-summary" }, text);
}

/** What a list shows, in one sentence. */
export function describe(listing: Listing, page: ArticlePage): string {
  const older = listing.cursor === "" ? "" : "older ";
  const matching = listing.q === "" ? "" : ` matching “${listing.q}”`;
  const about = listing.tag === "" ? "" : ` on ${listing.tag}`;
  if (page.items.length === 0) return `There is no ${older}article${matching}${about}.`;
  const more = page.next_cursor ? "; older ones follow" : "";
  return `${counted(page.items.length, `${older}article`)}${matching}${about}, newest first${more}.`;
}

function pageTitle(listing: Listing): string {
  const parts = [listing.q === "" ? "" : `“${listing.q}”`, listing.tag, listing.cursor === "" ? "Articles" : "Older articles"];
  return parts.filter((part) => part !== "").join(" · ");
}
