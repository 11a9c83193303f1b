/** The questions that the site asks the API. */

import type { Listing } from "../routing/listing";
import { apiBase } from "../settings";
import { ApiRefusal, ApiUnavailable } from "./errors";
import type { Article, ArticlePage, Health, TagCount } from "./types";

const timeoutMilliseconds = 10_000;
const pageSize = 10;

/** With a version of the list, the answer is none that was made before it and kept on the way. */
export async function articles(listing: Listing, signal: AbortSignal, version = ""): Promise<ArticlePage> {
  const query = new URLSearchParams({ limit: String(pageSize) });
  for (const [name, value] of Object.entries(listing) as [string, string][]) {
    if (value !== "") query.set(name, value);
  }
  if (version !== "") query.set("version", version);
  return (await ask(`/articles?${query.toString()}`, signal)) as ArticlePage;
}

export async function article(slug: string, signal: AbortSignal): Promise<Article> {
  return (await ask(`/articles/${encodeURIComponent(slug)}`, signal)) as Article;
}

export async function tags(signal: AbortSignal): Promise<TagCount[]> {
  return ((await ask("/tags", signal)) as { items: TagCount[] }).items;
}

/** An unhealthy platform says so with status 503 and the same body: that is an answer too. */
export async function health(signal: AbortSignal): Promise<Health> {
  const response = await send("/health", signal);
  const body = await json(response, signal);
  if (!isObject(body) || !isObject(body["checks"])) throw new ApiUnavailable(`no health answer (${response.status})`);
  return body as Health;
}

/** Counts a view. It must never disturb the reader, so that it may fail is fine. */
export function countView(slug: string): void {
  fetch(`${apiBase}/analytics/views`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ slug }),
    keepalive: true,
  }).catch(() => undefined);
}

async function ask(path: string, signal: AbortSignal): Promise<unknown> {
  const response = await send(path, signal);
  if (response.status >= 500 || response.status === 429) throw new ApiUnavailable(`status ${response.status}`);
  const body = await json(response, signal);
  if (!response.ok) throw new ApiRefusal(response.status, problemText(body));
  return body;
}

async function send(path: string, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(apiBase + path, {
      headers: { Accept: "application/json, application/problem+json" },
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMilliseconds)]),
    });
  } catch (error) {
    throw unanswered(error, signal);
  }
}

async function json(response: Response, signal: AbortSignal): Promise<unknown> {
  try {
    return await response.json();
  } catch (error) {
    throw unanswered(error, signal);
  }
}

/** A page that was left isn't an outage: its abort stays what it is. */
function unanswered(error: unknown, signal: AbortSignal): unknown {
  return signal.aborted ? signal.reason : new ApiUnavailable("no usable answer", { cause: error });
}

function problemText(body: unknown): string {
  const problem = isObject(body) ? body : {};
  const text = problem["detail"] ?? problem["title"];
  return typeof text === "string" ? text : "";
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
