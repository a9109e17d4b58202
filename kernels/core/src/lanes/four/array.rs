//! Arrays, lane by lane.

use core::array::from_fn;

use crate::{
    element,
    lanes::{Lanes, Words},
};

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
    or_smaller(f32) -> f32 = Lanes::or_smaller;
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
fn convert(words: Integers) -> Floats {
    words.map(Words::convert)
}

#[inline(always)]
fn extend_i8(bytes: u32) -> Integers {
    bytes.to_le_bytes().map(|byte| byte as i8 as u32)
}

#[inline(always)]
fn truncate_to_byte(values: Floats) -> Integers {
    values.map(Lanes::truncate_to_byte)
}

/// Half of each as a whole number, halves away from zero.
#[inline(always)]
fn halves_rounded(values: [F32x4; 4]) -> Integers {
    values.map(|values| {
        let mut bytes = [0; 4];
        Lanes::store_halves_rounded(values.0, &mut bytes);
        u32::from_le_bytes(bytes)
    })
}

#[inline(always)]
fn broadcast(words: Integers, lane: usize) -> Integers {
    words.map(|word| *words.get(lane).unwrap_or(&word))
}

#[inline(always)]
fn any(words: Integers) -> bool {
    words.into_iter().any(|word| word != 0)
}

#[inline(always)]
fn halves_of(low: u64) -> Integers {
    [low as u32, (low >> 32) as u32, 0, 0]
}

#[inline(always)]
fn low_u64([low, high, ..]: Integers) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// The f32 of eight binary16 bits.
#[inline(always)]
fn widen_halves(halves: Integers) -> [F32x4; 2] {
    [0, 2].map(|first| {
        F32x4(from_fn(|lane| {
            element::widen((halves[first + lane / 2] >> (16 * (lane % 2))) as u16)
        }))
    })
}

/// The nearest binary16 bits of eight numbers, ties to even.
#[inline(always)]
fn narrow_to_halves(values: [F32x4; 2]) -> Integers {
    from_fn(|word| {
        let values = values[word / 2].0;
        let [low, high] = [0, 1].map(|half| element::narrow(values[word % 2 * 2 + half]));
        u32::from(high) << 16 | u32::from(low)
    })
}

/// The low and the high nibbles of sixteen bytes as numbers, from which `less` is taken.
#[inline(always)]
fn nibbles_as_numbers(bytes: Integers, less: u8) -> [[F32x4; 4]; 2] {
    let less = f32::from(less);
    [0, 4].map(|bits| {
        bytes.map(|word| {
            F32x4(
                word.to_le_bytes()
                    .map(|byte| f32::from(byte >> bits & 15) - less),
            )
        })
    })
}

/// The low bytes of sixteen words.
#[inline(always)]
fn low_bytes(words: [U32x4; 4]) -> Integers {
    words.map(|words| u32::from_le_bytes(words.0.map(|word| word as u8)))
}

#[inline(always)]
fn swap_pairs([a, b, c, d]: Integers) -> Integers {
    [c, d, a, b]
}

#[inline(always)]
fn swap_within_pairs([a, b, c, d]: Integers) -> Integers {
    [b, a, d, c]
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
