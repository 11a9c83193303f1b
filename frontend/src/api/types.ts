/** The API's answers under short names; their shapes are generated from the OpenAPI document. */

import type { paths } from "./schema";

type Answer<P extends keyof paths> = paths[P] extends {
  get: { responses: { 200: { content: { "application/json": infer Body } } } };
}
  ? Body
  : never;

export type ArticlePage = Answer<"/api/v1/articles">;
export type ArticleSummary = ArticlePage["items"][number];
export type Article = Answer<"/api/v1/articles/{slug}">;
export type TagCount = Answer<"/api/v1/tags">["items"][number];
export type Health = Answer<"/api/v1/health">;
