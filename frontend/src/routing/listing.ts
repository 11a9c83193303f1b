/** What a list of articles shows, as the query of its URL: that is what back, reload and share carry. */

export interface Listing {
  readonly q: string;
  readonly tag: string;
  readonly cursor: string;
}

export const everything: Listing = { q: "", tag: "", cursor: "" };

export function listingOf(query: URLSearchParams): Listing {
  const value = (name: keyof Listing) => (query.get(name) ?? "").trim();
  return { q: value("q"), tag: value("tag"), cursor: value("cursor") };
}

/** The query, with the leading `?` unless it is empty. */
export function listingQuery(listing: Listing): string {
  const query = new URLSearchParams(Object.entries(listing).filter(([, value]) => value !== ""));
  return query.size === 0 ? "" : `?${query.toString()}`;
}

// A cursor belongs to one search, so a new search starts again at the newest.

export function searching(listing: Listing, q: string): Listing {
  return { ...listing, q: q.trim(), cursor: "" };
}

export function tagged(listing: Listing, tag: string): Listing {
  return { ...listing, tag, cursor: "" };
}

export function olderThan(listing: Listing, cursor: string): Listing {
  return { ...listing, cursor };
}

export function newest(listing: Listing): Listing {
  return { ...listing, cursor: "" };
}
