// The operation `time` of the worker protocol (docs/worker-protocol.md): between two looks at the clock there is nothing but what is timed.
import { functionMismatch } from "./binary.mjs";
import { refuse } from "./engine.mjs";

// A batch lasts at least so many steps of the clock.
const STEPS = 1000;
const MAX_BATCHES = 10_000;

const nanoseconds = (milliseconds) => Math.round(milliseconds * 1e6);

// The smallest difference between two looks at the clock that differ, in milliseconds.
function clockStep() {
  let least = Infinity;
  for (let look = 0; look < 100; look++) {
    const start = performance.now();
    let end = start;
    while (end === start) end = performance.now();
    least = Math.min(least, end - start);
  }
  return least;
}

// `run(iterations)` returns milliseconds. How often, where that is not said, is found out by batches of growing size.
function batches(name, { iterations, batch_ns, batches: count }, run) {
  if (count > MAX_BATCHES) refuse("adapter", { message: `at most ${MAX_BATCHES} batches at a time` });
  const done = [];
  let warmUp = 0;
  if (iterations === 0) {
    const least = Math.max(STEPS * clockStep(), batch_ns / 1e6);
    for (iterations = 1; ;) {
      const elapsed = run(iterations);
      if (elapsed >= least) {
        done.push({ nanoseconds: nanoseconds(elapsed), iterations });
        break;
      }
      warmUp += iterations;
      // A little more than it seems to take, and at most tenfold: the first iterations are slow.
      const wanted = elapsed > 0 ? Math.floor((iterations * least * 1.1) / elapsed) : Infinity;
      iterations = Math.min(Math.max(wanted, iterations + 1), iterations * 10);
    }
  }
  while (done.length < count) done.push({ nanoseconds: nanoseconds(run(iterations)), iterations });
  return { series: [{ name, batches: done }], warm_up: warmUp, returned: 0 };
}

function repeated(work) {
  return (iterations) => {
    const start = performance.now();
    for (let done = 0; done < iterations; done++) work();
    return performance.now() - start;
  };
}

function calls(host, request) {
  const { call } = request;
  if (call.budget !== "none") refuse("unsupported", { reason: "under V8 only calls without a budget are timed" });
  const mismatch = functionMismatch(host.facts, call.export, call.arguments.length);
  if (mismatch) refuse("export", { name: call.export, message: mismatch });
  const called = host.entry(call.export);
  const [first, ...others] = call.arguments.map((bits) => bits | 0);
  let returned = 0;
  // A call with a list of arguments takes longer than one with an argument.
  const one = others.length === 0 && first !== undefined;
  const times = batches("call", request, repeated(one
    ? () => { returned |= called(first); }
    : () => { returned |= called(...call.arguments); }));
  return { ...times, returned };
}

// Of an instance, without a budget: a deadline is here a message to another thread before and after each call.
export function timeInstance(host, request) {
  switch (request.what) {
    case "call": return { timed: host.trapping(() => calls(host, request)) };
    case "read": {
      const into = new Uint8Array(host.bytes(request.at, request.length).length);
      return { timed: batches("read", request, repeated(() => into.set(host.bytes(request.at, request.length)))) };
    }
    case "write": {
      const bytes = host.bytes(request.at, request.length).slice();
      return { timed: batches("write", request, repeated(() => host.bytes(request.at, request.length).set(bytes))) };
    }
    default: return refuse("unsupported", { reason: `${request.what} is not timed under V8` });
  }
}

// Of a module, as it was loaded. Compilation is not timed: V8 finds again what it has compiled once.
export const ofModule = (what) => what === "validate";

export function timeModule(request, bytes) {
  return { timed: batches("validate", request, repeated(() => WebAssembly.validate(bytes))) };
}
