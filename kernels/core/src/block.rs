//! GGUF blocks of 32 elements: Q8_0 and Q4_0.

use core::{array::from_mut, array::from_ref};

use kernel_abi::block::{ELEMENTS, Q4_BYTES, Q8_BYTES};

use crate::{
    element::{Element, F16, F32},
    lanes::{Lanes, Words},
    slice::{span, span_mut},
    unroll::{in_order, unroll},
};

/// The magnitude below one half that, added to a value, makes truncation round halves away from zero. With 0.5 itself
/// the sum of the largest float below one half would round up to 1.
const JUST_BELOW_HALF: u32 = 0x3eff_ffff;

/// Quantises 32 values to a Q8_0 block: f16 scale max|x| / 127, then codes rounded half away from zero.
#[inline(always)]
pub fn pack_q8<L: Lanes>(values: &[F32; ELEMENTS], block: &mut [u8; Q8_BYTES]) {
    pack_q8_blocks::<L, 1>(from_ref(values), from_mut(block));
}

/// [`pack_q8`] of some blocks, at most as many as there are lanes: what is done once for a block is done side by side for all.
#[inline(always)]
pub(crate) fn pack_q8_blocks<L: Lanes, const N: usize>(
    values: &[[F32; ELEMENTS]; N],
    blocks: &mut [[u8; Q8_BYTES]; N],
) {
    let scales = scales_of_q8::<L, N>(values, blocks);
    codes_of_q8_blocks(values, scales, blocks);
}

/// [`pack_q8_blocks`] of twice four: the codes of some do not wait for their scales while the scales of others are computed.
#[inline(always)]
pub(crate) fn pack_eight_q8_blocks<L: Lanes>(
    values: &[[F32; ELEMENTS]; 8],
    blocks: &mut [[u8; Q8_BYTES]; 8],
) {
    if let (Some(first), Some(next)) = (values.first_chunk::<4>(), values.last_chunk::<4>())
        && let Some((first_blocks, rest)) = blocks.split_first_chunk_mut::<4>()
        && let Some(next_blocks) = rest.first_chunk_mut::<4>()
    {
        let first_scales = scales_of_q8::<L, 4>(first, first_blocks);
        let next_scales = scales_of_q8::<L, 4>(next, next_blocks);
        codes_of_q8_blocks(first, first_scales, first_blocks);
        codes_of_q8_blocks(next, next_scales, next_blocks);
    }
}

/// What the codes of some blocks need: twice the inverses of their scales, and what is set where a block is unusual.
struct Scales<L: Lanes> {
    doubles: L,
    unusual: L::Words,
}

/// Stores the scales of some blocks. Several lanes also use the last block's codes, to hand their largest values and inverses on in memory.
#[inline(always)]
fn scales_of_q8<L: Lanes, const N: usize>(
    values: &[[F32; ELEMENTS]; N],
    blocks: &mut [[u8; Q8_BYTES]; N],
) -> Scales<L> {
    let splat = L::Words::splat;
    let mut largest = [splat(0); N];
    if const { L::COUNT == 1 } {
        unroll!(4: N, |n| largest[n] = magnitude_of_q8::<L>(&values[n]));
    } else {
        unroll!(4: N, |n| {
            let magnitude = magnitude_of_q8::<L>(&values[n]);
            magnitude.to_floats().store(F32::view_mut(&mut blocks[n]));
        });
        in_order();
        unroll!(4: N, |n| largest[n] = L::load(F32::view(&blocks[n])).to_bits());
    }
    // Infinite or NaN if one of the values is.
    let scales = L::Words::largest_of_each(largest).to_floats() / L::splat(127.0);
    // 0 for the scale 0 of a block of zeros.
    let doubles = L::splat(2.0) / scales;
    let doubles = (doubles.to_bits() & L::splat(0.0).less(scales)).to_floats();
    let bits = scales.to_bits();
    let small = splat(LEAST_SCALE).greater(bits) & bits.greater(splat(0));
    let unusual = small | bits.greater(splat(LARGEST_SCALE));
    let mut stored = [F16::default(); MOST_BLOCKS];
    scales.narrow(&mut stored);
    unroll!(4: N, |n| {
        let [low, high, ..] = &mut blocks[n];
        [*low, *high] = stored.get(n).copied().unwrap_or_default();
    });
    if L::COUNT > 1 {
        doubles.store(span_mut(F32::view_mut(&mut blocks[N - 1]), 4, L::COUNT));
    }
    Scales { doubles, unusual }
}

