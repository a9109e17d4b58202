//! simd128, without relaxed operations: the same bits on every engine.

use core::arch::wasm32::{
    f32x4_add as add, f32x4_convert_i32x4 as convert, f32x4_div as div, f32x4_lt as less,
    f32x4_mul as mul, f32x4_pmax as or_greater, f32x4_pmin as or_smaller, f32x4_splat,
    f32x4_sub as sub, f32x4_trunc, i8x16_narrow_i16x8, i8x16_shuffle, i16x8_add as plus_halves,
    i16x8_extend_low_i8x16, i16x8_narrow_i32x4 as saturate_to_halves, i16x8_shl, i16x8_shr,
    i16x8_shuffle, i32x4_add as plus, i32x4_extend_low_i16x8, i32x4_gt as greater,
    i32x4_max as larger, i32x4_min as smaller, i32x4_shl, i32x4_shuffle, i32x4_sub as minus,
    u16x8_avgr as mean_of_halves, u16x8_min as smaller_unsigned_halves, u16x8_shr,
    u16x8_sub_sat as minus_saturated, u32x4, u32x4_shr, u32x4_splat as splat, u64x2,
    u64x2_extract_lane, v128, v128_and as and, v128_any_true as any, v128_bitselect, v128_or as or,
};

use crate::element;

type Floats = v128;
type Integers = v128;

super::four_lanes!();

#[inline(always)]
fn floats(bits: v128) -> v128 {
    bits
}

#[inline(always)]
fn bits(floats: v128) -> v128 {
    floats
}

#[inline(always)]
fn from_bytes(bytes: [u8; 16]) -> v128 {
    // SAFETY: both are 16 bytes of which every value is valid.
    #[allow(unsafe_code)]
    unsafe {
        core::mem::transmute(bytes)
    }
}

#[inline(always)]
fn to_bytes(integers: v128) -> [u8; 16] {
    // SAFETY: both are 16 bytes of which every value is valid.
    #[allow(unsafe_code)]
    unsafe {
        core::mem::transmute(integers)
    }
}

#[inline(always)]
fn extend_i8(bytes: u32) -> v128 {
    i32x4_extend_low_i16x8(i16x8_extend_low_i8x16(u32x4(bytes, 0, 0, 0)))
}

/// Adding this leaves a whole number below 2^22 in the low bits.
const WHOLE: f32 = 12_582_912.0;

#[inline(always)]
fn truncate_to_byte(values: v128) -> v128 {
    // `trunc_sat` takes engines many more steps.
    add(f32x4_trunc(values), f32x4_splat(WHOLE))
}

/// The low halves of eight words.
#[inline(always)]
fn lower_halves(first: v128, next: v128) -> v128 {
    i16x8_shuffle::<0, 2, 4, 6, 8, 10, 12, 14>(first, next)
}

/// The high halves of eight words.
#[inline(always)]
fn upper_halves(first: v128, next: v128) -> v128 {
    i16x8_shuffle::<1, 3, 5, 7, 9, 11, 13, 15>(first, next)
}

/// Half of each as a whole number, halves away from zero.
#[inline(always)]
fn halves_rounded(values: [F32x4; 4]) -> v128 {
    let [a, b, c, d] = values.map(|value| truncate_to_byte(value.0));
    // The mean with 0, and with -1 below zero, rounded up. Sums of it have one bit more.
    let halved = |a, b| {
        let twice = lower_halves(a, b);
        mean_of_halves(twice, i16x8_shr(twice, 15))
    };
    i8x16_narrow_i16x8(halved(a, b), halved(c, d))
}

#[inline(always)]
fn broadcast(words: v128, lane: usize) -> v128 {
    match lane {
        0 => i32x4_shuffle::<0, 0, 0, 0>(words, words),
        1 => i32x4_shuffle::<1, 1, 1, 1>(words, words),
        2 => i32x4_shuffle::<2, 2, 2, 2>(words, words),
        _ => i32x4_shuffle::<3, 3, 3, 3>(words, words),
    }
}

#[inline(always)]
fn halves_of(low: u64) -> v128 {
    u64x2(low, 0)
}

#[inline(always)]
fn low_u64(words: v128) -> u64 {
    u64x2_extract_lane::<0>(words)
}

#[inline(always)]
fn shift_left_halves<const BITS: u32>(halves: v128) -> v128 {
    i16x8_shl(halves, BITS)
}

#[inline(always)]
fn shift_right_halves<const BITS: u32>(halves: v128) -> v128 {
    u16x8_shr(halves, BITS)
}

#[inline(always)]
fn interleave_halves(even: v128, odd: v128) -> [v128; 2] {
    [
        i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(even, odd),
        i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(even, odd),
    ]
}

#[inline(always)]
fn interleave_bytes(even: v128, odd: v128) -> [v128; 2] {
    [
        i8x16_shuffle::<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(even, odd),
        i8x16_shuffle::<8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31>(even, odd),
    ]
}

#[inline(always)]
fn transpose_bytes(words: v128) -> v128 {
    i8x16_shuffle::<0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15>(words, words)
}

#[inline(always)]
fn swap_pairs(words: v128) -> v128 {
    i32x4_shuffle::<2, 3, 0, 1>(words, words)
}

#[inline(always)]
fn swap_within_pairs(words: v128) -> v128 {
    i32x4_shuffle::<1, 0, 3, 2>(words, words)
}

