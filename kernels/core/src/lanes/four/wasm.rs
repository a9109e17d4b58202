//! simd128, without relaxed operations: the same bits on every engine.

use core::arch::wasm32::{
    f32x4_add as add, f32x4_convert_i32x4 as convert, f32x4_div as div, f32x4_lt as less,
    f32x4_mul as mul, f32x4_pmax as or_greater, f32x4_sub as sub, i8x16_shuffle,
    i16x8_extend_low_i8x16, i32x4_add as plus, i32x4_extend_low_i16x8, i32x4_gt as greater,
    i32x4_max as larger, i32x4_min as smaller, i32x4_shl, i32x4_shuffle, i32x4_sub as minus,
    i32x4_trunc_sat_f32x4 as truncate, u16x8_extend_low_u8x16, u32x4, u32x4_extend_low_u16x8,
    u32x4_extract_lane, u32x4_shr, u32x4_splat as splat, u64x2, u64x2_extract_lane, v128,
    v128_and as and, v128_bitselect, v128_or as or,
};

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
fn extend_u16(elements: u64) -> v128 {
    u32x4_extend_low_u16x8(u64x2(elements, 0))
}

#[inline(always)]
fn extend_u8(bytes: u32) -> v128 {
    u32x4_extend_low_u16x8(u16x8_extend_low_u8x16(u32x4(bytes, 0, 0, 0)))
}

#[inline(always)]
fn extend_i8(bytes: u32) -> v128 {
    i32x4_extend_low_i16x8(i16x8_extend_low_i8x16(u32x4(bytes, 0, 0, 0)))
}

#[inline(always)]
fn low_u16(words: v128) -> u64 {
    u64x2_extract_lane::<0>(i8x16_shuffle::<
        0,
        1,
        4,
        5,
        8,
        9,
        12,
        13,
        0,
        1,
        4,
        5,
        8,
        9,
        12,
        13,
    >(words, words))
}

#[inline(always)]
fn low_u8(words: v128) -> u32 {
    u32x4_extract_lane::<0>(i8x16_shuffle::<
        0,
        4,
        8,
        12,
        0,
        4,
        8,
        12,
        0,
        4,
        8,
        12,
        0,
        4,
        8,
        12,
    >(words, words))
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
