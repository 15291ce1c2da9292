// What every Node program of a peer shares: its orders, the count of what is done, and the answer it prints.
import http from "node:http";

// {work, database_url, count, seconds, target, port}, as bench/peers/drained.py describes them.
export const order = JSON.parse(process.argv[2]);

export class Drain {
  #done = 0;
  #first = 0;
  #last = 0;
  #cpu;
  #finish;
  #finished = new Promise((resolve) => (this.#finish = resolve));

  note() {
    this.#last = performance.now();
    if (this.#done === 0) {
      this.#first = this.#last;
      this.#cpu = process.cpuUsage();
    }
    this.#done += 1;
    if (this.#done >= order.count) this.#finish();
  }

  async wait() {
    const timer = setTimeout(this.#finish, order.seconds * 1000);
    await this.#finished;
    clearTimeout(timer);
  }

  report() {
    const used = process.cpuUsage(this.#cpu);
    console.log(
      JSON.stringify({
        done: this.#done - 1,
        seconds: (this.#last - this.#first) / 1000,
        app_seconds: (used.user + used.system) / 1e6,
      }),
    );
  }
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 50 });

// Post one JSON object to the address that the order names; anything but a 2xx is an error.
export function deliver(payload) {
  const body = JSON.stringify(payload);
  return new Promise((resolve, reject) => {
    const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) };
    const request = http.request(order.target, { method: "POST", agent, headers, timeout: 10_000 }, (answer) => {
      answer.resume();
      answer.on("end", () => (answer.statusCode < 300 ? resolve() : reject(new Error(`status ${answer.statusCode}`))));
    });
    request.on("error", reject);
    request.end(body);
  });
}
