#!/usr/bin/env node
// Node's V8 as an engine: docs/worker-protocol.md over stdin and stdout. See README.md beside this file.
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import v8 from "node:v8";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { functionMismatch, globalMismatch, MARK_NAN, MARK_NULL, parse, rewrite } from "./binary.mjs";

const PAGE = 65536;
const TICK_MS = 10;
const MAX_LINE_BYTES = 64 * 1024 * 1024;
const MAX_TIMER_MS = 2 ** 31 - 1;
const FUEL = "V8 does not count what code does";

// A protocol error, as it is sent.
class Refusal extends Error {
  constructor(error) { super(JSON.stringify(error)); this.error = error; }
}
const refuse = (kind, keys) => { throw new Refusal({ kind, ...keys }); };
const trap = (stage, name) => ({ kind: "trap", stage, trap: name });

// V8's messages, whole: it has no other value to tell traps by.
const TRAPS = new Map(Object.entries({
  "unreachable": "Unreachable",
  "memory access out of bounds": "MemoryAccessViolation",
  "divide by zero": "IntegerDivideByZero",
  "remainder by zero": "IntegerDivideByZero",
  "divide result unrepresentable": "IntegerOverflow",
  "float unrepresentable in integer range": "IntegerOverflow",
  "table index is out of bounds": "TableAccessViolation",
  "table access out of bounds": "TableAccessViolation",
  "table out of bounds": "TableAccessViolation",
  "element segment out of bounds": "TableAccessViolation",
  "data segment out of bounds": "MemoryAccessViolation",
  "data segment is out of bounds": "MemoryAccessViolation",
  "null function or function signature mismatch": "IndirectCallTypeMismatch",
}));
const AT_INSTANTIATE = "WebAssembly.Instance(): ";

function stopped(error, stage, mark) {
  if (error instanceof RangeError && error.message === "Maximum call stack size exceeded") return trap(stage, "StackOverflow");
  if (error instanceof RangeError && stage === "instantiate") return trap(stage, "ResourceLimit"); // V8 finds no memory
  if (error instanceof WebAssembly.LinkError) return { kind: "rejected", stage, message: error.message };
  if (error instanceof WebAssembly.RuntimeError) {
    if (mark === MARK_NAN && error.message === "float unrepresentable in integer range") return trap(stage, "InvalidConversionToInteger");
    if (mark === MARK_NULL && error.message === "null function or function signature mismatch") return trap(stage, "NullFunction");
    const words = error.message.startsWith(AT_INSTANTIATE) ? error.message.slice(AT_INSTANTIATE.length) : error.message;
    const known = TRAPS.get(words);
    if (known) return trap(stage, known);
  }
  return trap(stage, { EngineOther: { engine: "node", text: String(error?.message ?? error) } });
}

// An instance of a module, where it lives: in the main thread, or in one that can be ended.
class Host {
  constructor(module, facts, names) {
    Object.assign(this, { module, facts, names, instance: null });
  }

  fresh() {
    this.instance = null;
    let made = null;
    try {
      made = new WebAssembly.Instance(this.module, {});
      if (this.names.start !== null) made.exports[this.names.start]();
    } catch (error) {
      throw new Refusal(stopped(error, "instantiate", this.mark(made)));
    }
    this.instance = made;
  }

  mark(instance) { return instance === null || this.names.mark === null ? 0 : instance.exports[this.names.mark].value; }

  memory() {
    const found = this.facts.exports.get("memory");
    if (found?.kind !== 2) refuse("export", { name: "memory", message: "there is no memory of this name" });
    return this.instance.exports.memory;
  }

  bytes(at, length) {
    const buffer = this.memory().buffer;
    if (at + length > buffer.byteLength) refuse("access", { at, length, memory_bytes: buffer.byteLength });
    return new Uint8Array(buffer, at, length);
  }

  // `during(index, ended)` and `after()` enclose every call.
  execute({ pages = 0, writes = [], calls, reads = [] }, during, after) {
    if (this.instance === null) refuse("adapter", { message: "the module has no instance to use again" });
    if (pages > 0) {
      const memory = this.memory();
      const present = memory.buffer.byteLength / PAGE;
      if (present < pages) {
        try {
          memory.grow(pages - present);
        } catch (error) {
          if (error instanceof RangeError || error instanceof TypeError) throw new Refusal(trap("call", "ResourceLimit"));
          throw error;
        }
      }
    }
    for (const write of writes) {
      if (write.bytes !== undefined) {
        const bytes = Buffer.from(write.bytes, "base64");
        this.bytes(write.at, bytes.length).set(bytes);
      } else {
        this.bytes(write.at, write.length).fill(write.fill);
      }
    }
    for (const call of calls) {
      const mismatch = functionMismatch(this.facts, call.export, call.arguments.length);
      if (mismatch) refuse("export", { name: call.export, message: mismatch });
    }
    const ended = [];
    for (const [index, call] of calls.entries()) {
      try {
        during(index, ended);
        const value = this.instance.exports[call.export](...call.arguments.map((bits) => bits | 0));
        after();
        ended.push({ returned: value });
      } catch (error) {
        after();
        const mark = this.mark(this.instance);
        this.instance = null;
        ended.push({ failed: stopped(error, "call", mark) });
        return { calls: ended, reads: [], pages: 0 };
      }
    }
    const fetched = reads.map(({ at, length, form }) => {
      const bytes = this.bytes(at, length);
      return form === "sha256" ? createHash("sha256").update(bytes).digest("base64") : Buffer.from(bytes).toString("base64");
    });
    const counted = pages > 0 || reads.length > 0;
    return { calls: ended, reads: fetched, pages: counted ? this.memory().buffer.byteLength / PAGE : 0 };
  }

