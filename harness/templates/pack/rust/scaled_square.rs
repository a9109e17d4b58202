//! y = scale * x * x, element by element.
//! a = x[rows, hidden], output = y[rows, hidden]; no b, no scratch.
#![no_std]

use core::arch::wasm32::memory_size;

/// What is right: the formula in f64, rounded once.
#[cfg(feature = "reference")]
fn value(x: f32, scale: f32) -> f32 {
    (f64::from(scale) * f64::from(x) * f64::from(x)) as f32
}

#[cfg(not(feature = "reference"))]
fn value(x: f32, scale: f32) -> f32 {
    scale * x * x
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Region {
    offset: u32,
    size: u32,
}

/// Input a, input b, output, scratch, parameters.
type Descriptor = [Region; 5];

#[repr(C)]
#[derive(Clone, Copy)]
struct Params {
    rows: u32,
    hidden: u32,
    scale: f32,
}

#[repr(C)]
struct Info {
    name_ptr: u32,
    name_len: u32,
    abi_version: u16,
    major: u16,
    minor: u16,
    patch: u16,
    flags: u32,
}

const OK: i32 = 0;
const INVALID_INPUT: i32 = 1;
const INVALID_OUTPUT: i32 = 2;
const INVALID_PARAMS: i32 = 3;
const NAME: &str = "scaled_square";

unsafe extern "C" {
    static __heap_base: u8;
}

fn heap_base() -> u32 {
    &raw const __heap_base as u32
}

fn end() -> u64 {
    memory_size(0) as u64 * 65536
}

impl Region {
    /// Whether it lies inside memory, at or above the heap base, aligned. An absent one does.
    fn inside(self) -> bool {
        self.size == 0
            || (self.offset >= heap_base()
                && self.offset % 16 == 0
                && self.size <= 0x7fff_ffff
                && u64::from(self.offset) + u64::from(self.size) <= end())
    }

    fn overlaps(self, other: Self) -> bool {
        self.size != 0
            && other.size != 0
            && u64::from(self.offset) < u64::from(other.offset) + u64::from(other.size)
            && u64::from(other.offset) < u64::from(self.offset) + u64::from(self.size)
    }
}

/// The parameters: size, place, values.
fn read_params(region: Region) -> Result<Params, i32> {
    if region.size as usize != size_of::<Params>() {
        return Err(INVALID_PARAMS);
    }
    if !region.inside() {
        return Err(INVALID_INPUT);
    }
    // SAFETY: it lies inside memory, aligned, and every pattern of bits is a value.
    let params = unsafe { *(region.offset as *const Params) };
    match params.rows != 0 && params.hidden != 0 {
        true => Ok(params),
        false => Err(INVALID_PARAMS),
    }
}

fn forward(address: u32) -> Result<(), i32> {
    let own = Region { offset: address, size: size_of::<Descriptor>() as u32 };
    if !own.inside() {
        return Err(INVALID_INPUT);
    }
    // SAFETY: it lies inside memory, aligned, and every pattern of bits is a value.
    let [a, b, output, scratch, params] = unsafe { *(address as *const Descriptor) };
    let values = read_params(params)?;
    let all = [a, b, output, scratch, params, own];
    for (index, one) in all.iter().enumerate() {
        if !one.inside() || all.iter().take(index).any(|other| one.overlaps(*other)) {
            return Err(INVALID_INPUT);
        }
    }
    let count = u64::from(values.rows) * u64::from(values.hidden);
    // What does not fit 32 bits is the size of no region.
    let bytes = count.checked_mul(4).unwrap_or(u64::MAX);
    if u64::from(a.size) != bytes || b.size != 0 {
        return Err(INVALID_INPUT);
    }
    if u64::from(output.size) != bytes {
        return Err(INVALID_OUTPUT);
    }
    let (x, y) = (a.offset as *const f32, output.offset as *mut f32);
    let mut index = 0;
    // There is a first element, so a loop that looks before it would have code that never runs.
    loop {
        // SAFETY: both regions have so many elements, and share no byte.
        unsafe { *y.add(index) = value(*x.add(index), values.scale) };
        index += 1;
        if index as u64 == count {
            return Ok(());
        }
    }
}

fn status(result: Result<(), i32>) -> i32 {
    result.err().unwrap_or(OK)
}

#[unsafe(no_mangle)]
extern "C" fn kernel_forward(descriptor: u32) -> i32 {
    status(forward(descriptor))
}

#[unsafe(no_mangle)]
extern "C" fn kernel_init(params: u32, params_len: u32) -> i32 {
    match params_len {
        0 => OK,
        size => status(read_params(Region { offset: params, size }).map(|_| ())),
    }
}

#[unsafe(no_mangle)]
extern "C" fn kernel_info(out: u32) -> i32 {
    if out < heap_base() || out % 4 != 0 || u64::from(out) + size_of::<Info>() as u64 > end() {
        return INVALID_OUTPUT;
    }
    let info = Info {
        name_ptr: NAME.as_ptr() as u32,
        name_len: NAME.len() as u32,
        abi_version: 1,
        major: 0,
        minor: 1,
        patch: 0,
        flags: 0,
    };
    // SAFETY: so many bytes lie inside memory, aligned.
    unsafe { (out as *mut Info).write(info) };
    OK
}

#[unsafe(no_mangle)]
extern "C" fn kernel_cleanup() -> i32 {
    OK
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
