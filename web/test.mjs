// Tests the page in headless Chromium: `node web/test.mjs DIST`, see scripts/web-test. Every check that does not hold is an error; the checks that were
// made are counted, and their number must be the one that is known.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { chromium } from "playwright-core";
import { looping, packOf } from "./fixtures.mjs";

const root = new URL("..", import.meta.url).pathname;
const dist = resolve(process.argv[2]);
const shots = process.env.SHOTS;
const axe = readFileSync(join(root, "web/node_modules/axe-core/axe.min.js"), "utf8");
const temporary = mkdtempSync(join(tmpdir(), "assay-web-"));
const json = (path) => JSON.parse(readFileSync(join(root, path), "utf8"));
// The folder of the broken packs.
const broken = process.env.BROKEN;

const CHECKS = 14;
const RUN_MS = 30 * 60 * 1000;
const QUICK_MS = 2 * 60 * 1000;

function serve() {
  // What docs/page.md tells users to do.
  const server = spawn("python3", ["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "-d", dist], { stdio: ["ignore", "pipe", "ignore"] });
  return new Promise((found, failed) => {
    server.on("error", failed);
    server.on("exit", (code) => failed(new Error(`the server ended with ${code}`)));
    server.stdout.on("data", (text) => {
      const port = /port (\d+)/.exec(text)?.[1];
      if (port) found({ server, url: `http://127.0.0.1:${port}/` });
    });
  });
}

const { server, url } = await serve();
const browser = await chromium.launchPersistentContext(join(temporary, "profile"), {
  executablePath: process.env.CHROMIUM,
  headless: true,
  acceptDownloads: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = await browser.newPage();
// What the page complains of, and every address that it asks for elsewhere.
const complaints = [];
page.on("console", (message) => { if (message.type() === "error") complaints.push(message.text()); });
page.on("pageerror", (error) => complaints.push(String(error)));
page.on("request", (request) => {
  if (!request.url().startsWith(url) && !/^(blob|data):/.test(request.url())) complaints.push(`asked for ${request.url()}`);
});

let made = 0;
async function check(name, work) {
  const begun = performance.now();
  await work();
  assert.deepEqual(complaints, [], "nothing is complained of");
  made += 1;
  console.log(`ok ${name} (${((performance.now() - begun) / 1000).toFixed(1)} s)`);
}

async function open({ trust, engines, cases = 2, interruptions = 1, patience = 60 } = {}) {
  await page.goto(url);
  await page.locator("#trust").waitFor({ state: "attached" });
  await page.waitForFunction(() => document.getElementById("trust").value !== "");
  await page.locator("#settings > summary").click();
  if (trust) await page.locator("#trust").fill(trust);
  if (engines) for (const box of await page.locator('input[name="engine"]').all()) await box.setChecked(engines.includes(await box.inputValue()));
  await page.locator("#cases").fill(String(cases));
  await page.locator("#interruptions").fill(String(interruptions));
  await page.locator("#patience").fill(String(patience));
}

const choose = (folder) => page.locator("#folder").setInputFiles(folder);
const verdict = async (timeout = QUICK_MS) => {
  await page.locator("#verdict").waitFor({ timeout });
  return page.locator("#verdict").textContent();
};
const text = (selector) => page.locator(selector).textContent();
const folder = (name) => join(temporary, name);

// The table after a heading: rows of cells.
const rows = (heading) => page.locator(`h3:text-is("${heading}") + .scroll table tr`).evaluateAll((found) => found.map((row) => [...row.cells].map((cell) => cell.textContent)));

async function downloaded(selector) {
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator(selector).click()]);
  const path = join(temporary, `download-${made}-${Math.random()}`);
  await download.saveAs(path);
  return JSON.parse(readFileSync(path, "utf8"));
}

async function accessible(where) {
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  assert.ok(passes.length > 15, `${where}: axe found something to check`);
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(" ")}`), [], where);
}

async function pictures(name) {
  for (const [kind, scheme, width] of [["light", "light", 1100], ["dark", "dark", 1100], ["phone", "light", 390]]) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize({ width, height: 900 });
    await accessible(`${name}, ${kind}`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 0, `${name}, ${kind}: the page is ${wide} pixels too wide`);
    if (shots) {
      mkdirSync(shots, { recursive: true });
      await page.screenshot({ path: join(shots, `${name}-${kind}.png`), fullPage: true });
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1100, height: 900 });
}

// Longest time in which the page did not answer, looked at until `over` is true.
async function slowestAnswer(over) {
  let slowest = 0, answers = 0;
  while (!await over()) {
    const begun = performance.now();
    await page.locator("#settings > summary").click();
    slowest = Math.max(slowest, performance.now() - begun);
    answers += 1;
    await page.waitForTimeout(300);
  }
  return { slowest, answers };
}

try {
  await page.setViewportSize({ width: 1100, height: 900 });
  await check("the page is accessible before anything runs", async () => {
    await open();
    await pictures("start");
  });

  await check("the core pack is qualified on both engines, and the page answers meanwhile", async () => {
    await open({ cases: 64, interruptions: 20 });
    await page.locator("#core").click();
    const { slowest, answers } = await slowestAnswer(() => page.locator("#verdict").isVisible());
    console.log(`  ${answers} answers meanwhile, the slowest after ${slowest.toFixed(0)} ms`);
    assert.equal(await verdict(RUN_MS), "qualified", await text("#result-body"));
    assert.ok(answers > 5 && slowest < 1000);
    const engines = await rows("Engines");
    assert.deepEqual(engines.slice(1).map(([id, word]) => [id, word]), [["wasmi", "qualified"], ["browser", "qualified"]]);
    const kernels = (await rows("Kernels")).slice(1);
    const base = kernels.filter(([kernel]) => !kernel.includes("+"));
    assert.deepEqual(base.map(([kernel]) => kernel).sort(), json("fixtures/packs/core/kernels.json").kernels.map(({ id }) => id).sort());
    assert.equal(base.length, 13);
    for (const [kernel, ...cells] of kernels) for (const cell of cells) assert.match(cell, /^ok [1-9][0-9]*$/, kernel);
  });

  await check("what is downloaded says what the page says", async () => {
    const results = await downloaded("#results");
    assert.equal(results.verdict, "qualified");
    assert.equal(results.documents.verify.verdict, "accepted");
    const { qualify } = results.documents;
    assert.equal(qualify.verdict, "qualified");
    assert.deepEqual(qualify.engines.map(({ id, verdict }) => [id, verdict]), [["wasmi", "qualified"], ["browser", "qualified"]]);
    assert.equal(qualify.kernels.length, 13);
    await page.locator("summary", { hasText: "The evidence folder" }).click();
    const alone = await downloaded('a[download="qualify.json"]');
    assert.deepEqual(alone, qualify);
    const traps = qualify.trap_summaries.map(({ runtime, counts }) => `${runtime}: ${JSON.stringify(counts)}`);
    console.log(`  ${results.seconds.toFixed(0)} s; conformance ${JSON.stringify(qualify.conform.counts)}; traps ${traps.join(", ")}`);
  });

  await check("the result is accessible in light, dark and narrow", () => pictures("qualified"));

  await check("the browser's engine passes the suite of all engines", async () => {
    await open();
    const ended = await page.evaluate(() => new Promise((done, failed) => {
      const worker = new Worker("worker.mjs", { type: "module" });
      worker.addEventListener("message", ({ data }) => {
        if (data.failed !== undefined) failed(new Error(data.failed));
        if (data.ended) done(data.ended);
        if (data.files) worker.terminate();
      });
      worker.postMessage({ commands: [["adapter-check", "--runtime", "browser", "--json"]], files: [], modules: [] });
    }));
    assert.equal(ended.code, 0, ended.stdout);
    const [{ id, verdict, checks }] = JSON.parse(ended.stdout).engines;
    assert.deepEqual([id, verdict, checks.length], ["browser", "pass", 124]);
    const rest = checks.filter(({ outcome }) => outcome !== "pass");
    // Newer browsers take more proposals, which the adapter has to refuse where it can.
    for (const { name, outcome } of rest) assert.match(`${outcome} ${name}`, /^unsupported (budget\.fuel\.|refusal\.proposal\.|limit\.stack$)/);
    console.log(`  ${checks.length - rest.length} of ${checks.length} pass, the others are unsupported: ${rest.map(({ name }) => name).join(", ")}`);
  });

  await check("broken packs are rejected with their codes", async () => {
    const known = json("fixtures/packs/broken.json");
    for (const defect of ["signature-bit-flipped", "signature-of-another-manifest", "signature-missing", "module-bit-flipped", "unlisted-file", "import-wasi", "expired", "json-truncated"]) {
      await open({ trust: readFileSync(join(broken, "trusted_keys"), "utf8") });
      await choose(join(broken, defect));
      assert.equal(await verdict(), "rejected", defect);
      const due = known.find((entry) => entry.defect === defect);
      assert.equal(await text("#code"), due.code);
      assert.equal((await downloaded("#results")).documents.verify.code, due.code);
      assert.equal(await page.locator("h3", { hasText: "Kernels" }).count(), 0, "nothing was run");
    }
    await pictures("rejected");
  });

  await check("a pack that nobody here trusts is rejected", async () => {
    await open({ trust: "# nobody" });
    await page.locator("#core").click();
    assert.equal(await verdict(), "rejected");
    assert.equal(await text("#code"), "no-trusted-key");
  });

  await check("planted faults are found in their layers, and the right kernels pass", async () => {
    for (const { fault, kernel, file, layer } of json("fixtures/faulty/faults.json").filter(({ fault }) => ["eps_outside_root", "one_past_output", "wrong_status"].includes(fault))) {
      await open({ cases: 4 });
      await choose(packOf(folder(fault), kernel, { module: readFileSync(join(root, "fixtures/faulty", file)) }));
      assert.equal(await verdict(QUICK_MS), "not qualified", fault);
      const [, [, ...cells]] = await rows("Kernels");
      for (const cell of cells) assert.match(cell, new RegExp(`^FAIL.* ${layer}`), fault);
      if (fault === "eps_outside_root") await pictures("faulty");
      await open({ cases: 4 });
      await choose(packOf(folder(`right-${fault}`), kernel, {}));
      assert.equal(await verdict(QUICK_MS), "qualified", kernel);
    }
  });

  const endless = looping("rmsnorm_f32");

  await check("a kernel that never ends is ended at its deadline on both engines, and not qualified", async () => {
    await open();
    await choose(packOf(folder("endless"), "rmsnorm_f32", { module: endless, ticks: 2 }));
    assert.equal(await verdict(QUICK_MS), "not qualified");
    const results = await downloaded("#results");
    for (const { id, verdict, reasons } of results.documents.qualify.engines) {
      assert.equal(verdict, "not-qualified");
      assert.match(reasons.join("\n"), /deadline|EpochDeadline/, id);
    }
  });

  const patient = packOf(folder("patient"), "rmsnorm_f32", { module: endless, ticks: 60000 });

  await check("a kernel that does not stop in time is given up, by name, and not qualified", async () => {
    await open({ engines: ["browser"], patience: 3 });
    await choose(patient);
    assert.equal(await verdict(), "not qualified");
    assert.match(await text("#reasons"), /rmsnorm_f32 on browser did not stop within 3 s/);
    await open({ engines: ["wasmi"], patience: 3 });
    await choose(patient);
    assert.equal(await verdict(), "not qualified");
    assert.match(await text("#reasons"), /Nothing was heard for 3 s/);
    assert.equal((await downloaded("#results")).verdict, "not qualified");
  });

  await check("Stop ends an endless kernel at once, without a verdict, and the page can go on", async () => {
    await open();
    await choose(patient);
    await page.waitForTimeout(4000);
    assert.match(await text("#step"), /kernels/);
    await pictures("running");
    const begun = performance.now();
    await page.locator("#stop").click();
    assert.equal(await verdict(1000), "no verdict");
    assert.ok(performance.now() - begun < 1000);
    assert.match(await text("#reasons"), /Stopped by you/);
    assert.equal((await downloaded("#results")).verdict, "no verdict");
    // Chromium lets a worker that is busy two more seconds.
    for (let waited = 0; page.workers().length > 0 && waited < 5000; waited += 100) await page.waitForTimeout(100);
    assert.equal(page.workers().length, 0, "the worker is gone");
    await choose(packOf(folder("after"), "swiglu_f32", {}));
    await page.waitForFunction(() => document.getElementById("verdict")?.textContent === "qualified", null, { timeout: QUICK_MS });
  });

  await check("a folder and a .tar can be dropped", async () => {
    const tar = join(temporary, "small.tar");
    const small = packOf(folder("small"), "swiglu_f32", {});
    await new Promise((done, failed) => spawn("tar", ["-C", small, "--sort=name", "-cf", tar, "kernels.json", "kernels.json.sig", "kernels", "vectors"]).on("exit", (code) => code === 0 ? done() : failed(new Error(`tar: ${code}`))));
    const devtools = await browser.newCDPSession(page);
    for (const path of [small, tar]) {
      await open();
      await page.locator("#drop").scrollIntoViewIfNeeded();
      const box = await page.locator("#drop").boundingBox();
      const event = { x: box.x + 20, y: box.y + 20, data: { items: [], files: [path], dragOperationsMask: 1 } };
      for (const type of ["dragEnter", "dragOver", "drop"]) await devtools.send("Input.dispatchDragEvent", { type, ...event });
      assert.equal(await verdict(QUICK_MS), "qualified", path);
    }
  });

  await check("what is no pack is refused with one message", async () => {
    await open();
    const empty = folder("no-pack");
    mkdirSync(empty);
    copyFileSync(join(root, "README.md"), join(empty, "README.md"));
    await choose(empty);
    await page.waitForFunction(() => document.getElementById("refused").textContent !== "");
    assert.match(await text("#refused"), /no kernels\.json/);
    assert.ok(await page.locator("#core").isEnabled());
    const refused = await page.evaluate(async () => {
      const { MAX_BYTES, MAX_FILES, readPack } = await import("./pack.mjs");
      const file = (bytes) => new Blob([new Uint8Array(bytes)]);
      const why = (files) => readPack(files).then(() => "accepted", (error) => `${error.constructor.name}: ${error.message}`);
      return Promise.all([
        why([["kernels.json", file(1)]]),
        why([["pack/../kernels.json", file(1)]]),
        why([["/kernels.json", file(1)]]),
        why([["kernels.json", file(1)], ["kernels\\x", file(1)]]),
        why([["kernels.json", file(1)], ["a\u0000b", file(1)]]),
        why([["kernels.json", file(1)], ["kernels.json", file(1)]]),
        why([["kernels.json", { size: MAX_BYTES + 1 }]]),
        why(Array.from({ length: MAX_FILES + 1 }, (_, index) => [`${index}`, file(1)])),
        why([]),
      ]);
    });
    assert.equal(refused[0], "accepted");
    for (const answer of refused.slice(1)) assert.match(answer, /^Unusable: /);
  });

  await check("settings that make no sense are refused", async () => {
    await open({ engines: [] });
    await page.locator("#core").click();
    await page.waitForFunction(() => document.getElementById("refused").textContent !== "");
    assert.match(await text("#refused"), /at least one engine/);
    await open({ cases: -1 });
    await page.locator("#core").click();
    await page.waitForFunction(() => document.getElementById("refused").textContent !== "");
    assert.match(await text("#refused"), /Generated cases/);
  });

  assert.equal(made, CHECKS, "every check was made");
  console.log(`web-test: ${made} of ${CHECKS} checks hold in ${browser.browser()?.version() ?? await page.evaluate(() => navigator.userAgent)}`);
} finally {
  await browser.close();
  server.removeAllListeners("exit");
  server.kill();
  rmSync(temporary, { recursive: true, force: true });
}
