/** The site's addresses: which page a URL means, and the URL of a page. */

import { type Listing, listingOf, listingQuery } from "./listing";

export type Route =
  | { readonly kind: "articles"; readonly listing: Listing }
  | { readonly kind: "article"; readonly slug: string }
  | { readonly kind: "status" }
  | { readonly kind: "missing" };

export function routeOf(url: URL): Route {
  const path = url.pathname.replace(/\/$/, "");
  if (path === "" || path === "/articles") return { kind: "articles", listing: listingOf(url.searchParams) };
  if (path === "/status") return { kind: "status" };
  const slug = /^\/articles\/([^/]+)$/.exec(path)?.[1];
  return slug === undefined ? { kind: "missing" } : articleRoute(slug);
}

function articleRoute(encoded: string): Route {
  try {
    return { kind: "article", slug: decodeURIComponent(encoded) };
  } catch {
    return { kind: "missing" }; // a stray % sign
  }
}

export function articlesHref(listing: Listing): string {
  return `/${listingQuery(listing)}`;
}

export function articleHref(slug: string): string {
  return `/articles/${encodeURIComponent(slug)}`;
}
