/** Shows the page that a URL means, and leaves the reader's focus and scroll position where they belong. */

import { fixture, focus, h } from "./dom";
import { articlePage } from "./pages/article";
import { ArticlesPage } from "./pages/articles";
import { missingPage } from "./pages/missing";
import { type Page, siteName } from "./pages/page";
import { StatusPage } from "./pages/status";
import { type Arrival, Navigation } from "./routing/navigation";
import { type Route, routeOf } from "./routing/routes";
import { announce } from "./views/announce";

export class App {
  private readonly main = fixture("main");
  private readonly navigation = new Navigation((url, arrival) => {
    void this.visit(url, arrival);
  });
  private page: Page | undefined;
  private current = new AbortController();

  start(): void {
    this.navigation.start();
  }

  private async visit(url: URL, arrival: Arrival): Promise<void> {
    this.current.abort();
    this.current = new AbortController();
    const { signal } = this.current;
    const route = routeOf(url);
    const made = !this.page?.follow(route);
    const page = made ? this.open(route, arrival) : this.page;
    if (page === undefined) return;
    markSection(route);
    this.main.dataset["loading"] = "";
    try {
      const title = await page.show(signal);
      if (signal.aborted) return;
      document.title = `${title} · ${siteName}`;
    } catch (error) {
      if (signal.aborted) return;
      console.error(error);
      this.apologise(page);
    }
    delete this.main.dataset["loading"];
    settle(url, arrival, { page, made });
  }

  private open(route: Route, arrival: Arrival): Page {
    const page = this.make(route);
    this.page = page;
    this.main.replaceChildren(page.element);
    document.title = siteName;
    announce("");
    if (arrival.by !== "load") {
      scrollTo(0, 0);
      focus(this.main);
    }
    return page;
  }

  private make(route: Route): Page {
    switch (route.kind) {
      case "articles":
        return new ArticlesPage(route.listing, (href) => {
          this.navigation.go(href);
        });
      case "article":
        return articlePage(route.slug);
      case "status":
        return new StatusPage();
      case "missing":
        return missingPage();
    }
  }

  private apologise(page: Page): void {
    const text = "Something went wrong on this page. Loading it again may help.";
    page.element.replaceChildren(page.heading, h("p", { class: "lead" }, text));
    this.page = undefined;
    announce(text);
  }
}

function markSection(route: Route): void {
  for (const link of document.querySelectorAll<HTMLElement>("[data-section]")) {
    const here = link.dataset["section"] === route.kind;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** Scrolls to where the reader was or wants to be, and gives the page's heading the focus unless it has a better place. */
function settle(url: URL, arrival: Arrival, { page, made }: { page: Page; made: boolean }): void {
  const target = url.hash === "" ? null : document.getElementById(decodeURI(url.hash.slice(1)));
  if (target !== null && arrival.by !== "history") target.scrollIntoView();
  else if (arrival.by !== "link" || !made) scrollTo(0, arrival.top);
  const astray = document.activeElement === document.body || document.activeElement === null;
  const entered = made && document.activeElement?.id === "main";
  if (arrival.by !== "load" && (entered || astray)) focus(page.heading);
}