  global(name) {
    if (this.instance === null) refuse("adapter", { message: "the module has no instance" });
    const mismatch = globalMismatch(this.facts, name);
    if (mismatch) refuse("export", { name, message: mismatch });
    return this.instance.exports[name].value;
  }

  // One request, in the words of the protocol.
  handle(request, during = () => {}, after = () => {}) {
    if (request.op === "global") return { global: { value: this.global(request.export) } };
    if (request.instance === "fresh") {
      during(-1, []);
      try { this.fresh(); } finally { after(); }
    }
    return { ran: this.execute(request, during, after) };
  }
}

const answered = (work) => {
  try {
    return work();
  } catch (error) {
    if (error instanceof Refusal) return { error: error.error };
    return { error: { kind: "adapter", message: String(error?.stack ?? error) } };
  }
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
  const host = new Host(workerData.module, workerData.facts, workerData.names);
  parentPort.on("message", (request) => {
    const answer = answered(() => host.handle(request,
      (index, ended) => parentPort.postMessage({ during: index, ended }), () => parentPort.postMessage({})));
    parentPort.postMessage({ answer });
  });
}

// One module per feature: V8 takes more than packs may use, and says nothing of what it takes.
const PROBES = {
  "mutable-globals": "AGFzbQEAAAABBQFgAAF/AwIBAAYGAX8BQQALBxMCB2NvdW50ZXIDAAVwcm9iZQAACgoBCABBASQAIwAL",
  "sign-extension": "AGFzbQEAAAABBQFgAAF/AwIBAAcJAQVwcm9iZQAACgwBCgBBgAHAQYB/Rgs=",
  "saturating-float-to-int": "AGFzbQEAAAABBQFgAAF/AwIBAAcJAQVwcm9iZQAAChIBEABD+QIVUPwAQf////8HRgs=",
  "multi-value": "AGFzbQEAAAABCgJgAAJ/f2AAAX8DAwIAAQcJAQVwcm9iZQABCg4CBgBBA0ECCwUAEABrCw==",
  "bulk-memory": "AGFzbQEAAAABBQFgAAF/AwIBAAUDAQABBwkBBXByb2JlAAAMAQEKJgEkAEEAQQBBAfwIAABBBEEAQQH8CgAAQQBBAEEB/AsAQQQoAgALCwQBAQEB",
  "reference-types": "AGFzbQEAAAABBQFgAAF/AwIBAAQHAnAAAW8AAQcJAQVwcm9iZQAAChEBDwDQb0EB/A8BGkEBJQHRCw==",
  "simd": "AGFzbQEAAAABBQFgAAF/AwIBAAcJAQVwcm9iZQAACiUBIwD9DAAAgD8AAABAAABAQAAAgEBDAACAQP0T/UH9GwNBf0YL",
};

function probe(bytes) {
  if (!WebAssembly.validate(bytes)) return false;
  return new WebAssembly.Instance(new WebAssembly.Module(bytes), {}).exports.probe() === 1;
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
      features: Object.entries(PROBES).filter(([, text]) => probe(Buffer.from(text, "base64"))).map(([name]) => name),
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

function load({ wasm, options: { limits, metering } }) {
  if (metering === "fuel") refuse("unsupported", { reason: FUEL });
  const bytes = Buffer.from(wasm, "base64");
  const rejected = (message) => refuse("rejected", { stage: "compile", message });
  let facts, written, module;
  try {
    // V8 judges the module as it is, before anything is changed.
    module = new WebAssembly.Module(bytes);
    facts = parse(bytes);
  } catch (error) {
    rejected(error.message);
  }
  if (facts.imports > 0) rejected("the host offers nothing to import");
  const elements = facts.tables.reduce((sum, table) => sum + table.minimum, 0);
  if (elements > limits.max_table_elements || facts.memories.some(({ minimum }) => minimum > limits.max_memory_pages)) {
    throw new Refusal(trap("compile", "ResourceLimit"));
  }
  try {
    written = rewrite(bytes, facts, limits.max_memory_pages, limits.max_table_elements);
  } catch (error) {
    rejected(error.message);
  }
  // A failure here is the rewriting's.
  module = new WebAssembly.Module(written.bytes);
  const host = new Host(module, facts, written.names);
  modules.set(nextModule, { host, metering, thread: metering === "epoch" ? new Thread(host) : null });
  return { loaded: { module: nextModule++ } };
}

// Ticks of a budget, null for none.
function ticks(budget, metering) {
  if (budget === "none") return null;
  if (budget.fuel !== undefined) refuse("unsupported", { reason: FUEL });
  if (metering !== "epoch") refuse("unsupported", { reason: "the module was loaded for calls without a budget" });
  return budget.epoch;
}

async function handle(request) {
  switch (request.op) {
    case "hello": return { hello: { protocol: 1, info: info(), operations: ["global"] } };
    case "load": return load(request);
    case "run": case "global": {
      const loaded = modules.get(request.module) ?? refuse("adapter", { message: `no module ${request.module} is loaded` });
      const budgets = request.op === "run"
        ? { instance: ticks(request.budget, loaded.metering), calls: request.calls.map(({ budget }) => ticks(budget, loaded.metering)) }
        : { instance: null, calls: [] };
      return loaded.thread ? loaded.thread.handle(request, budgets) : loaded.host.handle(request);
    }
    case "drop": {
      const loaded = modules.get(request.module) ?? refuse("adapter", { message: `no module ${request.module} is loaded` });
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
