/** The health answer in plain words. */

import type { Check, Health } from "../api/types";
import { counted, figure } from "./words";

const verdicts: Readonly<Record<string, string>> = {
  healthy: "Everything works.",
  degraded: "The site works, but not everything behind it is well.",
  unhealthy: "The site can’t show articles right now: its database doesn’t answer.",
};

const states: Readonly<Record<string, string>> = {
  up: "Works",
  slow: "Slow",
  degraded: "Strained",
  down: "Down",
  unknown: "Unknown",
};

const parts: Readonly<Record<string, string>> = {
  database: "Database",
  redis: "Cache",
  queues: "Background jobs",
  memory: "Memory",
};

export const verdict = (health: Health): string => verdicts[health.status] ?? `The platform is ${health.status}.`;
export const stateWord = (status: string): string => states[status] ?? status;
export const partName = (name: string): string => parts[name] ?? name;

/** What there is to say about a part, besides its state. */
export function sentence(name: string, check: Check): string {
  return [measure(name, check), check.detail].filter((text) => text).join(" ");
}

function measure(name: string, check: Check): string {
  if (check.status === "down" || check.status === "unknown") return "";
  if (name === "queues") return jobs(check);
  if (typeof check.used_percent === "number") return `${figure(check.used_percent)} % of what it may use is in use.`;
  if (typeof check.latency_ms === "number") return `Answers in ${figure(check.latency_ms)} ms.`;
  return "";
}

function jobs(check: Check): string {
  const queues = Object.values(check.queues ?? {});
  const waiting = queues.reduce((sum, queue) => sum + queue.waiting, 0);
  const failed = queues.reduce((sum, queue) => sum + queue.failed, 0);
  const line = waiting === 0 ? "Nothing waits" : `${counted(waiting, "job")} waiting`;
  return failed === 0 ? `${line}, nothing failed.` : `${line}, ${figure(failed)} failed.`;
}