#[inline(always)]
fn shift_left<const BITS: u32>(words: v128) -> v128 {
    i32x4_shl(words, BITS)
}

#[inline(always)]
fn shift_right<const BITS: u32>(words: v128) -> v128 {
    u32x4_shr(words, BITS)
}

#[inline(always)]
fn select(mask: v128, yes: v128, no: v128) -> v128 {
    v128_bitselect(yes, no, mask)
}

#[inline(always)]
fn deinterleave(first: v128, next: v128) -> (v128, v128) {
    (
        i32x4_shuffle::<0, 2, 4, 6>(first, next),
        i32x4_shuffle::<1, 3, 5, 7>(first, next),
    )
}

#[inline(always)]
fn interleave(even: v128, odd: v128) -> (v128, v128) {
    (
        i32x4_shuffle::<0, 4, 1, 5>(even, odd),
        i32x4_shuffle::<2, 6, 3, 7>(even, odd),
    )
}

/// The low and the high nibbles of sixteen bytes as numbers, from which `less` is taken.
#[inline(always)]
fn nibbles_as_numbers(bytes: v128, less: u8) -> [[F32x4; 4]; 2] {
    let mask = splat(0x0f0f_0f0f);
    let high = shift_right_halves::<4>(bytes);
    [
        bytes_as_numbers(and(bytes, mask), less),
        bytes_as_numbers(and(high, mask), less),
    ]
}

/// The low bytes of sixteen words.
#[inline(always)]
fn low_bytes(words: [U32x4; 4]) -> v128 {
    // Byte i of word j is that of word j of vector i, which belongs to place 4 * i + j.
    let [a, b, c, d] = words.map(|word| word.0);
    let [a, b, c] = [a, b, c].map(|word| and(word, splat(0xff)));
    let low = or(a, shift_left::<8>(b));
    let high = or(shift_left::<16>(c), shift_left::<24>(d));
    transpose_bytes(or(low, high))
}

/// Sixteen bytes as numbers, from which `less` is taken.
#[inline(always)]
fn bytes_as_numbers(bytes: Integers, less: u8) -> [F32x4; 4] {
    // As the low byte of 2^23, which is then taken off.
    let [low, high] = interleave_bytes(bytes, splat(0));
    let top = splat(u32::from_le_bytes([0, 0x4b, 0, 0x4b]));
    let base = floats(splat((8_388_608.0 + f32::from(less)).to_bits()));
    let number = |words| F32x4(sub(floats(words), base));
    let [[a, b], [c, d]] = [interleave_halves(low, top), interleave_halves(high, top)];
    [number(a), number(b), number(c), number(d)]
}

/// The f32 of eight binary16 bits, as `element::widen` has it.
#[inline(always)]
fn widen_halves(halves: Integers) -> [F32x4; 2] {
    let upper = |word: u32| splat((word >> 16) * 0x1_0001);
    let (bit, scale) = (element::WIDEN_BIT, element::WIDEN_SCALE);
    let low = shift_left_halves::<13>(halves);
    let magnitude = shift_right_halves::<3>(and(halves, splat(0x7fff_7fff)));
    let sign = and(halves, upper(0x8000_0000));
    let reads = interleave_halves(low, or(magnitude, upper(bit)));
    let scales = interleave_halves(splat(0), or(sign, upper(scale)));
    let bit = floats(splat(bit));
    let value = |read: Integers, scale: Integers| {
        let less = sub(floats(read), bit);
        F32x4(mul(
            or_smaller(floats(read), add(less, less)),
            floats(scale),
        ))
    };
    [value(reads[0], scales[0]), value(reads[1], scales[1])]
}

/// The nearest binary16 bits of eight numbers, ties to even.
///
/// A power of two is added to each that leaves as many bits of it as an f16 has, and none below 2^-24. By so many steps of the
/// sum, the mantissa with its leading bit, the sum's bits are more than the power's; of what is infinite, or a NaN, by so many that
/// they saturate. The exponent is that of the upper half of a number's bits.
#[inline(always)]
fn narrow_to_halves([first, next]: [F32x4; 2]) -> Integers {
    let both = |half: u16| splat(u32::from(half) * 0x1_0001);
    let upper = upper_halves(bits(first.0), bits(next.0));
    let magnitude = and(upper, both(0x7fff));
    let sign = and(upper, both(0x8000));
    // By how much the exponent exceeds that of 2^-14, and at most that of 2^16, in its place. The power for 2^-14 is 1/2.
    let exponent = minus_saturated(magnitude, both(0x3880));
    let exponent = and(
        smaller_unsigned_halves(exponent, both(30 << 7)),
        both(0x7f80),
    );
    let power = or(plus_halves(exponent, both(0x3f00)), sign);
    let [power, next_power] = interleave_halves(splat(0), power);
    let steps = |value: F32x4, power| minus(bits(add(value.0, floats(power))), power);
    let mantissa = saturate_to_halves(steps(first, power), steps(next, next_power));
    let number = plus_halves(shift_left_halves::<3>(exponent), mantissa);
    // The quiet bit of a NaN, which has it as all do that are computed, is one of an f16 three places further up.
    let nan = shift_left_halves::<3>(minus_saturated(magnitude, both(0x7f80)));
    let infinity = or(and(nan, both(0x0200)), both(0x7c00));
    or(smaller_unsigned_halves(number, infinity), sign)
}
