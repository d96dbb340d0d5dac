// Receives Ringback's callbacks: verifies each, records it once, answers when it is safe on the disk. Node 20 or newer.
//
// Exactly once, and where it ends: a callback comes again until it is answered with 2xx, so it may come twice. Here an
// event's ID and all that it changes are one synced line of a journal, and a crash leaves both or neither: each event
// counts once. The same holds where the ID and the work are rows of one database transaction. Work elsewhere (a mail, a
// call to another service) cannot be in that write: do it afterwards from what was recorded, mark it done, and give the
// other side the event's ID as its idempotency key, because a crash before the mark does it again. That is at least once.

// --- verify
import { createHmac, timingSafeEqual } from "node:crypto";

/** Tells whether the secret signed a callback's raw body (a Buffer), at most five minutes from now. */
function verify(secret, headers, body) {
  const { "webhook-id": id, "webhook-timestamp": at, "webhook-signature": given = "" } = headers;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  if (key.length < 24 || !/^\d+$/.test(at) || Math.abs(Date.now() / 1000 - at) > 300) return false;
  const mac = createHmac("sha256", key).update(`${id}.${at}.`).update(body);
  const want = Buffer.from("v1," + mac.digest("base64"));
  return given.split(" ").some((s) => s.length === want.length && timingSafeEqual(Buffer.from(s, "latin1"), want));
}
// --- end

import { appendFileSync, closeSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

const LONGEST_BODY = 1 << 20; // Ringback's own bound is lower: limits.event_bytes, 256 KiB by default
const {
  PORT = "3000",
  DATA = "receiver-data",
  RINGBACK_SECRET = "", // two, separated by a comma, while you rotate
  RINGBACK_SERVER = "http://127.0.0.1:8787",
  RINGBACK_API_KEY = "",
} = process.env;
const secrets = RINGBACK_SECRET.split(",");
if (!secrets.every((s) => /^whsec_[A-Za-z0-9+/]{32,}=*$/.test(s))) {
  console.error("set RINGBACK_SECRET to what GET /v1/webhooks/default/secret says; two are separated by a comma");
  process.exit(1);
}

/**
 * An append-only file, and in memory what follows from it: the events seen and each job's newest state. One process owns
 * it; where several receive, a database with a unique key on the event's ID takes its place.
 */
class Journal {
  seen = new Set();
  jobs = new Map(); // job → { sequence, type, result_url }

  /** A last line without its end was torn by a crash before anybody was told that it is safe: cut it, it comes again. */
  constructor(folder) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.file = openSync(join(folder, "journal.jsonl"), "a+", 0o600);
    const lines = readFileSync(this.file);
    let end = 0;
    for (let next; (next = lines.indexOf("\n", end)) >= 0; end = next + 1) {
      this.#apply(JSON.parse(lines.toString("utf8", end, next)));
    }
    ftruncateSync(this.file, end);
    fsyncSync(this.file); // a process that was killed may have written, and not synced
    for (const dir of [folder, dirname(folder)]) syncFolder(dir);
  }

  /**
   * Records an event, unless it is here already: then false. Synchronous on purpose: nothing runs between the look and
   * the synced write, so that of concurrent repeats one is recorded and none is answered before it is safe. An error ends
   * the program, because the file's end is then unknown; the next start reads it again.
   */
  receive({ id, job, sequence, type, result_url, body }) {
    if (this.seen.has(id)) return false;
    const late = sequence <= (this.jobs.get(job)?.sequence ?? 0); // it changes no job
    this.#write({ id, job, sequence, type, late, result_url, body });
    return true;
  }

  fetched(job, sequence, body) {
    this.#write({ job, sequence, body });
  }

  #write(entry) {
    appendFileSync(this.file, JSON.stringify(entry) + "\n");
    fsyncSync(this.file);
    this.#apply(entry);
  }

  /** The work itself: a restart does it again from the same lines, so that an event and its effect are one write. */
  #apply({ id, job, sequence, type, late, result_url }) {
    if (id) this.seen.add(id);
    if (id && !late) this.jobs.set(job, { sequence, type, result_url });
    if (!id && this.jobs.get(job)?.sequence === sequence) this.jobs.get(job).result_url = undefined; // here is the result
  }
}

function syncFolder(folder) {
  const fd = openSync(folder, "r");
  fsyncSync(fd); // a new file's name becomes as durable as its content
  closeSync(fd);
}

/** Answers 204 when the event is safe, be it new or known. All else is not 2xx, and Ringback sends it again. */
async function receive(request) {
  if (request.method !== "POST") return [405, "callbacks are POSTs"];
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length; // what is too long is read on, not kept: the sender would miss the answer
    if (size <= LONGEST_BODY) chunks.push(chunk);
  }
  if (size > LONGEST_BODY) return [413, "the body is over 1 MiB"];
  const body = Buffer.concat(chunks); // raw: the signature is over these bytes
  if (!secrets.some((s) => verify(s, request.headers, body))) return [401, "the signature does not verify"];
  let event;
  try {
    const { type, sequence = 0, data, response_omitted, result_url } = JSON.parse(body);
    event = { type, sequence, job: data.id, result_url: response_omitted ? result_url : undefined };
  } catch {
    return [400, "the body is not an event"];
  }
  const id = request.headers["webhook-id"];
  const fresh = journal.receive({ id, ...event, body: body.toString() });
  console.error(id, event.job, event.type, `new=${fresh}`);
  return [204, ""];
}

/** Fetches what was too long for a callback: after the answer, after a restart, again each second; twice does no harm. */
async function fetchResults(signal) {
  while (!signal.aborted) {
    for (const [job, { sequence, result_url: url }] of journal.jobs) {
      if (!url) continue;
      const result = await fetchResult(url, signal).catch((error) => {
        console.error(`the result of ${job} is still to be fetched: ${error.message}`);
      });
      if (result !== undefined) journal.fetched(job, sequence, result);
    }
    await wait(1000, null, { signal }).catch(() => {}); // aborted: the loop ends
  }
}

async function fetchResult(url, signal) {
  // The only one that gets the key, whatever a callback says.
  if (!url.startsWith(RINGBACK_SERVER + "/")) throw new Error(`${url} is not on RINGBACK_SERVER (${RINGBACK_SERVER})`);
  const headers = RINGBACK_API_KEY ? { Authorization: `Bearer ${RINGBACK_API_KEY}` } : {};
  const answer = await fetch(url, { headers, redirect: "error", signal: AbortSignal.any([signal, AbortSignal.timeout(30_000)]) });
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
  return answer.text();
}

const journal = new Journal(DATA);
const server = createServer({ requestTimeout: 10_000 }, async (request, response) => {
  request.on("error", () => {}); // a sender that hangs up gets no answer
  const [status, text] = await receive(request).catch((error) => {
    if (!request.errored) throw error; // ours: end here rather than go on with a doubtful journal
    return [400, ""];
  });
  response.writeHead(status, status === 405 ? { Allow: "POST" } : {}).end(text);
});
server.listen(Number(PORT), "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${server.address().port}`));

const stop = new AbortController();
const fetching = fetchResults(stop.signal);
for (const name of ["SIGTERM", "SIGINT"]) {
  process.once(name, () => {
    stop.abort();
    server.close(async () => {
      await fetching;
      closeSync(journal.file);
    });
  });
}
