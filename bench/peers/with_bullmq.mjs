// BullMQ on a Redis that syncs every write to disk: jobs added from Express, no-op jobs, and deliveries.
import { Queue, Worker } from "bullmq";
import express from "express";

import { deliver, Drain, order } from "./drained.mjs";

const CONCURRENCY = 50;
const ADDED_AT_ONCE = 1000;
const connection = { url: order.database_url, maxRetriesPerRequest: null };
const queue = new Queue("work", { connection, defaultJobOptions: { removeOnComplete: true } });

async function serve() {
  const app = express();
  app.disable("x-powered-by").disable("etag");
  app.use(express.json({ limit: "1mb" }));
  app.post("/", async (request, response) => {
    const body = request.body;
    if (Array.isArray(body)) await queue.addBulk(body.map((data) => ({ name: "signal", data })));
    else await queue.add("signal", body);
    response.status(202).end();
  });
  app.listen(order.port, "127.0.0.1");
}

async function work() {
  for (let start = 0; start < order.count; start += ADDED_AT_ONCE) {
    const length = Math.min(ADDED_AT_ONCE, order.count - start);
    await queue.addBulk(Array.from({ length }, (_, index) => ({ name: "work", data: { number: start + index } })));
  }
  const drain = new Drain();
  const handle = async (job) => {
    if (order.work === "deliver") await deliver(job.data);
    drain.note();
  };
  const worker = new Worker("work", handle, { connection, concurrency: CONCURRENCY });
  worker.on("error", (error) => console.error(error.message));
  await drain.wait();
  drain.report();
  await worker.close(true);
  process.exit(0);
}

await (order.work === "serve" ? serve() : work());
