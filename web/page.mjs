// The page: takes a pack, has it qualified in a web worker, shows how far it is and what came of it.
import { userAgent } from "./agent.mjs";
import { chosen, dropped, fetchCore, readPack, Unusable } from "./pack.mjs";
import { element, render } from "./result.mjs";

const STEPS = ["verify", "conform", "numerics", "basics", "traps"];
const TITLES = {
  verify: "signature, manifest, hashes and modules",
  conform: "kernels",
  numerics: "numeric instructions",
  basics: "basics",
  traps: "traps, budgets, limits and interruptions",
};
const LOOK_MS = 500;
// Lines of stderr that are kept.
const MAX_MESSAGES = 50;

const at = (id) => document.getElementById(id);
const announce = (text) => { at("announcement").textContent = text; };
// What is being judged.
let run = null;
// Of the downloads, to be given back.
let urls = [];
// The test key, in its field.
const key = fetch("packs/trusted_keys").then(async (response) => {
  if (response.ok) at("trust").value = await response.text();
});

function refuse(text) {
  at("refused").textContent = text;
}

function number(id) {
  const input = at(id);
  if (!input.checkValidity()) {
    at("settings").open = true;
    throw new Unusable(`${input.labels[0].textContent}: a number from ${input.min} to ${input.max} is due.`);
  }
  return Number(input.value);
}

function settings() {
  const engines = [...document.querySelectorAll('input[name="engine"]:checked')].map(({ value }) => value);
  if (engines.length === 0) throw new Unusable("Choose at least one engine in the settings.");
  return { engines, cases: number("cases"), interruptions: number("interruptions"), patience: number("patience"), trust: at("trust").value };
}

// Takes what `files` promises: pairs of path and Blob.
async function begin(files) {
  if (run !== null) return refuse("A pack is being judged: stop it first.");
  refuse("");
  run = { worker: null };
  busy(true);
  try {
    const chosen = await files;
    await key;
    const { engines, cases, interruptions, patience, trust } = settings();
    const pack = await readPack(chosen);
    const path = `/${pack.path}`;
    const common = [path, "--trust", "/trusted_keys", "--json"];
    const commands = [
      ["verify", ...common],
      ["qualify", ...common, ...engines.flatMap((id) => ["--runtime", id]), "--cases", String(cases), "--interruptions", String(interruptions), "--out", "/results"],
    ];
    start(pack, commands, trust, patience);
  } catch (error) {
    run = null;
    busy(false);
    refuse(error instanceof Unusable ? error.message : `The files cannot be read: ${error.message}`);
  }
}

function busy(is) {
  at("core").disabled = is;
  document.body.classList.toggle("busy", is);
  for (const id of ["folder", "files"]) at(id).disabled = is;
}

function start(pack, commands, trust, patience) {
  const worker = new Worker("worker.mjs", { type: "module" });
  const current = {
    worker, pack, commands, patience,
    begun: performance.now(), silent: 0, looked: performance.now(), timer: null,
    progress: null, running: null, ended: [], files: [], messages: [],
  };
  run = current;
  const heard = (handle) => (event) => {
    if (run !== current) return;
    current.silent = 0;
    current.looked = performance.now();
    handle(event);
  };
  worker.addEventListener("message", heard(({ data }) => hear(current, data)));
  worker.addEventListener("error", heard((event) => {
    event.preventDefault();
    finish("failed", [`The worker failed: ${event.message ?? "its files cannot be loaded"}`]);
  }));
  // Only time in which this page was awake counts.
  current.timer = setInterval(() => {
    const now = performance.now();
    current.silent += Math.min(now - current.looked, 2 * LOOK_MS);
    current.looked = now;
    if (current.silent >= patience * 1000) giveUp(current);
  }, LOOK_MS);
  at("settings").open = false;
  at("result").hidden = true;
  at("running").hidden = false;
  show({ done: 0, all: 1, what: "verify" });
  at("stop").focus();
  worker.postMessage({ commands, files: [["trusted_keys", new TextEncoder().encode(trust)], ...pack.files], modules: pack.modules });
}

function hear(current, data) {
  if (data.progress) {
    current.progress = data.progress;
    show(data.progress);
  } else if ("running" in data) {
    current.running = data.running;
  } else if (data.message !== undefined) {
    current.messages = [...current.messages.slice(1 - MAX_MESSAGES), data.message];
  } else if (data.ended) {
    current.ended.push(data.ended);
  } else if (data.files) {
    current.files = data.files;
    conclude(current);
  } else if (data.failed !== undefined) {
    finish("failed", [`assay itself failed: ${data.failed}`]);
  }
}

