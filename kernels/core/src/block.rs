//! GGUF blocks of 32 elements: Q8_0 and Q4_0.

use kernel_abi::block::{ELEMENTS, Q4_BYTES, Q8_BYTES};

use crate::{
    element::{Element, F16, F32},
    lanes::{Lanes, Words},
    slice::{span, span_mut},
    unroll::unroll,
};

/// The magnitude below one half that, added to a value, makes truncation round halves away from zero. With 0.5 itself
/// the sum of the largest float below one half would round up to 1.
const JUST_BELOW_HALF: u32 = 0x3eff_ffff;

/// Quantises 32 values to a Q8_0 block: f16 scale max|x| / 127, then codes rounded half away from zero.
#[inline(always)]
pub fn pack_q8<L: Lanes>(values: &[F32; ELEMENTS], block: &mut [u8; Q8_BYTES]) {
    let splat = L::Words::splat;
    let mut largest = nothing::<L>();
    unroll!(ELEMENTS / L::COUNT, |i| {
        largest = largest.or_greater(L::load(span(values, i * L::COUNT, L::COUNT)).abs());
    });
    let scale = largest.reduce(Lanes::or_greater) / 127.0;
    let inverse = L::splat(inverse(scale));
    let [low, high, codes @ ..] = block;
    [*low, *high] = F16::store(scale);
    unroll!(ELEMENTS / L::COUNT, |i| {
        let exact = L::load(span(values, i * L::COUNT, L::COUNT)) * inverse;
        let half = exact.to_bits() & splat(0x8000_0000) | splat(JUST_BELOW_HALF);
        (exact + half.to_floats())
            .truncate()
            .larger(splat(i8::MIN as u32))
            .smaller(splat(i8::MAX as u32))
            .store_u8(span_mut(codes, i * L::COUNT, L::COUNT));
    });
}

/// Quantises 32 values to a Q4_0 block: f16 scale m / -8 with m the first value of largest magnitude, then nibbles
/// min(15, trunc(x / scale + 8.5)), element j low and element j + 16 high.
#[inline(always)]
pub fn pack_q4<L: Lanes>(values: &[F32; ELEMENTS], block: &mut [u8; Q4_BYTES]) {
    let splat = L::Words::splat;
    let (mut top, mut bottom) = (nothing::<L>(), nothing::<L>());
    unroll!(ELEMENTS / L::COUNT, |i| {
        let value = L::load(span(values, i * L::COUNT, L::COUNT));
        top = top.or_greater(value);
        bottom = bottom.or_greater(L::splat(0.0) - value);
    });
    let top = top.reduce(Lanes::or_greater);
    let bottom = bottom.reduce(Lanes::or_greater);
    let signed = if top > bottom {
        top
    } else if bottom > top {
        -bottom
    } else {
        first_of_magnitude(values, top)
    };
    let scale = signed / -8.0;
    let inverse = L::splat(inverse(scale));
    let [low, high, codes @ ..] = block;
    [*low, *high] = F16::store(scale);
    // Saturating: a NaN and what lies below 0 give 0.
    let nibble = |value: L| {
        (value * inverse + L::splat(8.5))
            .truncate()
            .larger(splat(0))
            .smaller(splat(15))
    };
    unroll!(ELEMENTS / 2 / L::COUNT, |i| {
        let first = nibble(L::load(span(values, i * L::COUNT, L::COUNT)));
        let second = nibble(L::load(span(values, ELEMENTS / 2 + i * L::COUNT, L::COUNT)));
        (first | second.shift_left::<4>()).store_u8(span_mut(codes, i * L::COUNT, L::COUNT));
    });
}

/// The 32 values of a Q8_0 block: code * scale.
#[inline(always)]
pub fn unpack_q8<L: Lanes>(block: &[u8; Q8_BYTES], values: &mut [F32; ELEMENTS]) {
    let [low, high, codes @ ..] = block;
    unpack_codes::<L, ELEMENTS>([*low, *high].load(), codes, values);
}

/// N codes of a Q8_0 block, at most 32, times the block's scale.
#[inline(always)]
pub(crate) fn unpack_codes<L: Lanes, const N: usize>(
    scale: f32,
    codes: &[u8],
    values: &mut [F32; N],
) {
    let scale = L::splat(scale);
    let Some(codes) = codes.first_chunk::<N>() else {
        return;
    };
    unroll!(N / L::COUNT, |i| {
        let codes = L::Words::load_i8(span(codes, i * L::COUNT, L::COUNT));
        (codes.convert() * scale).store(span_mut(values, i * L::COUNT, L::COUNT));
    });
}

/// The 32 values of a Q4_0 block: (nibble - 8) * scale.
#[inline(always)]
pub fn unpack_q4<L: Lanes>(block: &[u8; Q4_BYTES], values: &mut [F32; ELEMENTS]) {
    let splat = L::Words::splat;
    let [low, high, codes @ ..] = block;
    let scale = L::splat([*low, *high].load());
    let (first, second) = values.split_at_mut(ELEMENTS / 2);
    unroll!(ELEMENTS / 2 / L::COUNT, |i| {
        let codes = L::Words::load_u8(span(codes, i * L::COUNT, L::COUNT));
        let low = (codes & splat(15)).minus(splat(8)).convert() * scale;
        let high = codes.shift_right::<4>().minus(splat(8)).convert() * scale;
        low.store(span_mut(first, i * L::COUNT, L::COUNT));
        high.store(span_mut(second, i * L::COUNT, L::COUNT));
    });
}

/// Reads 32 f32.
pub fn load(elements: &[F32; ELEMENTS]) -> [f32; ELEMENTS] {
    elements.map(Element::load)
}

/// The first value of that magnitude, which is rarely asked for: both signs occur with it, or all values are 0 or NaN.
#[inline(never)]
fn first_of_magnitude(values: &[F32; ELEMENTS], magnitude: f32) -> f32 {
    let mut values = values.iter().map(|value| value.load());
    match values.find(|value| value.abs() == magnitude) {
        Some(value) if magnitude != 0.0 => value,
        _ => 0.0,
    }
}

/// 0, from which the search for the largest value starts.
#[inline(always)]
fn nothing<L: Lanes>() -> L {
    let zero = 0.0;
    // For a comparison with a constant LLVM takes FMAXNM here, by which a signalling NaN wins, as no NaN may.
    #[cfg(target_arch = "aarch64")]
    let zero = core::hint::black_box(zero);
    L::splat(zero)
}

/// 1 / scale, and 0 for the scale 0 of a block of zeros.
#[inline(always)]
fn inverse(scale: f32) -> f32 {
    if scale != 0.0 { 1.0 / scale } else { 0.0 }
}
