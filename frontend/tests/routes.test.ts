import { describe, expect, it } from "vitest";

import { everything } from "../src/routing/listing";
import { articleHref, articlesHref, routeOf } from "../src/routing/routes";

const at = (path: string) => routeOf(new URL(path, "https://example.test"));

describe("a URL", () => {
  it.each(["/", "/articles", "/articles/"])("%s means the list", (path) => {
    expect(at(path)).toEqual({ kind: "articles", listing: everything });
  });

  it("carries what the list shows", () => {
    expect(at("/?q=a+b&tag=t&cursor=c")).toEqual({ kind: "articles", listing: { q: "a b", tag: "t", cursor: "c" } });
  });

  it("means one article, with or without a slash at the end", () => {
    expect(at("/articles/why-runit")).toEqual({ kind: "article", slug: "why-runit" });
    expect(at("/articles/why-runit/")).toEqual({ kind: "article", slug: "why-runit" });
  });

  it("means the status page", () => {
    expect(at("/status")).toEqual({ kind: "status" });
  });

  it.each(["/nothing", "/articles/a/b", "/articles/%", "/Status", "//"])("%s means nothing", (path) => {
    expect(routeOf(new URL(`https://example.test${path}`))).toEqual({ kind: "missing" });
  });
});

describe("an address", () => {
  it("leads back to the article it was made for", () => {
    for (const slug of ["plain", "a/b", "50%", "q?x=1#y", "früh"]) {
      expect(at(articleHref(slug))).toEqual({ kind: "article", slug });
    }
  });

  it("leads back to the list it was made for", () => {
    const listing = { q: "c++ & more", tag: "#1", cursor: "a=/+" };
    expect(at(articlesHref(listing))).toEqual({ kind: "articles", listing });
    expect(articlesHref(everything)).toBe("/");
  });
});
