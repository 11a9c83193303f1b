import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { ApiRefusal, ApiUnavailable } from "../src/api/errors";
import { patiently, waitSeconds } from "../src/api/patience";

const down = () => Promise.reject(new ApiUnavailable("down"));

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("addEventListener", vi.fn()); // the window's
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("the wait between attempts", () => {
  it("doubles up to half a minute", () => {
    expect([1, 2, 3, 4, 5, 6, 50].map((failures) => waitSeconds(failures, 0.5))).toEqual([1, 2, 4, 8, 16, 30, 30]);
  });

  it("differs from reader to reader by a fifth at most", () => {
    expect(waitSeconds(3, 0)).toBeCloseTo(3.2);
    expect(waitSeconds(3, 1)).toBeCloseTo(4.8);
  });
});

describe("asking patiently", () => {
  function recovering(failures: number) {
    let left = failures;
    return vi.fn(() => (left-- > 0 ? down() : Promise.resolve("up")));
  }

  it("says before each wait how often it failed", async () => {
    const waits: number[] = [];
    const answer = patiently(recovering(3), new AbortController().signal, ({ failures }) => waits.push(failures));
    await vi.runAllTimersAsync();
    await expect(answer).resolves.toBe("up");
    expect(waits).toEqual([1, 2, 3]);
  });

  it("asks at once when told to", async () => {
    const attempt = recovering(1);
    const answer = patiently(attempt, new AbortController().signal, ({ end }) => { end(); });
    await expect(answer).resolves.toBe("up"); // no timer has run
    expect(attempt).toHaveBeenCalledTimes(2);
  });

  it("doesn't ask again what was refused", async () => {
    const attempt = vi.fn(() => Promise.reject(new ApiRefusal(404, "no")));
    await expect(patiently(attempt, new AbortController().signal, () => undefined)).rejects.toBeInstanceOf(ApiRefusal);
    expect(attempt).toHaveBeenCalledTimes(1);
  });

  it("ends when the page is left", async () => {
    const left = new AbortController();
    const attempt = vi.fn(down);
    const answer = patiently(attempt, left.signal, () => { left.abort(); });
    await expect(answer).rejects.toMatchObject({ name: "AbortError" });
    await vi.runAllTimersAsync();
    expect(attempt).toHaveBeenCalledTimes(1);
  });
});
