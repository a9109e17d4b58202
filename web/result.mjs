// A result as the page shows it. What is in it comes from packs and engines: it is put in as text, never as markup.

// An element with attributes and children; strings become text.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(key, value);
  made.append(...children.flat(Infinity).filter((child) => child !== null));
  return made;
}

const MAX_SHOWN = 8;
const TONES = { qualified: "good", accepted: "good", "not qualified": "bad", rejected: "bad", failed: "bad" };
export const tone = (word) => TONES[word] ?? "limited";
const words = (verdict) => verdict.replaceAll("-", " ");

function table(caption, headers, rows) {
  return element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `Table: ${caption}` },
    element("table", {}, element("caption", {}, element("span", {}, caption)),
      element("thead", {}, element("tr", {}, headers.map((header) => element("th", { scope: "col" }, header)))),
      element("tbody", {}, rows)));
}

const list = (items) => element("ul", {}, items.map((item) => element("li", {}, item)));

// At most so many of the items, and how many more there are.
const some = (items, where) => items.length <= MAX_SHOWN ? items
  : [...items.slice(0, MAX_SHOWN), `… and ${items.length - MAX_SHOWN} more in ${where}`];

// Kernels down, engines across: what harness/src/matrix.rs makes of the same sums. Cells are { text, tone }.
export function matrix(results, runtimes) {
  const rows = new Map();
  for (const entry of results) {
    if (entry.case !== null) continue;
    const name = entry.variant === "base" ? entry.kernel : `${entry.kernel}+${entry.variant}`;
    if (!rows.has(name)) rows.set(name, new Map());
    if (!runtimes.includes(entry.runtime)) continue;
    const sums = rows.get(name);
    if (!sums.has(entry.runtime)) sums.set(entry.runtime, { passed: 0, bad: new Set() });
    const sum = sums.get(entry.runtime);
    sum.passed += entry.passed;
    if (entry.outcome === "fail" || entry.outcome === "error") sum.bad.add(entry.layer);
  }
  const cell = (sum) => {
    if (sum === undefined) return { text: "-", tone: "" };
    if (sum.bad.size > 0) return { text: `FAIL ${[...sum.bad].sort().join(" ")}`, tone: "bad" };
    if (sum.passed === 0) return { text: "unsupported", tone: "limited" };
    return { text: `ok ${sum.passed}`, tone: "good" };
  };
  return [...rows].map(([kernel, sums]) => ({ kernel, cells: runtimes.map((id) => cell(sums.get(id))) }));
}

function matrixTable(conform, runtimes) {
  const rows = matrix(conform.results, runtimes).map(({ kernel, cells }) => element("tr", {},
    element("th", { scope: "row" }, kernel), cells.map((cell) => element("td", { class: cell.tone }, cell.text))));
  return table(`ok N: N checks hold (a check is a layer of a case). L1 status, L2 agreement, L3 same source, L4 truth, L5 external, L6 frame.`,
    ["kernel", ...runtimes], rows);
}

// An engine's part of the verdict in a row: what was judged, and how it went.
function engineRow(qualify, engine) {
  const own = (items) => items.find(({ runtime }) => runtime === engine.id);
  const numerics = own(qualify.numerics), traps = own(qualify.trap_summaries);
  const basics = qualify.basics.filter(({ runtime }) => runtime === engine.id);
  const version = qualify.conform.engines.find(({ id }) => id === engine.id)?.version;
  const total = (counts) => Object.values(counts).reduce((sum, count) => sum + count, 0);
  const verdict = words(engine.verdict);
  return element("tr", {},
    element("th", { scope: "row" }, engine.id),
    element("td", { class: tone(verdict) }, verdict),
    element("td", {}, version ?? "-"),
    element("td", {}, basics.length === 0 ? "-" : `${basics.filter(({ outcome }) => outcome === "pass").length} of ${basics.length} hold`),
    element("td", {}, numerics ? `${numerics.held} of ${numerics.operations} hold` : "-"),
    element("td", {}, traps ? `${traps.counts.pass} of ${total(traps.counts)} hold, ${traps.counts.fail + traps.counts.error} fail, ${traps.counts.unsupported} unsupported` : "-"));
}

// What an engine is limited in, and cannot, each with its reason; what it fails stands at the top.
function engineNotes(qualify, engine) {
  const own = (items) => items.find(({ runtime }) => runtime === engine.id);
  const notes = [
    ["Limitations", engine.limitations],
    ["Unsupported", [...(own(qualify.trap_summaries)?.unsupported ?? []), ...(own(qualify.numerics)?.because ?? [])]],
  ].filter(([, items]) => items.length > 0);
  if (notes.length === 0) return null;
  return [element("h3", {}, engine.id), notes.map(([title, items]) => [element("p", {}, `${title}:`), list(some(items, "the results"))])].flat(2);
}

