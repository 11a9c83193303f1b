/** The health answer in plain words. */

import type { Health } from "../api/types";
import { counted, figure } from "./words";

type Checks = Health["checks"];

export interface Part {
  readonly name: string;
  readonly status: string;
  readonly state: string;
  readonly text: string;
}

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

export const verdict = (health: Health): string => verdicts[health.status] ?? `The platform is ${health.status}.`;

export function parts({ database, redis, queues, memory }: Checks): Part[] {
  return [
    part("Database", database, speed(database)),
    part("Cache", redis, speed(redis)),
    part("Background jobs", queues, jobs(queues)),
    part("Memory", memory, `${figure(memory.used_percent)} % of what it may use is in use.`),
  ];
}

/** What is measured means nothing where a part is down or can't be seen. */
function part(name: string, { status, detail }: Pick<Checks["redis"], "status" | "detail">, measured: string): Part {
  const seen = status !== "down" && status !== "unknown";
  const text = [seen ? measured : "", detail].filter((words) => words !== "").join(" ");
  return { name, status, state: states[status] ?? status, text };
}

function speed({ latency_ms: latency }: Checks["redis"]): string {
  return `Answers in ${figure(latency)} ms.`;
}

function jobs({ queues }: Checks["queues"]): string {
  const counts = Object.values(queues);
  const waiting = counts.reduce((sum, queue) => sum + queue.waiting, 0);
  const failed = counts.reduce((sum, queue) => sum + queue.failed, 0);
  const line = waiting === 0 ? "Nothing waits" : `${counted(waiting, "job")} waiting`;
  return `${line}, ${failed === 0 ? "nothing" : figure(failed)} failed.`;
}
