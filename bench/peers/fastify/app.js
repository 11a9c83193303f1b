// The platform's endpoints in Fastify.
import fastify from "fastify";
import { health, list, one } from "../database.js";

const app = fastify({ logger: false, keepAliveTimeout: 75_000 }); // longer than nginx keeps its connections

app.get("/api/v1/articles", async (request, reply) => {
  reply.type("application/json");
  return list(Number(request.query.limit));
});

app.get("/api/v1/articles/:slug", async (request, reply) => {
  const [etag, body] = await one(request.params.slug);
  reply.type("application/json").header("ETag", etag);
  return body;
});

const schema = { response: { 200: { type: "object", properties: { status: { type: "string" } } } } };
app.get("/api/v1/health", { schema }, () => health());

await app.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
