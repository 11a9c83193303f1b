import { describe, expect, it } from "vitest";

import type { ArticlePage, ArticleSummary } from "../src/api/types";
import { arrivals } from "../src/pages/arrivals";

function article(day: number): ArticleSummary {
  const published = `2026-01-${String(day).padStart(2, "0")}T00:00:00.000000Z`;
  return { slug: `day-${day}`, title: "t", summary: "", author: "", tags: [], published_at: published, reading_minutes: 1 };
}

const page = (next: string | null, ...days: number[]): ArticlePage => ({ items: days.map(article), next_cursor: next });
const slugs = (shown: ArticlePage, now: ArticlePage) => arrivals(shown, now).map(({ slug }) => slug);

describe("what has arrived in a list", () => {
  it("is nothing when nothing has", () => {
    expect(slugs(page("c", 9, 8), page("c", 9, 8))).toEqual([]);
  });

  it("is what stands above or between what was there, newest first", () => {
    expect(slugs(page("c", 8, 6), page("c", 9, 8, 7))).toEqual(["day-9", "day-7"]);
  });

  it("isn't what moved up from the next page when something was withdrawn", () => {
    expect(slugs(page("c", 9, 8), page("c", 9, 7))).toEqual([]);
  });

  it("is anything at all in a list that was whole", () => {
    expect(slugs(page(null, 9, 8), page(null, 9, 8, 2))).toEqual(["day-2"]);
    expect(slugs(page(null), page(null, 2))).toEqual(["day-2"]);
  });
});
