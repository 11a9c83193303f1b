// What both Node peers ask PostgreSQL, through one pool: the platform's own queries, prepared.
import { readFileSync } from "node:fs";
import pg from "pg";

const queries = JSON.parse(readFileSync(process.env.QUERIES, "utf8"));
const size = Number(process.env.POOL_SIZE);
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, min: size, max: size, idleTimeoutMillis: 0 });
const HEALTHY_MS = 1000;
let healthyUntil = 0;

async function row(name, value) {
  return (await pool.query({ name, text: queries[name], values: [value], rowMode: "array" })).rows[0];
}

/** A page of the list, as JSON text. */
export async function list(limit) {
  return (await row("list", limit))[0];
}

/** One article: its entity tag, and the article as JSON text. */
export async function one(slug) {
  const [digest, body] = await row("one", slug);
  return [`"${digest.slice(0, 32)}"`, body];
}

/** The database is asked once a second, as the platform does it. */
export async function health() {
  if (performance.now() > healthyUntil) {
    await pool.query("SELECT 1");
    healthyUntil = performance.now() + HEALTHY_MS;
  }
  return { status: "healthy" };
}