function show({ done, all, what }) {
  const step = STEPS.indexOf(what);
  const where = step < 0 ? what : `Step ${step + 1} of ${STEPS.length}: ${TITLES[what]}`;
  const bar = at("bar");
  bar.max = Math.max(all, 1);
  if (what === "verify") bar.removeAttribute("value");
  else bar.value = done;
  at("step").textContent = what === "verify" ? `${where} …` : `${where}, ${done} of ${all}`;
  // Said aloud once a step, not once a case.
  if (show.said !== where) announce(where);
  show.said = where;
}

// Where a run was when it ended early.
function place({ progress }) {
  return progress === null ? "before its first case" : `at ${progress.done} of ${progress.all} (${TITLES[progress.what] ?? progress.what})`;
}

function giveUp(current) {
  const what = current.running === null
    ? `Nothing was heard for ${current.patience} s`
    : `${current.running} on browser did not stop within ${current.patience} s`;
  finish("not qualified", [`${what}: it was ended, ${place(current)}`]);
}

const parsed = (ended) => {
  try {
    return JSON.parse(ended.stdout);
  } catch {
    return null;
  }
};

// What the commands came to, by the exit code and the document, which have to agree.
function conclude(current) {
  const last = current.ended.at(-1);
  const document = parsed(last);
  const verdict = document?.verdict;
  if (last.code === 3 && verdict === "rejected") return finish("rejected", []);
  if (last.command[0] === "qualify" && last.code === 0 && verdict === "qualified") return finish("qualified", []);
  if (last.command[0] === "qualify" && last.code === 1 && verdict === "not-qualified") {
    const reasons = document.engines.flatMap(({ id, verdict, reasons }) => verdict === "qualified" ? [] : reasons.map((reason) => `${id}: ${reason}`));
    return finish("not qualified", reasons.length > 0 ? reasons : document.conform.reasons);
  }
  const why = document?.error ?? `it printed ${last.stdout.slice(0, 200)}`;
  finish("failed", [`assay ${last.command[0]} ended with exit code ${last.code}: ${why}`]);
}

function finish(verdict, reasons) {
  const current = run;
  run = null;
  clearInterval(current.timer);
  current.worker.terminate();
  busy(false);
  const document = (command) => {
    const ended = current.ended.find((one) => one.command[0] === command);
    return ended ? parsed(ended) : null;
  };
  const outcome = {
    verdict,
    reasons,
    browser: userAgent(),
    seconds: (performance.now() - current.begun) / 1000,
    pack: current.pack.name,
    commands: current.ended.map(({ command, code }) => ({ command: ["assay", ...command], exit: code })),
    documents: { verify: document("verify"), qualify: document("qualify") },
    messages: current.messages,
  };
  at("running").hidden = true;
  at("result").hidden = false;
  at("result-body").replaceChildren(...render(outcome), downloads(outcome, current.files));
  announce(`Result: ${verdict}`);
  show.said = null;
  at("result-title").focus();
}

const TYPES = { html: "text/html", json: "application/json", jsonl: "application/jsonl", md: "text/markdown", svg: "image/svg+xml", xml: "application/xml" };

function link(name, bytes, id = null) {
  const url = URL.createObjectURL(new Blob([bytes], { type: TYPES[name.split(".").at(-1)] ?? "application/octet-stream" }));
  urls.push(url);
  return element("a", { href: url, download: name.replaceAll("/", "-"), id }, name);
}

function downloads(outcome, files) {
  urls.forEach((url) => URL.revokeObjectURL(url));
  urls = [];
  const all = link("results.json", JSON.stringify(outcome, null, 2), "results");
  const rest = [...files].sort(([a], [b]) => a < b ? -1 : 1).map(([name, bytes]) => element("li", {}, link(name, bytes)));
  return element("section", { "aria-labelledby": "downloads" },
    element("h3", { id: "downloads" }, "Downloads"),
    element("p", {}, all, ": the verdict, and what assay verify and assay qualify printed"),
    rest.length === 0 ? null : element("details", {}, element("summary", {}, `The evidence folder: ${rest.length} files`), element("ul", {}, rest)));
}

function stop() {
  if (run?.worker) finish("no verdict", [`Stopped by you, ${place(run)}`]);
}

const drop = at("drop");
const over = (is) => drop.classList.toggle("over", is);
// Anywhere on the page: a file that misses the field must not replace the page.
document.addEventListener("dragover", (event) => { event.preventDefault(); over(true); });
document.addEventListener("dragleave", (event) => { if (event.relatedTarget === null) over(false); });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  over(false);
  begin(dropped(event.dataTransfer.items));
});
at("core").addEventListener("click", () => begin(fetchCore()));
at("stop").addEventListener("click", stop);
for (const id of ["folder", "files"]) {
  at(id).addEventListener("change", ({ target }) => {
    const files = chosen(target);
    // So that the same choice can be made again.
    target.value = "";
    if (files.length > 0) begin(files);
  });
}
