// An in-memory file system for the WASI shim. Its own files copy all that they hold with every write, which makes a log of many lines slow.
import { Directory, File, OpenFile, PreopenDirectory } from "./wasi/index.js";

class OpenLog extends OpenFile {
  fd_write(data) {
    const { file } = this;
    const end = Number(this.file_pos) + data.byteLength;
    if (end > file.data.byteLength) {
      const old = file.data;
      // `data` is the beginning of a larger buffer.
      if (old.byteOffset + end > old.buffer.byteLength) {
        file.data = new Uint8Array(new ArrayBuffer(Math.max(end, 2 * old.byteLength, 1024)), 0, end);
        file.data.set(old);
      } else {
        file.data = new Uint8Array(old.buffer, old.byteOffset, end);
      }
    }
    file.data.set(data, Number(this.file_pos));
    this.file_pos = BigInt(end);
    return { ret: 0, nwritten: data.byteLength };
  }
}

class Log extends File {
  path_open(oflags, rights, flags) {
    const opened = super.path_open(oflags, rights, flags);
    if (opened.fd_obj === null) return opened;
    const log = new OpenLog(this);
    log.file_pos = opened.fd_obj.file_pos;
    return { ...opened, fd_obj: log };
  }
}

class Folder extends Directory {
  create_entry_for_path(path, isFolder) {
    const created = super.create_entry_for_path(path, isFolder);
    // It is already where it belongs.
    if (created.entry !== null) Object.setPrototypeOf(created.entry, (isFolder ? Folder : Log).prototype);
    return created;
  }
}

// The root of a file system that holds these files; a path may name folders.
export function root(files) {
  const top = new Folder(new Map());
  for (const [path, bytes] of files) {
    const parts = path.split("/");
    const name = parts.pop();
    let folder = top;
    for (const part of parts) {
      if (!folder.contents.has(part)) folder.contents.set(part, new Folder(new Map()));
      folder = folder.contents.get(part);
    }
    folder.contents.set(name, new File(bytes));
  }
  const opened = new PreopenDirectory("/", new Map());
  opened.dir = top;
  return opened;
}

// All files below a folder of it, as pairs of path and bytes.
export function filesBelow(opened, name) {
  const found = [];
  const walk = (folder, path) => {
    for (const [part, entry] of folder.contents) {
      if (entry instanceof Directory) walk(entry, `${path}${part}/`);
      else found.push([path + part, entry.data.slice()]);
    }
  };
  const start = opened.dir.contents.get(name);
  if (start instanceof Directory) walk(start, "");
  return found;
}
