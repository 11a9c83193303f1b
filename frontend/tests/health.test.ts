import { describe, expect, it } from "vitest";

import type { Health } from "../src/api/types";
import { parts } from "../src/views/health";

const quiet = { waiting: 0, active: 0, completed: 7, failed: 0 };
const memory = { used_bytes: 1, limit_bytes: 2, used_percent: 12.5, limit_source: "cgroup", growth_bytes_per_minute: 0 };
const up = { status: "up", critical: false, detail: "" };
const checks: Health["checks"] = {
  database: { ...up, latency_ms: 0.8 },
  redis: { ...up, latency_ms: 0.34 },
  queues: { ...up, queues: { analytics: quiet, article_scheduler: quiet } },
  memory: { ...up, ...memory },
};

const said = (changes: Partial<Health["checks"]>) =>
  Object.fromEntries(parts({ ...checks, ...changes }).map(({ name, state, text }) => [name, `${state}: ${text}`]));

describe("the health answer in words", () => {
  it("tells what each part does", () => {
    expect(said({})).toEqual({
      Database: "Works: Answers in 0.8 ms.",
      Cache: "Works: Answers in 0.3 ms.",
      "Background jobs": "Works: Nothing waits, nothing failed.",
      Memory: "Works: 12.5 % of what it may use is in use.",
    });
  });

  it("measures nothing where a part is down", () => {
    const database = { status: "down", critical: true, latency_ms: 0, detail: "connection refused" };
    expect(said({ database })["Database"]).toBe("Down: connection refused");
  });

  it("adds up the queues", () => {
    const queues = { analytics: { ...quiet, waiting: 1200 }, article_scheduler: { ...quiet, failed: 3 } };
    const text = said({ queues: { ...up, status: "degraded", queues } })["Background jobs"];
    expect(text).toBe("Strained: 1,200 jobs waiting, 3 failed.");
  });
});