/// Stores the codes of some blocks.
#[inline(always)]
fn codes_of_q8_blocks<L: Lanes, const N: usize>(
    values: &[[F32; ELEMENTS]; N],
    scales: Scales<L>,
    blocks: &mut [[u8; Q8_BYTES]; N],
) {
    let doubles = if L::COUNT == 1 {
        scales.doubles
    } else {
        in_order();
        L::load(span(F32::view(&blocks[N - 1]), 4, L::COUNT))
    };
    unroll!(4: N, |n| {
        let [_, _, codes @ ..] = &mut blocks[n];
        codes_of_q8(
            &values[n],
            doubles.to_bits().broadcast(n).to_floats(),
            codes,
        );
    });
    if scales.unusual.any() {
        for (values, block) in values.iter().zip(blocks) {
            pack_unusual_q8(values, block);
        }
    }
}

/// Blocks that are packed together.
const MOST_BLOCKS: usize = 4;

/// The largest magnitudes of a block, as bits.
#[inline(always)]
fn magnitude_of_q8<L: Lanes>(values: &[F32; ELEMENTS]) -> L::Words {
    let splat = L::Words::splat;
    let mut largest = splat(0);
    unroll!(32: ELEMENTS / L::COUNT, |i| {
        largest = largest.larger(group::<L>(values, i).to_bits() & splat(0x7fff_ffff));
    });
    largest
}

/// The codes of a Q8_0 block, from twice the inverse of its scale.
#[inline(always)]
fn codes_of_q8<L: Lanes>(values: &[F32; ELEMENTS], double: L, codes: &mut [u8; ELEMENTS]) {
    unroll!(8: ELEMENTS / 4 / L::COUNT, |i| {
        let mut four = [L::splat(0.0); 4];
        unroll!(4: 4, |j| four[j] = group::<L>(values, 4 * i + j) * double);
        L::store_halves_rounded(four, span_mut(codes, 4 * i * L::COUNT, 4 * L::COUNT));
    });
}

/// The bits of the least scale whose inverse has a double.
const LEAST_SCALE: u32 = 0x0040_0001;
/// Those of the largest that is finite.
const LARGEST_SCALE: u32 = 0x7f7f_ffff;

/// [`pack_q8`] of whatever values: NaNs, which are no largest value, infinities, and values so small that their codes saturate.
#[inline(never)]
fn pack_unusual_q8(values: &[F32; ELEMENTS], block: &mut [u8; Q8_BYTES]) {
    let values = values.map(Element::load);
    let largest = values.iter().fold(nothing(), |largest: f32, value| {
        largest.or_greater(value.abs())
    });
    let scale = largest / 127.0;
    let inverse = inverse(scale);
    let [low, high, codes @ ..] = block;
    [*low, *high] = F16::store(scale);
    for (code, value) in codes.iter_mut().zip(values) {
        let exact = value * inverse;
        let half = f32::from_bits(exact.to_bits() & 0x8000_0000 | JUST_BELOW_HALF);
        *code = (exact + half) as i8 as u8;
    }
}

/// Quantises 32 values to a Q4_0 block: f16 scale m / -8 with m the first value of largest magnitude, then nibbles
/// min(15, trunc(x / scale + 8.5)), element j low and element j + 16 high.
#[inline(always)]
pub fn pack_q4<L: Lanes>(values: &[F32; ELEMENTS], block: &mut [u8; Q4_BYTES]) {
    pack_q4_blocks::<L, 1>(from_ref(values), from_mut(block));
}

