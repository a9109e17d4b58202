// The files of a pack, from the server or from the user's machine. Names and sizes come from anybody.

export const MAX_FILES = 2000;
export const MAX_BYTES = 64 * 1024 * 1024;
const MANIFEST = "kernels.json";

// What is wrong with what was chosen, in words for the user.
export class Unusable extends Error {}

const utf8 = new TextEncoder();

// A name as the file system in memory takes it; refuses what would lead out of the pack or hide a file.
export function checkedPath(path) {
  const parts = path.split("/");
  const wrong = parts.some((part) => part === "" || part === "." || part === "..") || /[\\\u0000-\u001f\u007f]/.test(path);
  if (wrong || utf8.encode(path).length > 1024) throw new Unusable(`A file is named ${JSON.stringify(path.slice(0, 200))}, which no file of a pack may be.`);
  return path;
}

// Pairs of path and Blob, as a folder that was chosen gives them, into pairs of path and bytes below the pack; or the bytes of one .tar.
export async function readPack(chosen) {
  if (chosen.length === 0) throw new Unusable("Nothing was chosen.");
  if (chosen.length > MAX_FILES) throw new Unusable(`These are more than ${MAX_FILES} files: no pack is that large.`);
  const bytes = chosen.reduce((sum, [, file]) => sum + file.size, 0);
  if (bytes > MAX_BYTES) throw new Unusable(`These files are ${Math.ceil(bytes / 1048576)} MiB in all, more than the ${MAX_BYTES / 1048576} MiB that this page takes.`);
  const paths = chosen.map(([path]) => checkedPath(path));
  if (new Set(paths).size !== paths.length) throw new Unusable("Two files have the same name.");
  const read = async (file) => new Uint8Array(await file.arrayBuffer());
  if (chosen.length === 1 && paths[0].endsWith(".tar")) {
    return { name: paths[0], path: "pack.tar", files: [["pack.tar", await read(chosen[0][1])]], modules: [] };
  }
  // A folder that was chosen comes with its own name before each path, the files of a folder without.
  const tops = new Set(paths.map((path) => path.split("/")[0]));
  const inside = tops.size === 1 && !paths.includes([...tops][0]);
  const strip = inside ? [...tops][0].length + 1 : 0;
  const files = await Promise.all(chosen.map(async ([path, file]) => [path.slice(strip), await read(file)]));
  if (!files.some(([path]) => path === MANIFEST)) {
    throw new Unusable(`There is no ${MANIFEST} in what was chosen: choose the folder that holds it, with all that is in it.`);
  }
  return {
    name: inside ? [...tops][0] : MANIFEST,
    path: "pack",
    files: files.map(([path, content]) => [`pack/${path}`, content]),
    modules: files.filter(([path]) => path.endsWith(".wasm")).map(([path, content]) => [path.replace(/^kernels\//, "").replace(/\.wasm$/, ""), content]),
  };
}

// The core pack, as it lies beside the page: `packs/core.json` lists its files.
export async function fetchCore() {
  const get = async (path) => {
    const response = await fetch(`packs/${path}`);
    if (!response.ok) throw new Unusable(`The server does not have packs/${path} (${response.status}).`);
    return response;
  };
  const list = await (await get("core.json")).json();
  return Promise.all(list.map(async (path) => [`core/${path}`, await (await get(`core/${path}`)).blob()]));
}

// Everything in what was dropped, folders included.
export async function dropped(items) {
  // The list is empty once this function has waited for anything.
  const entries = [...items].filter(({ kind }) => kind === "file").map((item) => item.webkitGetAsEntry());
  const found = [];
  const walk = async (entry, path) => {
    if (found.length > MAX_FILES) return;
    if (entry.isFile) {
      found.push([path + entry.name, await new Promise((resolve, reject) => entry.file(resolve, reject))]);
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (some.length === 0) return;
      for (const one of some) await walk(one, `${path}${entry.name}/`);
    }
  };
  for (const entry of entries) if (entry) await walk(entry, "");
  return found;
}

// What an <input type="file"> holds.
export const chosen = (input) => [...input.files].map((file) => [file.webkitRelativePath || file.name, file]);
