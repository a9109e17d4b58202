// Reads a valid WebAssembly module, and writes it anew with limits and marks that V8 lacks.
//
// - A memory's and a table's maximum become at most the limit: V8 has no limit per memory.
// - `table.grow` counts the elements of all tables: a sum cannot be said with maxima.
// - V8 has one message for two traps, twice: a NaN or too large a float converted to an integer, a null element or one of another
//   type in call_indirect. A mark in a global of its own, set just before the instruction that then traps, tells them apart.
// - A module that is `clocked` calls the host, through a table of its own, when a counter that each loop, call and bulk operation counts
//   down has come to zero.

const I32 = 0x7f, F32 = 0x7d, F64 = 0x7c, FUNCREF = 0x70;
const VALUES = [I32, 0x7e, F32, F64, 0x7b, FUNCREF, 0x6f];
export const MARK_NAN = 1, MARK_NULL = 2;

const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { ignoreBOM: true });

function concat(parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

class Reader {
  constructor(bytes, at = 0, end = bytes.length) { this.bytes = bytes; this.at = at; this.end = end; }
  byte() {
    if (this.at >= this.end) throw new Error("the module ends early");
    return this.bytes[this.at++];
  }
  unsigned() { // Sizes, indices and limits of this host's modules fit 32 bits.
    let value = 0, factor = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 128;
    }
  }
  skipNumber() { while (this.byte() >= 0x80); }
  skip(count) { this.at += count; }
  slice(count) { const from = this.at; this.at += count; return this.bytes.subarray(from, this.at); }
  name() { return text.decode(this.slice(this.unsigned())); }
}

function unsigned(value) {
  const bytes = [];
  do {
    const low = value % 128;
    value = Math.floor(value / 128);
    bytes.push(value > 0 ? low + 128 : low);
  } while (value > 0);
  return bytes;
}

function signed(value) { // A signed LEB128 of at most 64 bits.
  let rest = BigInt(value);
  const bytes = [];
  for (;;) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    if ((rest === 0n && low < 64) || (rest === -1n && low >= 64)) { bytes.push(low); return bytes; }
    bytes.push(low + 128);
  }
}

// Steps over one instruction; gives its opcode, those behind a prefix as 0xfc00 + n and 0xfd00 + n.
function instruction(reader) {
  const opcode = reader.byte();
  if (opcode === 0x02 || opcode === 0x03 || opcode === 0x04) reader.skipNumber();
  else if (opcode === 0x0c || opcode === 0x0d || opcode === 0x10) reader.skipNumber();
  else if (opcode === 0x0e) for (let left = reader.unsigned() + 1; left > 0; left--) reader.skipNumber();
  else if (opcode === 0x11) { reader.skipNumber(); reader.skipNumber(); }
  else if (opcode === 0x1c) reader.skip(reader.unsigned());
  else if (opcode >= 0x20 && opcode <= 0x26) reader.skipNumber();
  else if (opcode >= 0x28 && opcode <= 0x3e) { reader.skipNumber(); reader.skipNumber(); }
  else if (opcode === 0x3f || opcode === 0x40) reader.skipNumber();
  else if (opcode === 0x41 || opcode === 0x42) reader.skipNumber();
  else if (opcode === 0x43) reader.skip(4);
  else if (opcode === 0x44) reader.skip(8);
  else if (opcode === 0xd0 || opcode === 0xd2) reader.skipNumber();
  else if (opcode === 0xfc) {
    const sub = reader.unsigned();
    if (sub > 17) throw new Error(`instruction 0xfc ${sub} is of no feature that packs may use`);
    const immediates = [0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, 1, 2, 1, 2, 1, 1, 1][sub];
    for (let left = immediates; left > 0; left--) reader.skipNumber();
    return 0xfc00 + sub;
  } else if (opcode === 0xfd) {
    const sub = reader.unsigned();
    if (sub > 255) throw new Error(`instruction 0xfd ${sub} is of no feature that packs may use`);
    if (sub <= 11 || (sub >= 84 && sub <= 93)) { reader.skipNumber(); reader.skipNumber(); }
    if (sub === 12 || sub === 13) reader.skip(16);
    if ((sub >= 21 && sub <= 34) || (sub >= 84 && sub <= 91)) reader.skip(1);
    return 0xfd00 + sub;
  } else if (!(opcode <= 0x01 || opcode === 0x05 || opcode === 0x0b || opcode === 0x0f || opcode === 0x1a || opcode === 0x1b
      || (opcode >= 0x45 && opcode <= 0xc4) || opcode === 0xd1)) {
    throw new Error(`instruction 0x${opcode.toString(16)} is of no feature that packs may use`);
  }
  return opcode;
}

