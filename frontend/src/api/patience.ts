/** Asking again until the API answers, ever more slowly, so that a crowd of readers doesn't hold it down. */

import { ApiUnavailable } from "./errors";

const longestSeconds = 30;

export interface Wait {
  readonly failures: number;
  readonly seconds: number;
  /** Ends the wait now. */
  readonly end: () => void;
}

/** 1, 2, 4 … 30 seconds, each up to a fifth shorter or longer, so that readers don't come back in step. */
export function waitSeconds(failures: number, random: number = Math.random()): number {
  return Math.min(2 ** (failures - 1), longestSeconds) * (0.8 + 0.4 * random);
}

export async function patiently<T>(
  attempt: () => Promise<T>,
  signal: AbortSignal,
  onWait: (wait: Wait) => void,
): Promise<T> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof ApiUnavailable)) throw error;
    }
    const seconds = waitSeconds(failures);
    await pause(seconds, signal, (end) => {
      onWait({ failures, seconds, end });
    });
  }
}

/** Resolves when the time is over, when it is ended early, or when the browser is online again; rejects on abort. */
export function pause(
  seconds: number,
  signal: AbortSignal,
  onStart: (end: () => void) => void = () => undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const finished = new AbortController();
    const finish = (settle: () => void) => () => {
      clearTimeout(timer);
      finished.abort();
      settle();
    };
    const end = finish(resolve);
    const timer = setTimeout(end, seconds * 1000);
    const once = { signal: finished.signal };
    globalThis.addEventListener("online", end, once);
    signal.addEventListener("abort", finish(() => { reject(signal.reason as Error); }), once);
    onStart(end);
  });
}
