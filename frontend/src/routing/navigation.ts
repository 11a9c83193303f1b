/** Moving between pages without loading them anew: links, back and forward, and where each page was scrolled to. */

/** How somebody came to a URL, and how far down it they were when they left it. */
export interface Arrival {
  readonly by: "load" | "link" | "history";
  readonly top: number;
}

export type Visit = (url: URL, arrival: Arrival) => void;

const settleMilliseconds = 150; // browsers limit how often a page may write to its history

export class Navigation {
  private shown = new URL(location.href);
  private scrolled: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly visit: Visit) {}

  start(): void {
    history.scrollRestoration = "manual"; // content arrives after the browser would have scrolled
    document.addEventListener("click", (event) => {
      this.click(event);
    });
    addEventListener("popstate", () => {
      this.goneThroughHistory();
    });
    addEventListener("pagehide", () => {
      this.rememberScroll();
    });
    addEventListener("scroll", () => {
      clearTimeout(this.scrolled);
      this.scrolled = setTimeout(() => {
        this.rememberScroll();
      }, settleMilliseconds);
    });
    this.visit(this.shown, { by: "load", top: rememberedTop() });
  }

  go(href: string): void {
    const url = new URL(href, location.href);
    this.rememberScroll();
    if (url.href !== location.href) history.pushState(null, "", url);
    this.shown = url;
    this.visit(url, { by: "link", top: 0 });
  }

  private click(event: MouseEvent): void {
    const url = linkOf(event);
    if (url === undefined || movesWithin(url, this.shown)) return;
    event.preventDefault();
    this.go(url.href);
  }

  private goneThroughHistory(): void {
    clearTimeout(this.scrolled);
    const url = new URL(location.href);
    const top = rememberedTop();
    const within = samePage(url, this.shown);
    this.shown = url;
    if (within) scrollTo(0, top);
    else this.visit(url, { by: "history", top });
  }

  private rememberScroll(): void {
    clearTimeout(this.scrolled);
    history.replaceState({ top: scrollY }, "");
  }
}

function rememberedTop(): number {
  return (history.state as { top?: number } | null)?.top ?? 0;
}

function samePage(one: URL, other: URL): boolean {
  return one.pathname === other.pathname && one.search === other.search;
}

function movesWithin(url: URL, shown: URL): boolean {
  return url.hash !== "" && samePage(url, shown);
}

/** Where a click leads, if it is this site's to follow. */
export function linkOf(event: MouseEvent): URL | undefined {
  const modified = event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
  if (event.defaultPrevented || event.button !== 0 || modified) return undefined;
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link?.hasAttribute("href") || link.target !== "" || link.hasAttribute("download")) return undefined;
  const url = new URL(link.href);
  return url.origin === location.origin && !url.pathname.startsWith("/api/") ? url : undefined;
}