/// [`pack_q4`] of some blocks, as [`pack_q8_blocks`] does it.
#[inline(always)]
pub(crate) fn pack_q4_blocks<L: Lanes, const N: usize>(
    values: &[[F32; ELEMENTS]; N],
    blocks: &mut [[u8; Q4_BYTES]; N],
) {
    let mut inverses = [0.0; N];
    unroll!(4: N, |n| {
        let [low, high, ..] = &mut blocks[n];
        let scale = scale_of_q4::<L>(&values[n]);
        inverses[n] = inverse(scale);
        [*low, *high] = F16::store(scale);
    });
    unroll!(4: N, |n| {
        let [_, _, codes @ ..] = &mut blocks[n];
        codes_of_q4(&values[n], L::splat(inverses[n]), codes);
    });
}

/// The scale of a Q4_0 block.
#[inline(always)]
fn scale_of_q4<L: Lanes>(values: &[F32; ELEMENTS]) -> f32 {
    let (mut top, mut bottom) = (nothing::<L>(), nothing::<L>());
    unroll!(32: ELEMENTS / L::COUNT, |i| {
        let value = group(values, i);
        top = top.or_greater(value);
        bottom = bottom.or_smaller(value);
    });
    // No number here is below 0, so that their bits are in their order.
    let largest = |values: L| values.to_bits().largest().to_floats().first();
    let (top, bottom) = (largest(top), largest(L::splat(0.0) - bottom));
    let signed = if top > bottom {
        top
    } else if bottom > top {
        -bottom
    } else {
        first_of_magnitude(values, top)
    };
    signed / -8.0
}

/// The codes of a Q4_0 block.
#[inline(always)]
fn codes_of_q4<L: Lanes>(values: &[F32; ELEMENTS], inverse: L, codes: &mut [u8; ELEMENTS / 2]) {
    // Saturating: a NaN and what lies below 0 give 0.
    let nibble = |i: usize| {
        let exact = group::<L>(values, i) * inverse + L::splat(8.5);
        let bounded = L::splat(0.0).or_greater(exact).or_smaller(L::splat(15.0));
        bounded.truncate_to_byte()
    };
    let code = |i: usize| nibble(i) | nibble(i + ELEMENTS / 2 / L::COUNT).shift_left::<4>();
    store_codes::<L, _>(codes, code);
}

/// Stores the codes of a block, four groups at a time.
#[inline(always)]
fn store_codes<L: Lanes, const BYTES: usize>(
    codes: &mut [u8; BYTES],
    code: impl Fn(usize) -> L::Words,
) {
    unroll!(8: BYTES / 4 / L::COUNT, |i| {
        let four = [
            code(4 * i),
            code(4 * i + 1),
            code(4 * i + 2),
            code(4 * i + 3),
        ];
        L::Words::store_u8(four, span_mut(codes, 4 * i * L::COUNT, 4 * L::COUNT));
    });
}

/// Some values of a block side by side.
#[inline(always)]
fn group<L: Lanes>(values: &[F32; ELEMENTS], number: usize) -> L {
    L::load(span(values, number * L::COUNT, L::COUNT))
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
    unroll!(32: N / L::COUNT, |i| {
        let codes = L::Words::load_i8(span(codes, i * L::COUNT, L::COUNT));
        (codes.convert() * scale).store(span_mut(values, i * L::COUNT, L::COUNT));
    });
}

/// The 32 values of a Q4_0 block: (nibble - 8) * scale.
#[inline(always)]
pub fn unpack_q4<L: Lanes>(block: &[u8; Q4_BYTES], values: &mut [F32; ELEMENTS]) {
    let [low, high, codes @ ..] = block;
    let scale = L::splat([*low, *high].load());
    let (first, second) = values.split_at_mut(ELEMENTS / 2);
    unroll!(4: ELEMENTS / 8 / L::COUNT, |i| {
        let at = 4 * i * L::COUNT;
        let [low, high] = L::Words::load_nibbles(span(codes, at, 4 * L::COUNT), 8);
        store_scaled(low, scale, span_mut(first, at, 4 * L::COUNT));
        store_scaled(high, scale, span_mut(second, at, 4 * L::COUNT));
    });
}

#[inline(always)]
fn store_scaled<L: Lanes>(numbers: [L; 4], scale: L, into: &mut [F32]) {
    unroll!(4: 4, |i| (numbers[i] * scale).store(span_mut(
        into,
        i * L::COUNT,
        L::COUNT
    )));
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
