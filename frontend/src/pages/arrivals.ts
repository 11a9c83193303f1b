/** Articles that are published while a list is open: offered without moving what is being read. */

import { latestVersion, onChange } from "../api/changes";
import * as api from "../api/client";
import { ApiRefusal } from "../api/errors";
import { patiently, pause } from "../api/patience";
import type { ArticlePage, ArticleSummary } from "../api/types";
import { h } from "../dom";
import type { Listing } from "../routing/listing";
import { announce } from "../views/announce";
import { counted } from "../views/words";

/** A list as the reader has it before him. */
export interface Shown {
  readonly listing: Listing;
  readonly page: ArticlePage;
  /** The version that was asked for. */
  readonly version: string;
}

/** What has come to the top of a list since; what moved up from a later page isn't new. */
export function arrivals(shown: ArticlePage, now: ArticlePage): ArticleSummary[] {
  const known = new Set(shown.items.map(({ slug }) => slug));
  const end = shown.next_cursor === null ? "" : (shown.items.at(-1)?.published_at ?? "");
  return now.items.filter(({ slug, published_at: published }) => !known.has(slug) && published > end);
}

/** Asks for the list again whenever it may have changed, until it is left. */
function followChanges(shown: Shown, signal: AbortSignal, found: (now: ArticlePage) => void): void {
  let { version } = shown;
  let asking = false;
  async function ask(): Promise<void> {
    while (version !== latestVersion()) {
      await pause(0.2 + Math.random(), signal); // a burst becomes one question, and readers don't all ask at once
      const asked = latestVersion();
      const now = await patiently(() => api.articles(shown.listing, signal, asked), signal, () => undefined);
      version = asked;
      found(now);
    }
  }
  async function hear(): Promise<void> {
    if (asking) return;
    asking = true;
    try {
      await ask();
    } catch (error) {
      if (!signal.aborted && !(error instanceof ApiRefusal)) throw error;
    } finally {
      asking = false;
    }
  }
  onChange(() => void hear(), signal);
  void hear();
}

/** Offers what is new in a list as long as it is shown; `accept` gets the list as it is now and its first new article. */
export function offerArrivals(
  shown: Shown,
  signal: AbortSignal,
  place: (offer: HTMLElement) => void,
  accept: (now: ArticlePage, first: ArticleSummary) => void,
): void {
  const offer = new Offer();
  let { page } = shown;
  followChanges(shown, signal, (now) => {
    const fresh = arrivals(page, now);
    const [first] = fresh;
    if (first === undefined) {
      offer.element.remove();
      return;
    }
    offer.show(first, fresh.length, () => {
      page = now;
      accept(now, first);
    });
    if (!offer.element.isConnected) place(offer.element); // placed again, its button would lose the focus
  });
  signal.addEventListener("abort", () => { offer.element.remove(); }, { once: true });
}

/** It lies over the page, so that nothing moves when it comes. */
class Offer {
  private readonly title = h("p", { class: "arrivals-title" });
  private readonly button = h("button", { type: "button", class: "button" });
  readonly element = h("section", { class: "arrivals", "aria-label": "New articles" }, this.title, this.button);
  private told = "";
  private accept: () => void = () => undefined;

  constructor() {
    this.button.addEventListener("click", () => {
      this.accept();
    });
  }

  show(first: ArticleSummary, count: number, accept: () => void): void {
    this.accept = accept;
    const text = `New: ${first.title}${count === 1 ? "" : ` and ${count - 1} more`}`;
    this.title.textContent = text;
    this.button.textContent = `Show ${counted(count, "new article")}`;
    if (text !== this.told) announce(text);
    this.told = text;
  }
}