function latencyTable(qualify) {
  const rows = qualify.trap_summaries.flatMap(({ runtime, latency }) => latency.map((one) => element("tr", {},
    element("th", { scope: "row" }, runtime), element("td", {}, one.code),
    element("td", { class: one.outcome === "fail" || one.outcome === "error" ? "bad" : null }, `${one.interruptions} of ${one.interruptions + one.killed}`),
    element("td", {}, one.max_ms === null ? one.detail.split(":")[0] : `at most ${one.max_ms.toFixed(1)} ms`))));
  return rows.length === 0 ? null : table("Endless code that the engine stopped at its deadline", ["engine", "code", "stopped", "how late"], rows);
}

function failures(conform) {
  const failing = conform.results.filter((entry) => entry.case !== null && (entry.outcome === "fail" || entry.outcome === "error"));
  if (failing.length === 0) return null;
  const rows = failing.slice(0, MAX_SHOWN).map((entry) => element("tr", {},
    element("th", { scope: "row" }, entry.kernel), element("td", {}, entry.runtime), element("td", {}, entry.layer), element("td", {}, entry.case), element("td", {}, entry.detail)));
  const more = failing.length > MAX_SHOWN ? `, the first ${MAX_SHOWN} of ${failing.length}` : "";
  return table(`Failing cases${more}`, ["kernel", "engine", "layer", "case", "what differs"], rows);
}

const facts = (pairs) => element("dl", {}, pairs.filter(([, value]) => value).map(([term, value]) => [element("dt", {}, term), element("dd", {}, value)]));

// The whole result. `outcome` is what page.mjs makes of a run: the word, why, and the documents of the commands.
export function render(outcome) {
  const { verdict, reasons, documents: { verify, qualify }, browser, seconds, pack, messages } = outcome;
  const parts = [element("p", {}, element("strong", { class: `verdict ${tone(verdict)}`, id: "verdict" }, verdict))];
  if (qualify?.engines) {
    const able = qualify.engines.filter((engine) => engine.verdict === "qualified").map(({ id }) => id);
    const caveats = [];
    if (qualify.interruptions === 0) caveats.push("nobody knows how late engines stop");
    if (qualify.engines.length < 2) caveats.push("no two engines were compared");
    if (caveats.length > 0) parts.push(element("p", { class: "limited" }, `Though ${caveats.join(", and ")}.`));
    parts.push(element("p", {}, able.length > 0 ? `Qualified for this pack: ${able.join(", ")}.` : "No engine is qualified for this pack."));
  }
  if (verify?.verdict === "rejected") {
    parts.push(facts([["Code", element("code", { id: "code" }, verify.code)], ["Why", verify.message], ["Kernel", verify.kernel], ["File", verify.file], ["Fingerprint of the key", verify.signer?.fingerprint]]));
    parts.push(element("p", {}, "Nothing of it was run."));
  }
  if (reasons.length > 0) parts.push(element("div", { id: "reasons" }, list(some(reasons, "the results"))));
  if (messages.length > 0) {
    parts.push(element("details", {}, element("summary", {}, "What assay said"), element("pre", { class: "scroll", tabindex: "0", role: "group", "aria-label": "What assay said" }, messages.join("\n"))));
  }
  const accepted = verify?.pack;
  parts.push(facts([
    ["Pack", accepted ? `${accepted.name} ${accepted.version}, ${accepted.kernels} ${accepted.kernels === 1 ? "kernel" : "kernels"}` : pack],
    ["Signature", accepted ? `holds, by ${accepted.key}, which the settings trust` : null],
    ["Manifest", qualify?.pack ? `SHA-256 ${qualify.pack.manifest_sha256}` : null],
    ["Browser", `${browser.name} ${browser.version}`],
    ["Time", `${seconds.toFixed(0)} s`],
  ]));
  if (!qualify?.conform) return parts;
  const runtimes = qualify.conform.engines.filter(({ status }) => status !== "absent").map(({ id }) => id);
  parts.push(
    element("h3", {}, "Engines"),
    table("What each engine was judged by, besides the kernels", ["engine", "verdict", "version", "basics", "numeric instructions", "traps, budgets and limits"], qualify.engines.map((engine) => engineRow(qualify, engine))),
    element("h3", {}, "Kernels"),
    matrixTable(qualify.conform, runtimes),
    failures(qualify.conform),
    element("h3", {}, "Interruptions"),
    latencyTable(qualify) ?? element("p", {}, "Not measured."),
    ...qualify.engines.flatMap((engine) => engineNotes(qualify, engine) ?? []),
  );
  return parts.filter((part) => part !== null);
}