function skipConstant(reader) { while (instruction(reader) !== 0x0b); }

function limits(reader) {
  const flags = reader.byte();
  if (flags > 1) throw new Error("shared and 64-bit memories are of no feature that packs may use");
  const minimum = reader.unsigned();
  return { minimum, maximum: flags === 1 ? reader.unsigned() : Infinity };
}

// What the adapter must know of a module: sections, types, exports.
export function parse(bytes) {
  const reader = new Reader(bytes, 8);
  const module = { sections: [], types: [], functions: [], tables: [], memories: [], globals: [], exports: new Map(), imports: 0 };
  while (reader.at < bytes.length) {
    const id = reader.byte();
    const size = reader.unsigned();
    const start = reader.at;
    module.sections.push({ id, start, end: start + size });
    const section = new Reader(bytes, start, start + size);
    const value = () => {
      const type = section.byte();
      if (!VALUES.includes(type)) throw new Error("a value's type is of no feature that packs may use");
      return type;
    };
    const values = () => Array.from({ length: section.unsigned() }, value);
    const each = (read) => { for (let left = section.unsigned(); left > 0; left--) read(); };
    if (id === 1) each(() => {
      if (section.byte() !== 0x60) throw new Error("a type that is no function's is of no feature that packs may use");
      const parameters = values();
      module.types.push({ parameters, results: values() });
    });
    else if (id === 2) module.imports = section.unsigned();
    else if (id === 3) each(() => module.functions.push(section.unsigned()));
    else if (id === 4) each(() => module.tables.push({ element: value(), ...limits(section) }));
    else if (id === 5) each(() => module.memories.push(limits(section)));
    else if (id === 6) each(() => {
      module.globals.push(value());
      section.byte();
      skipConstant(section);
    });
    else if (id === 7) each(() => module.exports.set(section.name(), { kind: section.byte(), index: section.unsigned() }));
    reader.at = start + size;
  }
  if (module.memories.length > 1) throw new Error("a second memory is of no feature that packs may use");
  return module;
}

// Whether an export is a function of so many i32 and one i32 result; words for why not.
export function functionMismatch(module, name, parameters) {
  const found = module.exports.get(name);
  if (!found) return "there is none of this name";
  if (found.kind !== 0) return "it is no function";
  const type = module.types[module.functions[found.index]];
  const fits = parameters <= 2 && type.parameters.length === parameters && type.parameters.every((kind) => kind === I32)
    && type.results.length === 1 && type.results[0] === I32;
  return fits ? null : "its type is another";
}

export function globalMismatch(module, name) {
  const found = module.exports.get(name);
  if (!found) return "there is none of this name";
  if (found.kind !== 3) return "it is no global";
  return module.globals[found.index] === I32 ? null : "its type is another";
}

