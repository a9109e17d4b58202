// The web worker: runs command lines of assay, which is WebAssembly for WASI, one after the other, over files in memory. Whatever does not
// come back in here ends with the worker, and the page with its buttons goes on.
//
// It is sent { commands, files, modules }: command lines; pairs of path and bytes; and of the modules of the pack pairs of name and bytes. It sends
// { progress: { done, all, what } }, { running } (the module that the browser's engine is about to run; null when it came back),
// { message } (a line of stderr), { ended: { command, code, stdout } } for each command, and at last { files } of the results, or { failed }.
// A command that does not exit with 0 is the last.
import { ConsoleStdout, OpenFile, File, WASI } from "./wasi/index.js";
import { Browser, PLATFORM } from "./browser.mjs";
import { filesBelow, root } from "./folder.mjs";

// A reply that says that nobody is there.
const GONE = 0;

const text = new TextDecoder();
const utf8 = new TextEncoder();

function exchange(engine) {
  let memory = null, kept = null;
  return {
    exchange(at, length) {
      kept = utf8.encode(engine.reply(text.decode(new Uint8Array(memory.buffer, at, length))));
      return kept.length;
    },
    reply(at) { new Uint8Array(memory.buffer, at, kept.length).set(kept); },
    use(instance) { memory = instance.exports.memory; },
  };
}

// One command line: its exit code and what it printed.
async function run(module, command, opened, engine) {
  const printed = [];
  const stderr = ConsoleStdout.lineBuffered((line) => {
    const progress = /^progress (\d+)\/(\d+) (.*)$/.exec(line);
    if (progress) postMessage({ progress: { done: Number(progress[1]), all: Number(progress[2]), what: progress[3] } });
    else postMessage({ message: line });
  });
  const stdout = new ConsoleStdout((bytes) => printed.push(bytes));
  const wasi = new WASI(["assay", ...command], ["ASSAY_PROGRESS=lines"], [new OpenFile(new File([])), stdout, stderr, opened], { debug: false });
  const peer = exchange(engine);
  const instance = await WebAssembly.instantiate(module, {
    wasi_snapshot_preview1: wasi.wasiImport,
    assay: { exchange: peer.exchange, reply: peer.reply },
  });
  peer.use(instance);
  const code = wasi.start(instance);
  return { command, code, stdout: await new Blob(printed).text() };
}

self.addEventListener("message", async ({ data: { commands, files, modules } }) => {
  try {
    const response = await fetch("assay.wasm");
    if (!response.ok) throw new Error(`assay.wasm is not served: ${response.status}`);
    const assay = await WebAssembly.compile(await response.arrayBuffer());
    const names = new Map(modules.map(([name, bytes]) => [PLATFORM.toBase64(bytes), name]));
    const engine = new Browser({
      loading: (base64) => names.get(base64) ?? "a test module of assay",
      running: (running) => postMessage({ running }),
    });
    const opened = root(files);
    for (const command of commands) {
      const ended = await run(assay, command, opened, engine);
      postMessage({ ended });
      if (ended.code !== 0) break;
    }
    postMessage({ files: filesBelow(opened, "results") });
  } catch (error) {
    postMessage({ failed: String(error?.stack ?? error) });
  }
});
