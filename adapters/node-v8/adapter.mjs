#!/usr/bin/env node
// Node's V8 as an engine: docs/worker-protocol.md over stdin and stdout. See README.md beside this file.
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import v8 from "node:v8";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { answered, budgets, compile, features, Host, refuse, trap } from "./engine.mjs";
import { ofModule, timeInstance, timeModule } from "./timing.mjs";

const TICK_MS = 10;
const MAX_LINE_BYTES = 64 * 1024 * 1024;
const MAX_TIMER_MS = 2 ** 31 - 1;

const PLATFORM = {
  engine: "node",
  fuel: "V8 does not count what code does",
  fromBase64: (text) => Buffer.from(text, "base64"),
  toBase64: (bytes) => Buffer.from(bytes).toString("base64"),
  sha256: (bytes) => createHash("sha256").update(bytes).digest(),
};

// V8 stops a thread's wasm code only with the thread: a module whose calls carry a deadline has one of its own.
class Thread {
  constructor(host) { Object.assign(this, { host, worker: null, current: null }); }

  start() {
    const { module, facts, names } = this.host;
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { module, facts, names } });
    const lose = (message) => {
      if (this.worker !== worker) return;
      this.worker = null;
      this.end({ error: { kind: "adapter", message } });
    };
    worker.on("message", (message) => {
      if (this.worker === worker) this.hear(message);
    });
    worker.on("error", (error) => lose(`the thread failed: ${error.message}`));
    worker.on("exit", () => lose("the thread ended"));
    this.worker = worker;
  }

  // Ends with the request, or with the thread at the deadline of the instantiation or call that it is in.
  handle(request, budgets) {
    if (this.worker === null) this.start();
    return new Promise((resolve) => {
      this.current = { resolve, budgets, timer: null };
      this.worker.postMessage(request);
    });
  }

  end(answer) {
    const current = this.current;
    if (current === null) return;
    this.current = null;
    clearTimeout(current.timer);
    current.resolve(answer);
  }

  hear({ answer, during, ended }) {
    const { budgets, timer } = this.current;
    clearTimeout(timer);
    if (answer) return this.end(answer);
    if (during === undefined) return;
    const ticks = during < 0 ? budgets.instance : budgets.calls[during];
    if (ticks === null || ticks * TICK_MS > MAX_TIMER_MS) return;
    this.current.timer = setTimeout(async () => {
      const worker = this.worker;
      this.worker = null; // What it still says comes too late.
      await worker.terminate();
      if (during < 0) this.end({ error: trap("instantiate", "EpochDeadline") });
      else this.end({ ran: { calls: [...ended, { failed: trap("call", "EpochDeadline") }], reads: [], pages: 0 } });
    }, ticks * TICK_MS);
  }

  async stop() {
    const worker = this.worker;
    this.worker = null;
    await worker?.terminate();
  }
}

function serveThread() {
  const host = new Host(workerData, PLATFORM);
  parentPort.on("message", (request) => {
    const answer = answered(() => request.op === "time" ? timeInstance(host, request) : host.handle(request,
      (index, ended) => parentPort.postMessage({ during: index, ended }), () => parentPort.postMessage({})));
    parentPort.postMessage({ answer });
  });
}

function info() {
  return {
    id: "node.v8",
    engine: "node",
    version: process.versions.node,
    kind: "jit",
    build: {
      v8: process.versions.v8,
      architecture: process.arch,
      rewritten: "maxima of memories and tables; marks before float-to-int and call_indirect; table.grow counted",
    },
    capabilities: {
      features: features(PLATFORM),
      budgets: ["none", "epoch"],
      interruption: "a thread per module, terminated at the deadline",
      memory_limit: true,
      table_limit: true,
      stack_limit: false,
    },
  };
}

const modules = new Map();
let nextModule = 1;

function load(request) {
  const { metering } = request.options;
  const host = new Host(compile(request, PLATFORM, false), PLATFORM);
  const wasm = PLATFORM.fromBase64(request.wasm);
  modules.set(nextModule, { host, metering, wasm, thread: metering === "epoch" ? new Thread(host) : null });
  return { loaded: { module: nextModule++ } };
}

function loadedAs(number) {
  return modules.get(number) ?? refuse("adapter", { message: `no module ${number} is loaded` });
}

// A module is validated where modules are loaded; all else is timed where the instance lives.
function time(request) {
  const loaded = loadedAs(request.module);
  if (ofModule(request.what)) return timeModule(request, loaded.wasm);
  if (loaded.thread) return loaded.thread.handle(request, { instance: null, calls: [] });
  return timeInstance(loaded.host, request);
}

async function handle(request) {
  switch (request.op) {
    case "hello": return { hello: { protocol: 1, info: info(), operations: ["global", "time"] } };
    case "load": return load(request);
    case "run": case "global": {
      const loaded = loadedAs(request.module);
      const ticks = budgets(request, loaded.metering, PLATFORM);
      return loaded.thread ? loaded.thread.handle(request, ticks) : loaded.host.handle(request);
    }
    case "time": return time(request);
    case "drop": {
      const loaded = loadedAs(request.module);
      modules.delete(request.module);
      await loaded.thread?.stop();
      return { dropped: {} };
    }
    default: return refuse("unsupported", { reason: `there is no operation ${request.op}` });
  }
}

async function reply(line) {
  const request = JSON.parse(line);
  let answer;
  try {
    answer = await handle(request);
  } catch (error) {
    answer = answered(() => { throw error; });
  }
  process.stdout.write(`${JSON.stringify({ id: request.id, ...answer })}\n`);
}

async function serve() {
  let parts = [], length = 0;
  for await (const chunk of process.stdin) {
    let rest = chunk;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      parts.push(rest.subarray(0, end));
      rest = rest.subarray(end + 1);
      await reply(Buffer.concat(parts).toString("utf8"));
      parts = [];
      length = 0;
    }
    parts.push(rest);
    length += rest.length;
    if (length > MAX_LINE_BYTES) throw new Error("a request is longer than the protocol allows");
  }
  process.exit(0);
}

if (isMainThread) {
  // The one proposal that packs may not use and that V8 has a switch for.
  v8.setFlagsFromString("--no-experimental-wasm-return-call");
  await serve();
} else {
  serveThread();
}
