import { describe, expect, it } from "vitest";

import { everything, listingOf, listingQuery, newest, olderThan, searching, tagged } from "../src/routing/listing";

const third = { q: "redis", tag: "faults", cursor: "c3" };

describe("the state of a list", () => {
  it("is read from a query, without the space around it", () => {
    expect(listingOf(new URLSearchParams("q=%20redis%20&other=1"))).toEqual({ ...everything, q: "redis" });
  });

  it("is written without what is empty", () => {
    expect(listingQuery(everything)).toBe("");
    expect(listingQuery({ ...everything, tag: "a b" })).toBe("?tag=a+b");
    expect(listingQuery(third)).toBe("?q=redis&tag=faults&cursor=c3");
  });

  it("starts at the newest when its search changes", () => {
    expect(searching(third, " nginx ")).toEqual({ q: "nginx", tag: "faults", cursor: "" });
    expect(tagged(third, "")).toEqual({ q: "redis", tag: "", cursor: "" });
  });

  it("keeps its search from page to page", () => {
    expect(olderThan(third, "c4")).toEqual({ ...third, cursor: "c4" });
    expect(newest(third)).toEqual({ ...third, cursor: "" });
  });
});
