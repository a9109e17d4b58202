// The worker protocol (docs/worker-protocol.md) over the WebAssembly of a JavaScript host: what Node's adapter and the page (web/) share.
//
// A platform is { engine, fuel, fromBase64, toBase64, sha256 }: the engine's name, why it has no fuel, bytes from and to text, a hash.
import { functionMismatch, globalMismatch, MARK_NAN, MARK_NULL, parse, rewrite } from "./binary.mjs";

const PAGE = 65536;
const TICK_MS = 10;

// A protocol error, as it is sent.
export class Refusal extends Error {
  constructor(error) { super(JSON.stringify(error)); this.error = error; }
}
export const refuse = (kind, keys) => { throw new Refusal({ kind, ...keys }); };
export const trap = (stage, name) => ({ kind: "trap", stage, trap: name });

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
  // Newer versions tell these apart by themselves.
  "null function": "NullFunction",
  "function signature mismatch": "IndirectCallTypeMismatch",
}));
// Newer versions say which segment, and where.
const DATA_SEGMENT = /^data segment \d+ is out of bounds \(.*\)$/;
const AT_INSTANTIATE = "WebAssembly.Instance(): ";

function stopped(error, stage, mark, engine) {
  if (error === LATE) return trap(stage, "EpochDeadline");
  if (error instanceof RangeError && error.message === "Maximum call stack size exceeded") return trap(stage, "StackOverflow");
  if (error instanceof RangeError && stage === "instantiate") return trap(stage, "ResourceLimit"); // V8 finds no memory
  if (error instanceof WebAssembly.LinkError) return { kind: "rejected", stage, message: error.message };
  if (error instanceof WebAssembly.RuntimeError) {
    if (mark === MARK_NAN && error.message === "float unrepresentable in integer range") return trap(stage, "InvalidConversionToInteger");
    if (mark === MARK_NULL && error.message === "null function or function signature mismatch") return trap(stage, "NullFunction");
    const words = error.message.startsWith(AT_INSTANTIATE) ? error.message.slice(AT_INSTANTIATE.length) : error.message;
    const known = DATA_SEGMENT.test(words) ? "MemoryAccessViolation" : TRAPS.get(words);
    if (known) return trap(stage, known);
  }
  return trap(stage, { EngineOther: { engine, text: String(error?.message ?? error) } });
}

// What a clock throws through wasm code, which cannot catch it: exceptions are of no feature that packs may use.
const LATE = new Error("the deadline is over");
// Loops and calls between two looks at the clock.
const UNWATCHED = 1000;
// (module (import "" "" (func)) (export "" (func 0))): a table takes no function that is not WebAssembly's.
const WRAPPER = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 2, 5, 1, 0, 0, 0, 0, 7, 4, 1, 0, 0, 0);

// Ends calls at their deadline where nothing outside can: modules that are compiled `clocked` look at it.
export class Clock {
  constructor() { Object.assign(this, { deadline: Infinity, count: null }); }

  watch(instance, names) {
    if (names.clock === null) return;
    this.count = instance.exports[names.count];
    const look = () => {
      if (performance.now() >= this.deadline) throw LATE;
      this.count.value = UNWATCHED;
    };
    const wrapper = new WebAssembly.Instance(new WebAssembly.Module(WRAPPER), { "": { "": look } });
    instance.exports[names.clock].set(0, wrapper.exports[""]);
  }

  // Until `stop`, for so many ticks; null is for ever.
  start(ticks) {
    this.deadline = ticks === null ? Infinity : performance.now() + ticks * TICK_MS;
    if (this.count !== null) this.count.value = 1;
  }

  stop() { this.deadline = Infinity; }
}

// An instance of a module, where it lives: in a thread that cannot be ended alone, or in one that can.
export class Host {
  constructor({ module, facts, names }, platform, clock = null) {
    Object.assign(this, { module, facts, names, platform, clock, instance: null });
  }

  fresh() {
    this.instance = null;
    let made = null;
    try {
      made = new WebAssembly.Instance(this.module, {});
      this.clock?.watch(made, this.names);
      if (this.names.start !== null) made.exports[this.names.start]();
    } catch (error) {
      throw new Refusal(stopped(error, "instantiate", this.mark(made), this.platform.engine));
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
    if (this.instance === null) refuse("adapter", { message: "the module has no instance to use again" });
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
        const bytes = this.platform.fromBase64(write.bytes);
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
        ended.push({ failed: stopped(error, "call", mark, this.platform.engine) });
        return { calls: ended, reads: [], pages: 0 };
      }
    }
    const fetched = reads.map(({ at, length, form }) => {
      const bytes = this.bytes(at, length);
      return this.platform.toBase64(form === "sha256" ? this.platform.sha256(bytes) : bytes);
    });
    const counted = pages > 0 || reads.length > 0;
    return { calls: ended, reads: fetched, pages: counted ? this.memory().buffer.byteLength / PAGE : 0 };
  }

  // An exported function of the instance, found before a clock starts.
  entry(name) {
    if (this.instance === null) refuse("adapter", { message: "the module has no instance to use again" });
    return this.instance.exports[name];
  }

  // After a trap in `work` the instance is gone.
  trapping(work) {
    try {
      return work();
    } catch (error) {
      if (error instanceof Refusal) throw error;
      const mark = this.mark(this.instance);
      this.instance = null;
      throw new Refusal(stopped(error, "call", mark, this.platform.engine));
    }
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

export const answered = (work) => {
  try {
    return work();
  } catch (error) {
    if (error instanceof Refusal) return { error: error.error };
    return { error: { kind: "adapter", message: String(error?.stack ?? error) } };
  }
};

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

function probe(text, { fromBase64 }) {
  const bytes = fromBase64(text);
  if (!WebAssembly.validate(bytes)) return false;
  return new WebAssembly.Instance(new WebAssembly.Module(bytes), {}).exports.probe() === 1;
}

export const features = (platform) => Object.keys(PROBES).filter((name) => probe(PROBES[name], platform));

// A module of a load request, written anew, for a host; `clocked` for calls that a clock ends.
export function compile({ wasm, options: { limits, metering } }, platform, clocked) {
  if (metering === "fuel") refuse("unsupported", { reason: platform.fuel });
  const bytes = platform.fromBase64(wasm);
  const rejected = (message) => refuse("rejected", { stage: "compile", message });
  let facts, written;
  try {
    // The engine judges the module as it is, before anything is changed.
    new WebAssembly.Module(bytes);
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
    written = rewrite(bytes, facts, limits.max_memory_pages, limits.max_table_elements, clocked);
  } catch (error) {
    rejected(error.message);
  }
  // A failure here is the rewriting's.
  return { module: new WebAssembly.Module(written.bytes), facts, names: written.names };
}

// The budgets of a run request in ticks, null for none; of a module that was loaded for `metering`.
export function budgets(request, metering, platform) {
  const ticks = (budget) => {
    if (budget === "none") return null;
    if (budget.fuel !== undefined) refuse("unsupported", { reason: platform.fuel });
    if (metering !== "epoch") refuse("unsupported", { reason: "the module was loaded for calls without a budget" });
    return budget.epoch;
  };
  if (request.op !== "run") return { instance: null, calls: [] };
  return { instance: ticks(request.budget), calls: request.calls.map(({ budget }) => ticks(budget)) };
}
