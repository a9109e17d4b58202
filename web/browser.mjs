// The browser's own WebAssembly as an engine: one request of docs/worker-protocol.md in, its reply out, in the thread of the caller.
// It is served beside the files that it imports, which scripts/build-web brings together.
import { answered, budgets, Clock, compile, features, Host, refuse } from "./engine.mjs";
import { userAgent } from "./agent.mjs";
import { sha256 } from "./noble/sha2.js";

// String.fromCharCode takes so many arguments everywhere.
const CHUNK = 0x8000;

export const PLATFORM = {
  engine: "browser",
  fuel: "a browser does not count what code does",
  fromBase64: (text) => Uint8Array.fromBase64?.(text) ?? Uint8Array.from(atob(text), (character) => character.charCodeAt(0)),
  toBase64: (bytes) => {
    if (bytes.toBase64) return bytes.toBase64();
    let text = "";
    for (let at = 0; at < bytes.length; at += CHUNK) text += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
    return btoa(text);
  },
  sha256,
};

function info() {
  const { name, version, agent } = userAgent();
  return {
    id: "browser",
    engine: "browser",
    version,
    kind: "jit",
    build: {
      browser: name,
      "user agent": agent,
      rewritten: "maxima of memories and tables; marks before float-to-int and call_indirect; table.grow counted; looks at the clock in loops, functions and before bulk operations of modules whose calls carry a deadline",
    },
    capabilities: {
      features: features(PLATFORM),
      budgets: ["none", "epoch"],
      interruption: "looks at the clock, written into the module",
      memory_limit: true,
      table_limit: true,
      stack_limit: false,
    },
  };
}

// The engine. `hears` is told the text of each module that is loaded (`loading(base64)`, which answers its name), and when code of a named module
// begins and ceases to run (`running(name)`, null for none): what never comes back can be named then.
export class Browser {
  constructor(hears) { Object.assign(this, { hears, modules: new Map(), next: 1 }); }

  // A line of the protocol.
  reply(line) {
    const request = JSON.parse(line);
    return JSON.stringify({ id: request.id, ...answered(() => this.handle(request)) });
  }

  module(request) {
    return this.modules.get(request.module) ?? refuse("adapter", { message: `no module ${request.module} is loaded` });
  }

  handle(request) {
    switch (request.op) {
      case "hello":
        this.modules.clear();
        return { hello: { protocol: 1, info: info(), operations: ["global"] } };
      case "load": {
        const { metering } = request.options;
        const name = this.hears.loading(request.wasm);
        const compiled = this.named(name, () => compile(request, PLATFORM, metering === "epoch"));
        const clock = new Clock();
        this.modules.set(this.next, { host: new Host(compiled, PLATFORM, clock), metering, clock, name });
        return { loaded: { module: this.next++ } };
      }
      case "run": case "global": {
        const { host, metering, clock, name } = this.module(request);
        const { instance, calls } = budgets(request, metering, PLATFORM);
        return this.named(name, () =>
          host.handle(request, (index) => clock.start(index < 0 ? instance : calls[index]), () => clock.stop()));
      }
      case "drop":
        this.module(request);
        this.modules.delete(request.module);
        return { dropped: {} };
      default: return refuse("unsupported", { reason: `there is no operation ${request.op}` });
    }
  }

  named(name, work) {
    this.hears.running(name);
    try {
      return work();
    } finally {
      this.hears.running(null);
    }
  }
}
