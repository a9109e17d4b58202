// y = scale * x * x, element by element.
// a = x[rows, hidden], output = y[rows, hidden]; no b, no scratch.

export { __heap_base };

const OK: i32 = 0;
const INVALID_INPUT: i32 = 1;
const INVALID_OUTPUT: i32 = 2;
const INVALID_PARAMS: i32 = 3;
const DESCRIPTOR_SIZE: u32 = 40;
const PARAMS_SIZE: u32 = 12;
const INFO_SIZE: u32 = 20;
/** "scaled_square" */
const NAME: usize = memory.data<u8>([0x73, 0x63, 0x61, 0x6c, 0x65, 0x64, 0x5f, 0x73, 0x71, 0x75, 0x61, 0x72, 0x65]);
const NAME_SIZE: u32 = 13;

// @ts-ignore: decorator
@inline
function value(x: f32, scale: f32): f32 {
  // @ts-ignore: `--use REFERENCE=1` compiles what is right: the formula in f64, rounded once.
  if (REFERENCE) return <f32>(<f64>scale * <f64>x * <f64>x);
  return scale * x * x;
}

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

/** The parameters: size, place, values. */
function checkParams(offset: u32, size: u32): i32 {
  if (size != PARAMS_SIZE) return INVALID_PARAMS;
  if (!inside(offset, size)) return INVALID_INPUT;
  const valid = load<u32>(offset) != 0 && load<u32>(offset, 4) != 0;
  return valid ? OK : INVALID_PARAMS;
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

export function kernel_forward(descriptor: u32): i32 {
  if (!inside(descriptor, DESCRIPTOR_SIZE)) return INVALID_INPUT;
  let status = checkParams(regionOffset(descriptor, 4), regionSize(descriptor, 4));
  if (status == OK) status = checkRegions(descriptor);
  if (status != OK) return status;
  const params = regionOffset(descriptor, 4);
  const count = <u64>load<u32>(params) * load<u32>(params, 4);
  const scale = load<f32>(params, 8);
  // What does not fit 32 bits is the size of no region.
  const fits = count <= 0x3fffffff;
  if (!fits || <u64>regionSize(descriptor, 0) != count * 4 || regionSize(descriptor, 1) != 0) return INVALID_INPUT;
  if (<u64>regionSize(descriptor, 2) != count * 4) return INVALID_OUTPUT;
  const x = regionOffset(descriptor, 0);
  const y = regionOffset(descriptor, 2);
  for (let i: u32 = 0; i < <u32>count; i++) store<f32>(y + i * 4, value(load<f32>(x + i * 4), scale));
  return OK;
}

export function kernel_init(params: u32, paramsLen: u32): i32 {
  return paramsLen == 0 ? OK : checkParams(params, paramsLen);
}

export function kernel_info(out: u32): i32 {
  if (out < <u32>__heap_base || out % 4 != 0 || <u64>out + INFO_SIZE > end()) return INVALID_OUTPUT;
  store<u32>(out, <u32>NAME);
  store<u32>(out, NAME_SIZE, 4);
  store<u16>(out, 1, 8);
  store<u16>(out, 0, 10);
  store<u16>(out, 1, 12);
  store<u16>(out, 0, 14);
  store<u32>(out, 0, 16);
  return OK;
}

export function kernel_cleanup(): i32 {
  return OK;
}
