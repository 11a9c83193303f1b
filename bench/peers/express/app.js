// The platform's endpoints in Express.
import express from "express";
import { health, list, one } from "../database.js";

const JSON_TYPE = "application/json; charset=utf-8";
const app = express();
app.disable("x-powered-by");
app.disable("etag"); // a digest of every answer; the platform's stands in the row

app.get("/api/v1/articles", async (request, response) => {
  response.set("Content-Type", JSON_TYPE).send(await list(Number(request.query.limit)));
});

app.get("/api/v1/articles/:slug", async (request, response) => {
  const [etag, body] = await one(request.params.slug);
  response.set("Content-Type", JSON_TYPE).set("ETag", etag).send(body);
});

app.get("/api/v1/health", async (_request, response) => {
  response.json(await health());
});

const server = app.listen(Number(process.env.PORT), "127.0.0.1");
server.keepAliveTimeout = 75_000; // longer than nginx keeps its connections
