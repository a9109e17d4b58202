//! Arrays, lane by lane.

use core::array::from_fn;

use crate::lanes::{Lanes, Words};

type Floats = [f32; 4];
type Integers = [u32; 4];

super::four_lanes!();

/// Functions that do the scalar operation in each lane.
macro_rules! lane_by_lane {
    ($($name:ident($type:ty) -> $result:ty = $operation:expr;)*) => {
        $(
            #[inline(always)]
            fn $name(left: [$type; 4], right: [$type; 4]) -> [$result; 4] {
                from_fn(|lane| $operation(left[lane], right[lane]))
            }
        )*
    };
}

lane_by_lane! {
    add(f32) -> f32 = core::ops::Add::add;
    sub(f32) -> f32 = core::ops::Sub::sub;
    mul(f32) -> f32 = core::ops::Mul::mul;
    div(f32) -> f32 = core::ops::Div::div;
    less(f32) -> u32 = Lanes::less;
    or_greater(f32) -> f32 = Lanes::or_greater;
    and(u32) -> u32 = core::ops::BitAnd::bitand;
    or(u32) -> u32 = core::ops::BitOr::bitor;
    plus(u32) -> u32 = Words::plus;
    minus(u32) -> u32 = Words::minus;
    greater(u32) -> u32 = Words::greater;
    smaller(u32) -> u32 = Words::smaller;
    larger(u32) -> u32 = Words::larger;
}

#[inline(always)]
fn splat(value: u32) -> Integers {
    [value; 4]
}

#[inline(always)]
fn floats(bits: Integers) -> Floats {
    bits.map(f32::from_bits)
}

#[inline(always)]
fn bits(floats: Floats) -> Integers {
    floats.map(f32::to_bits)
}

#[inline(always)]
fn from_bytes(bytes: [u8; 16]) -> Integers {
    from_fn(|lane| u32::from_le_bytes(from_fn(|byte| bytes[4 * lane + byte])))
}

#[inline(always)]
fn to_bytes(integers: Integers) -> [u8; 16] {
    from_fn(|byte| integers[byte / 4].to_le_bytes()[byte % 4])
}

#[inline(always)]
fn truncate(values: Floats) -> Integers {
    values.map(Lanes::truncate)
}

#[inline(always)]
fn convert(words: Integers) -> Floats {
    words.map(Words::convert)
}

#[inline(always)]
fn extend_u16(elements: u64) -> Integers {
    from_fn(|lane| (elements >> (16 * lane)) as u32 & 0xffff)
}

#[inline(always)]
fn extend_u8(bytes: u32) -> Integers {
    bytes.to_le_bytes().map(u32::from)
}

#[inline(always)]
fn extend_i8(bytes: u32) -> Integers {
    bytes.to_le_bytes().map(|byte| byte as i8 as u32)
}

#[inline(always)]
fn low_u16(words: Integers) -> u64 {
    let join = |low, word: &u32| low << 16 | u64::from(word & 0xffff);
    words.iter().rev().fold(0, join)
}

#[inline(always)]
fn low_u8(words: Integers) -> u32 {
    u32::from_le_bytes(words.map(|word| word as u8))
}

#[inline(always)]
fn shift_left<const BITS: u32>(words: Integers) -> Integers {
    words.map(|word| word << BITS)
}

#[inline(always)]
fn shift_right<const BITS: u32>(words: Integers) -> Integers {
    words.map(|word| word >> BITS)
}

#[inline(always)]
fn select(mask: Integers, yes: Integers, no: Integers) -> Integers {
    from_fn(|lane| (mask[lane] & yes[lane]) | (!mask[lane] & no[lane]))
}

#[inline(always)]
fn deinterleave([a, b, c, d]: Floats, [e, f, g, h]: Floats) -> (Floats, Floats) {
    ([a, c, e, g], [b, d, f, h])
}

#[inline(always)]
fn interleave([a, b, c, d]: Floats, [e, f, g, h]: Floats) -> (Floats, Floats) {
    ([a, e, b, f], [c, g, d, h])
}
