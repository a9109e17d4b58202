// scale = max(abs(x)) / 127 of each row, codes = x / scale, rounded to the nearest whole number, ties to even.
// A row of zeros has scale 0 and codes 0.
// a = x[rows, hidden], output = scale f32[rows] then codes i8[rows, hidden].

export { __heap_base };

/** A planted fault: 0 is none. The table is fixtures/packs/foreign.faults.json. */
const FAULT: i32 = 0;

const OK: i32 = 0;
const INVALID_INPUT: i32 = 1;
const INVALID_OUTPUT: i32 = 2;
const INVALID_PARAMS: i32 = 3;
const DESCRIPTOR_SIZE: u32 = 40;
const PARAMS_SIZE: u32 = 8;
const INFO_SIZE: u32 = 20;
/** "quantize_rows_i8" */
const NAME: usize = memory.data<u8>([
  0x71, 0x75, 0x61, 0x6e, 0x74, 0x69, 0x7a, 0x65, 0x5f, 0x72, 0x6f, 0x77, 0x73, 0x5f, 0x69, 0x38,
]);

// @ts-ignore: decorator
@inline
function end(): u64 {
  return (<u64>memory.size()) << 16;
}

/** Whether a region lies inside memory, at or above the heap base, aligned. An absent one does. */
function inside(offset: u32, size: u32): bool {
  return (
    size == 0 ||
    (offset >= <u32>__heap_base && offset % 16 == 0 && size <= 0x7fffffff && <u64>offset + size <= end())
  );
}

function overlap(one: u32, oneSize: u32, other: u32, otherSize: u32): bool {
  return oneSize != 0 && otherSize != 0 && one < <u64>other + otherSize && other < <u64>one + oneSize;
}

/** Steps 2 to 4 of the checks in docs/abi.md. */
function checkParams(offset: u32, size: u32): i32 {
  if (size != PARAMS_SIZE) return INVALID_PARAMS;
  if (!inside(offset, size)) return INVALID_INPUT;
  return load<u32>(offset) != 0 && load<u32>(offset, 4) != 0 ? OK : INVALID_PARAMS;
}

/** Region `index` of a descriptor; the sixth is the descriptor itself. */
function regionOffset(descriptor: u32, index: u32): u32 {
  return index == 5 ? descriptor : load<u32>(descriptor + index * 8);
}

function regionSize(descriptor: u32, index: u32): u32 {
  return index == 5 ? DESCRIPTOR_SIZE : load<u32>(descriptor + index * 8, 4);
}

function checkRegions(descriptor: u32): i32 {
  for (let i: u32 = 0; i < 6; i++) {
    const offset = regionOffset(descriptor, i);
    const size = regionSize(descriptor, i);
    if (!inside(offset, size)) return INVALID_INPUT;
    for (let j: u32 = 0; j < i; j++) {
      if (overlap(offset, size, regionOffset(descriptor, j), regionSize(descriptor, j))) return INVALID_INPUT;
    }
  }
  return OK;
}

function compute(rows: u32, hidden: u32, x: u32, scales: u32): void {
  const codes = scales + rows * 4;
  let scale: f32 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    const from = x + row * hidden * 4;
    const into = codes + row * hidden;
    let largest: f32 = 0;
    const count = FAULT == 4 && hidden > 1 ? hidden - 1 : hidden;
    for (let i: u32 = 0; i < count; i++) largest = max<f32>(largest, abs<f32>(load<f32>(from + i * 4)));
    const stale = row > 0 && (FAULT == 6 || (FAULT == 5 && row + 1 == rows));
    if (!stale) scale = largest / (FAULT == 3 ? 128 : 127);
    store<f32>(scales + row * 4, scale);
    for (let i: u32 = 0; i < hidden; i++) {
      const value = load<f32>(from + i * 4);
      const quotient: f32 = scale == 0 ? <f32>0 : (FAULT == 2 ? abs<f32>(value) : value) / scale;
      const rounded = FAULT == 1 ? trunc<f32>(quotient) : nearest<f32>(quotient);
      store<i8>(into + i, <i8>(<i32>max<f32>(-127, min<f32>(127, rounded))));
    }
  }
}

export function kernel_forward(descriptor: u32): i32 {
  if (!inside(descriptor, DESCRIPTOR_SIZE)) return INVALID_INPUT;
  let status = checkParams(regionOffset(descriptor, 4), regionSize(descriptor, 4));
  if (status == OK) status = checkRegions(descriptor);
  if (status != OK) return status;
  const params = regionOffset(descriptor, 4);
  const rows = load<u32>(params);
  const hidden = load<u32>(params, 4);
  const count = <u64>rows * hidden;
  // What does not fit 32 bits is the size of no region.
  const fits = count <= 0x1fffffff;
  if (!fits || <u64>regionSize(descriptor, 0) != count * 4 || regionSize(descriptor, 1) != 0) return INVALID_INPUT;
  if (<u64>regionSize(descriptor, 2) != count + <u64>rows * 4) return INVALID_OUTPUT;
  compute(rows, hidden, regionOffset(descriptor, 0), regionOffset(descriptor, 2));
  return OK;
}

export function kernel_init(params: u32, paramsLen: u32): i32 {
  return paramsLen == 0 ? OK : checkParams(params, paramsLen);
}

export function kernel_info(out: u32): i32 {
  if (out < <u32>__heap_base || out % 4 != 0 || <u64>out + INFO_SIZE > end()) return INVALID_OUTPUT;
  store<u32>(out, <u32>NAME);
  store<u32>(out, 16, 4);
  store<u16>(out, 1, 8);
  store<u16>(out, 1, 10);
  store<u16>(out, 0, 12);
  store<u16>(out, 0, 14);
  store<u32>(out, 0, 16);
  return OK;
}

export function kernel_cleanup(): i32 {
  return OK;
}
