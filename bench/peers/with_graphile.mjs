// graphile-worker: no-op jobs and deliveries, with the local queue and the batching that its own benchmark uses.
import { Logger, makeWorkerUtils, run } from "graphile-worker";

import { deliver, Drain, order } from "./drained.mjs";

const CONCURRENCY = 50;
const ADDED_AT_ONCE = 5000;
const drain = new Drain();

const taskList = {
  work: async (payload) => {
    if (order.work === "deliver") await deliver(payload);
    drain.note();
  },
};

const quiet = { debug() {}, info() {}, log() {}, warn() {}, error: console.error };
const shared = { connectionString: order.database_url, logger: new Logger(() => (level, message) => quiet[level]?.(message)) };
const tools = await makeWorkerUtils(shared);
await tools.migrate();
for (let start = 0; start < order.count; start += ADDED_AT_ONCE) {
  const length = Math.min(ADDED_AT_ONCE, order.count - start);
  await tools.addJobs(Array.from({ length }, (_, index) => ({ identifier: "work", payload: { number: start + index } })));
}
await tools.release();

const runner = await run({
  ...shared,
  noHandleSignals: true,
  taskList,
  preset: { worker: { concurrentJobs: CONCURRENCY, localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
});
await drain.wait();
drain.report();
await runner.stop();
process.exit(0);
