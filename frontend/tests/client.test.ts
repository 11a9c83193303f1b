import { afterEach, describe, expect, it, vi } from "vitest";

import * as api from "../src/api/client";
import { ApiRefusal, ApiUnavailable } from "../src/api/errors";
import { everything } from "../src/routing/listing";

const never = new AbortController().signal;

function answer(status: number, body: unknown) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const fetched = vi.fn<typeof fetch>(() => Promise.resolve(new Response(text, { status })));
  vi.stubGlobal("fetch", fetched);
  return fetched;
}

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("a question to the API", () => {
  it("carries only the filters that are set", async () => {
    const fetched = answer(200, { items: [], next_cursor: null });
    await api.articles({ ...everything, q: "a&b" }, never);
    expect(fetched.mock.calls[0]?.[0]).toBe("/api/v1/articles?limit=10&q=a%26b");
  });

  it("names the version of the list once there is one", async () => {
    const fetched = answer(200, { items: [], next_cursor: null });
    await api.articles(everything, never, "v1");
    expect(fetched.mock.calls[0]?.[0]).toBe("/api/v1/articles?limit=10&version=v1");
  });

  it("escapes a slug", async () => {
    const fetched = answer(200, { title: "t" });
    await api.article("a/../b", never);
    expect(fetched.mock.calls[0]?.[0]).toBe("/api/v1/articles/a%2F..%2Fb");
  });

  it.each([500, 502, 503, 504, 429])("with the answer %i is worth repeating", async (status) => {
    answer(status, { title: "later" });
    await expect(api.tags(never)).rejects.toBeInstanceOf(ApiUnavailable);
  });

  it("without a connection is worth repeating", async () => {
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")));
    await expect(api.tags(never)).rejects.toBeInstanceOf(ApiUnavailable);
  });

  it("answered by a page that isn't the API's is worth repeating", async () => {
    answer(200, "<!doctype html>");
    await expect(api.tags(never)).rejects.toBeInstanceOf(ApiUnavailable);
  });

  it("that is refused says why", async () => {
    answer(404, { title: "Not Found", status: 404, detail: "there is no such article" });
    const refusal = await api.article("x", never).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(ApiRefusal);
    expect(refusal).toMatchObject({ status: 404, message: "there is no such article" });
  });

  it("of a page that was left stays an abort", async () => {
    const left = new AbortController();
    left.abort();
    vi.stubGlobal("fetch", () => Promise.reject(left.signal.reason as Error));
    await expect(api.tags(left.signal)).rejects.toMatchObject({ name: "AbortError" });
  });
});

describe("the health answer", () => {
  it("is an answer with status 503 too", async () => {
    answer(503, { status: "unhealthy", checks: {} });
    await expect(api.health(never)).resolves.toMatchObject({ status: "unhealthy" });
  });

  it("isn't what a gateway says in its place", async () => {
    answer(503, { title: "no upstream" });
    await expect(api.health(never)).rejects.toBeInstanceOf(ApiUnavailable);
  });
});

describe("a view", () => {
  it("is sent even while the page goes away", () => {
    const fetched = answer(202, "null");
    api.countView("a");
    expect(fetched.mock.calls[0]?.[0]).toBe("/api/v1/analytics/views");
    expect(fetched.mock.calls[0]?.[1]).toMatchObject({ method: "POST", keepalive: true, body: '{"slug":"a"}' });
  });

  it("that gets lost disturbs nobody", async () => {
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")));
    api.countView("a");
    await new Promise((resolve) => setTimeout(resolve)); // an unhandled rejection would fail the run
  });
});