// The module with its limits, marks and looks at the clock, and the names of its own exports, null where there is none: the mark; the start
// function, which is then for the host to call (one that traps would take its mark with it, and one that is clocked needs the clock before);
// the table for what looks at the clock, and the counter.
export function rewrite(bytes, module, maxPages, maxElements, clocked) {
  const unused = (name) => {
    while (module.exports.has(name)) name += "'";
    return name;
  };
  const own = {
    mark: module.globals.length,
    count: module.globals.length + 1,
    type: module.types.length,
    table: module.tables.length,
  };
  const code = rewriteCode(bytes, module, own, maxElements, clocked);
  const watched = code !== null && clocked;
  const marked = code !== null && code.marked;
  const startSection = module.sections.find(({ id }) => id === 8);
  const names = {
    mark: marked ? unused("adapter mark") : null,
    start: (marked || watched) && startSection ? unused("adapter start") : null,
    clock: watched ? unused("adapter clock") : null,
    count: watched ? unused("adapter count") : null,
  };
  const exported = (name, kind, index) => [...unsigned(utf8.encode(name).length), ...utf8.encode(name), kind, ...unsigned(index)];
  const exports = [];
  if (names.mark !== null) exports.push(exported(names.mark, 3, own.mark));
  if (names.start !== null) exports.push(exported(names.start, 0, new Reader(bytes, startSection.start, startSection.end).unsigned()));
  if (watched) exports.push(exported(names.clock, 1, own.table), exported(names.count, 3, own.count));
  const zero = [I32, 1, 0x41, 0, 0x0b], one = [I32, 1, 0x41, 1, 0x0b];
  // What is added to sections, which stand in this order, whatever their numbers.
  const order = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];
  const added = [];
  if (watched) added.push([1, [[0x60, 0, 0]]], [4, [[FUNCREF, 1, 1, 1]]]);
  if (marked || watched) added.push([6, watched ? [zero, one] : [zero]], [7, exports]);
  const out = [bytes.subarray(0, 8)];
  const emit = (id, content) => out.push(Uint8Array.of(id, ...unsigned(content.length)), content);
  const emitMissingBefore = (id) => {
    while (added.length > 0 && (id === null || order.indexOf(added[0][0]) < order.indexOf(id))) {
      const [due, items] = added.shift();
      emit(due, Uint8Array.of(items.length, ...items.flat()));
    }
  };
  for (const { id, start, end } of module.sections) {
    const content = bytes.subarray(start, end);
    if (id !== 0) emitMissingBefore(id);
    const more = added.length > 0 && added[0][0] === id ? added.shift()[1] : [];
    if (id === 4) {
      const tables = module.tables.flatMap(({ element, minimum, maximum }) =>
        [element, 1, ...unsigned(minimum), ...unsigned(Math.min(maximum, maxElements))]);
      emit(id, Uint8Array.from([...unsigned(module.tables.length + more.length), ...tables, ...more.flat()]));
    } else if (id === 5 && module.memories.length === 1) {
      const { minimum, maximum } = module.memories[0];
      emit(id, Uint8Array.of(1, 1, ...unsigned(minimum), ...unsigned(Math.min(maximum, maxPages, 65536))));
    } else if (more.length > 0) {
      const reader = new Reader(bytes, start, end);
      const count = Uint8Array.from(unsigned(reader.unsigned() + more.length));
      emit(id, concat([count, bytes.subarray(reader.at, end), Uint8Array.from(more.flat())]));
    } else if (id === 8 && names.start !== null) {
      continue;
    } else if (id === 10 && code !== null) {
      emit(id, code.content);
    } else {
      emit(id, content);
    }
  }
  emitMissingBefore(null);
  return { bytes: concat(out), names };
}

// The code section with marks, counted growth and looks at the clock, or null if there is nothing to change.
function rewriteCode(bytes, module, own, maxElements, clocked) {
  const section = module.sections.find(({ id }) => id === 10);
  if (!section) return null;
  const reader = new Reader(bytes, section.start, section.end);
  const count = reader.unsigned();
  const out = [Uint8Array.from(unsigned(count))];
  let changed = false, marked = false;
  for (let index = 0; index < count; index++) {
    const size = reader.unsigned();
    const start = reader.at;
    const body = rewriteBody(bytes, start, start + size, module, module.types[module.functions[index]], own, maxElements, clocked);
    if (body === null) {
      out.push(Uint8Array.from(unsigned(size)), bytes.subarray(start, start + size));
    } else {
      changed = true;
      marked ||= body.marked;
      out.push(Uint8Array.from(unsigned(body.content.length)), body.content);
    }
    reader.at = start + size;
  }
  return changed ? { content: concat(out), marked } : null;
}

