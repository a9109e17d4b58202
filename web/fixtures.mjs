// Packs for the test of the page, made from the core pack and signed with the public test key.
import { createHash, createPrivateKey, sign } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "../adapters/node-v8/binary.mjs";

const root = new URL("..", import.meta.url).pathname;
const core = join(root, "fixtures/packs/core");
// DER of a PKCS #8 Ed25519 key, up to its seed.
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

function testKey() {
  const text = readFileSync(join(root, "fixtures/keys/test.ed25519"), "utf8");
  const seed = Buffer.from(/^ed25519-secret:(.*)$/m.exec(text)[1], "base64");
  return createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: "der", type: "pkcs8" });
}

const digest = (bytes) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

// A pack of one kernel of the core pack in `folder`: with `module` in the place of its own where that is given, and with so many ticks.
export function packOf(folder, kernel, { module = null, ticks = null }) {
  const manifest = JSON.parse(readFileSync(join(core, "kernels.json"), "utf8"));
  manifest.kernels = manifest.kernels.filter(({ id }) => id === kernel);
  manifest.vectors = manifest.vectors.filter((vector) => vector.kernel === kernel);
  manifest.fallbacks = Object.fromEntries(Object.entries(manifest.fallbacks).filter(([id]) => id === kernel));
  const [entry] = manifest.kernels;
  entry.variants = [];
  if (ticks !== null) entry.resource_limits.max_epoch_ticks = ticks;
  mkdirSync(join(folder, "kernels"), { recursive: true });
  mkdirSync(join(folder, "vectors"), { recursive: true });
  const bytes = module ?? readFileSync(join(core, entry.path));
  entry.hash = digest(bytes);
  writeFileSync(join(folder, entry.path), bytes);
  for (const { path } of manifest.vectors) cpSync(join(core, path), join(folder, path));
  const text = Buffer.from(JSON.stringify(manifest));
  writeFileSync(join(folder, "kernels.json"), text);
  writeFileSync(join(folder, "kernels.json.sig"), sign(null, text, testKey()));
  return folder;
}

const unsigned = (value) => value < 128 ? [value] : [(value % 128) + 128, ...unsigned(Math.floor(value / 128))];

// A kernel of the core pack whose kernel_forward never ends.
export function looping(kernel) {
  const bytes = readFileSync(join(core, `kernels/${kernel}.wasm`));
  const { exports, sections, imports } = parse(bytes);
  const forward = exports.get("kernel_forward").index - imports;
  const section = sections.find(({ id }) => id === 10);
  // (loop (br 0)) (unreachable)
  const endless = Buffer.from([0, 0x03, 0x40, 0x0c, 0, 0x0b, 0, 0x0b]);
  let at = section.start;
  const number = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  const count = number();
  const bodies = Array.from({ length: count }, (_, index) => {
    const size = number();
    const body = index === forward ? endless : bytes.subarray(at, at + size);
    at += size;
    return Buffer.concat([Buffer.from(unsigned(body.length)), body]);
  });
  const code = Buffer.concat([Buffer.from(unsigned(count)), ...bodies]);
  // The section's number stands before its size, which is as long as its own bytes.
  let header = section.start - 1;
  while (bytes[header - 1] >= 128) header--;
  return Buffer.concat([bytes.subarray(0, header - 1), Buffer.from([10, ...unsigned(code.length)]), code, bytes.subarray(section.end)]);
}