// memory.init, .copy and .fill, table.init, .copy and .fill
const BULK = [0xfc08, 0xfc0a, 0xfc0b, 0xfc0c, 0xfc0e, 0xfc11];

function rewriteBody(bytes, start, end, module, type, own, maxElements, clocked) {
  const reader = new Reader(bytes, start, end);
  const groups = reader.unsigned();
  const groupsStart = reader.at;
  let locals = type.parameters.length;
  for (let left = groups; left > 0; left--) {
    locals += reader.unsigned();
    reader.byte();
  }
  const groupsEnd = reader.at;
  const added = new Map(); // Type to the index of a local of this function's own.
  const local = (kind) => {
    if (!added.has(kind)) added.set(kind, locals + added.size);
    return unsigned(added.get(kind));
  };
  const set = (mark) => [0x04, 0x40, 0x41, mark, 0x24, ...unsigned(own.mark), 0x0b]; // if (global.set mark) end
  const counter = unsigned(own.count);
  // count -= 1; if count is 0, call what stands in the table
  const look = [0x23, ...counter, 0x41, 1, 0x6b, 0x24, ...counter, 0x23, ...counter, 0x45, 0x04, 0x40,
    0x41, 0, 0x11, ...unsigned(own.type), ...unsigned(own.table), 0x0b];
  const out = [];
  let copied = groupsEnd, marked = false;
  const insert = (at, code) => {
    out.push(bytes.subarray(copied, at), Uint8Array.from(code));
    copied = at;
  };
  if (clocked) insert(groupsEnd, look);
  while (reader.at < end) {
    const at = reader.at;
    const opcode = instruction(reader);
    let before = null;
    if (opcode === 0xa8 || opcode === 0xa9 || opcode === 0xae || opcode === 0xaf) { // i32/i64.trunc_f32
      const x = local(F32);
      before = [0x22, ...x, 0x20, ...x, 0x20, ...x, 0x5c, ...set(MARK_NAN)];
      marked = true;
    } else if (opcode === 0xaa || opcode === 0xab || opcode === 0xb0 || opcode === 0xb1) { // i32/i64.trunc_f64
      const x = local(F64);
      before = [0x22, ...x, 0x20, ...x, 0x20, ...x, 0x62, ...set(MARK_NAN)];
      marked = true;
    } else if (opcode === 0x11) { // call_indirect: an index outside the table traps in table.get, as the same
      const operands = new Reader(bytes, at + 1, end);
      operands.unsigned();
      const table = unsigned(operands.unsigned());
      const i = local(I32);
      before = [0x22, ...i, 0x20, ...i, 0x25, ...table, 0xd1, ...set(MARK_NULL)];
      marked = true;
    } else if (opcode === 0xfc0f) { // table.grow by n becomes by 2^32 - 1, which fails, where the sum would be over the limit
      const i = local(I32);
      const sum = module.tables.flatMap((_, table) => [0xfc, 0x10, ...unsigned(table), 0xad, 0x7c]); // + extend(table.size)
      before = [0x21, ...i, 0x20, ...i, 0x41, 0x7f, 0x20, ...i, 0xad, ...sum, 0x42, ...signed(maxElements), 0x58, 0x1b]; // <= ? n : -1
    }
    if (before !== null) insert(at, before);
    if (clocked && opcode === 0x03) insert(reader.at, look);
    // One bulk operation may take milliseconds: before each the clock is looked at, whatever the count.
    if (clocked && BULK.includes(opcode)) insert(at, [0x41, 1, 0x24, ...counter, ...look]);
  }
  if (out.length === 0) return null;
  out.push(bytes.subarray(copied, end));
  const header = [
    Uint8Array.from(unsigned(groups + added.size)),
    bytes.subarray(groupsStart, groupsEnd),
    Uint8Array.from([...added.keys()].flatMap((kind) => [1, kind])),
  ];
  return { content: concat([...header, ...out]), marked };
}
