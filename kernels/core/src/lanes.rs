//! Numbers that are computed side by side: one in base modules, four in SIMD variants.
//!
//! Kernels are written once, for any [`Lanes`]. Every operation rounds each lane as the scalar operation does, so a kernel
//! without sums across lanes gives the same bits whatever the number of lanes.

mod four;

pub use four::{F32x4, U32x4};

use core::ops::{Add, BitAnd, BitOr, Div, Mul, Sub};

use crate::{
    element::{self, F16, F32},
    slice::{span, split_mut},
};

/// Some f32 side by side.
pub trait Lanes:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// As many 32-bit words.
    type Words: Words<Floats = Self>;

    /// How many.
    const COUNT: usize;

    /// The same value in every lane.
    fn splat(value: f32) -> Self;

    /// The first elements; 0 if there are too few.
    fn load(from: &[F32]) -> Self;

    /// Writes the first elements; nothing if there are too few.
    fn store(self, into: &mut [F32]);

    /// The bits.
    fn to_bits(self) -> Self::Words;

    /// All bits set where `self` is less than `other`, none elsewhere and where one is NaN.
    fn less(self, other: Self) -> Self::Words;

    /// `other` where it is greater than `self`: a NaN in `other` never wins.
    fn or_greater(self, other: Self) -> Self;

    /// `other` where it is less than `self`: a NaN in `other` never wins.
    fn or_smaller(self, other: Self) -> Self;

    /// Truncation of numbers from -128 to 255 to the low byte. The bits above it mean nothing.
    fn truncate_to_byte(self) -> Self::Words;

    /// Writes, as bytes, half of each rounded to a whole number, halves away from zero; nothing if there is too little room. They are
    /// from -255 to 255.
    fn store_halves_rounded(values: [Self; 4], into: &mut [u8]);

    /// The first elements, exact; 0 if there are too few.
    fn widen(from: &[F16]) -> Self;

    /// [`widen`](Self::widen) of twice as many.
    fn widen_pair(from: &[F16]) -> [Self; 2];

    /// Writes the nearest elements, ties to even; nothing if there is too little room. A NaN is quiet, as all are that are computed.
    fn narrow(self, into: &mut [F16]);

    /// [`narrow`](Self::narrow) of twice as many.
    fn narrow_pair(values: [Self; 2], into: &mut [F16]);

    /// The lanes of even and of odd index of `self` followed by `next`.
    fn deinterleave(self, next: Self) -> (Self, Self);

    /// Undoes [`deinterleave`](Self::deinterleave).
    fn interleave(self, odd: Self) -> (Self, Self);

    /// Combines all lanes: of four (0 with 2) with (1 with 3).
    fn reduce(self, combine: impl Fn(f32, f32) -> f32) -> f32;

    /// The first lane.
    fn first(self) -> f32;

    /// Magnitude.
    #[inline(always)]
    fn abs(self) -> Self {
        (self.to_bits() & Self::Words::splat(0x7fff_ffff)).to_floats()
    }
}

/// Some 32-bit words side by side.
pub trait Words: Copy + BitAnd<Output = Self> + BitOr<Output = Self> {
    /// As many f32.
    type Floats: Lanes<Words = Self>;

    /// The same value in every lane.
    fn splat(value: u32) -> Self;

    /// The low and the high nibbles of four times as many bytes as numbers, from which `less` is taken; bytes are 0 if there
    /// are too few.
    fn load_nibbles(from: &[u8], less: u8) -> [[Self::Floats; 4]; 2];

    /// Sign-extended bytes; 0 if there are too few.
    fn load_i8(from: &[u8]) -> Self;

    /// Writes the low bytes; nothing if there is too little room.
    fn store_u8(words: [Self; 4], into: &mut [u8]);

    /// The sum modulo 2^32.
    fn plus(self, other: Self) -> Self;

    /// The difference modulo 2^32.
    fn minus(self, other: Self) -> Self;

    /// Bits moved up.
    fn shift_left<const BITS: u32>(self) -> Self;

    /// Bits moved down, zeros behind them.
    fn shift_right<const BITS: u32>(self) -> Self;

    /// All bits set where `self`, signed, is greater than `other`, none elsewhere.
    fn greater(self, other: Self) -> Self;

    /// The bits of `yes` where those of `self` are set, else those of `no`.
    fn select(self, yes: Self, no: Self) -> Self;

    /// Signed minimum.
    fn smaller(self, other: Self) -> Self;

    /// Signed maximum.
    fn larger(self, other: Self) -> Self;

    /// The largest of all lanes, signed, in each of them.
    fn largest(self) -> Self;

    /// In lane n the largest of all lanes of row n, signed. There is at least one row, and at most one for each lane.
    fn largest_of_each<const N: usize>(rows: [Self; N]) -> Self;

    /// A lane's word in every lane.
    fn broadcast(self, lane: usize) -> Self;

    /// Whether there is a bit in any lane.
    fn any(self) -> bool;

    /// The floats of these bits.
    fn to_floats(self) -> Self::Floats;

    /// The values, signed, as floats.
    fn convert(self) -> Self::Floats;
}

impl Lanes for f32 {
    type Words = u32;
    const COUNT: usize = 1;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        value
    }

    #[inline(always)]
    fn load(from: &[F32]) -> Self {
        from.first().map_or(0.0, |bytes| f32::from_le_bytes(*bytes))
    }

    #[inline(always)]
    fn store(self, into: &mut [F32]) {
        if let Some(place) = into.first_mut() {
            *place = self.to_le_bytes();
        }
    }

    #[inline(always)]
    fn to_bits(self) -> u32 {
        self.to_bits()
    }

    #[inline(always)]
    fn less(self, other: Self) -> u32 {
        if self < other { u32::MAX } else { 0 }
    }

    #[inline(always)]
    fn or_greater(self, other: Self) -> Self {
        if other > self { other } else { self }
    }

    #[inline(always)]
    fn or_smaller(self, other: Self) -> Self {
        if other < self { other } else { self }
    }

    #[inline(always)]
    fn truncate_to_byte(self) -> u32 {
        self as i32 as u32
    }

    #[inline(always)]
    fn store_halves_rounded(values: [Self; 4], into: &mut [u8]) {
        if let Some(place) = into.first_chunk_mut() {
            *place = values.map(|value| {
                let twice = value as i32;
                ((twice + 1 + (twice >> 31)) >> 1) as u8
            });
        }
    }

    #[inline(always)]
    fn widen(from: &[F16]) -> Self {
        element::widen(from.first().map_or(0, |bytes| u16::from_le_bytes(*bytes)))
    }

    #[inline(always)]
    fn widen_pair(from: &[F16]) -> [Self; 2] {
        [0, 1].map(|index| Self::widen(span(from, index, 1)))
    }

    #[inline(always)]
    fn narrow(self, into: &mut [F16]) {
        if let Some(place) = into.first_mut() {
            *place = element::narrow(self).to_le_bytes();
        }
    }

    #[inline(always)]
    fn narrow_pair([first, next]: [Self; 2], into: &mut [F16]) {
        let (place, next_place) = split_mut(into, 1);
        first.narrow(place);
        next.narrow(next_place);
    }

    #[inline(always)]
    fn deinterleave(self, next: Self) -> (Self, Self) {
        (self, next)
    }

    #[inline(always)]
    fn interleave(self, odd: Self) -> (Self, Self) {
        (self, odd)
    }

    #[inline(always)]
    fn reduce(self, _: impl Fn(f32, f32) -> f32) -> f32 {
        self
    }

    #[inline(always)]
    fn first(self) -> f32 {
        self
    }

    #[inline(always)]
    fn abs(self) -> Self {
        f32::abs(self)
    }
}

impl Words for u32 {
    type Floats = f32;

    #[inline(always)]
    fn splat(value: u32) -> Self {
        value
    }

    #[inline(always)]
    fn load_nibbles(from: &[u8], less: u8) -> [[f32; 4]; 2] {
        let bytes = from.first_chunk::<4>().copied().unwrap_or_default();
        let less = f32::from(less);
        [
            bytes.map(|byte| f32::from(byte & 15) - less),
            bytes.map(|byte| f32::from(byte >> 4) - less),
        ]
    }

    #[inline(always)]
    fn load_i8(from: &[u8]) -> Self {
        from.first().map_or(0, |byte| *byte as i8 as u32)
    }

    #[inline(always)]
    fn store_u8(words: [Self; 4], into: &mut [u8]) {
        if let Some(place) = into.first_chunk_mut() {
            *place = words.map(|word| word as u8);
        }
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    #[inline(always)]
    fn shift_left<const BITS: u32>(self) -> Self {
        self << BITS
    }

    #[inline(always)]
    fn shift_right<const BITS: u32>(self) -> Self {
        self >> BITS
    }

    #[inline(always)]
    fn greater(self, other: Self) -> Self {
        if (self as i32) > other as i32 {
            u32::MAX
        } else {
            0
        }
    }

    #[inline(always)]
    fn select(self, yes: Self, no: Self) -> Self {
        // A mask has all bits or none; as a condition it compiles to a select.
        if self != 0 { yes } else { no }
    }

    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        (self as i32).min(other as i32) as u32
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        (self as i32).max(other as i32) as u32
    }

    #[inline(always)]
    fn largest(self) -> Self {
        self
    }

    #[inline(always)]
    fn largest_of_each<const N: usize>(rows: [Self; N]) -> Self {
        rows.first().copied().unwrap_or_default()
    }

    #[inline(always)]
    fn broadcast(self, _: usize) -> Self {
        self
    }

    #[inline(always)]
    fn any(self) -> bool {
        self != 0
    }

    #[inline(always)]
    fn to_floats(self) -> f32 {
        f32::from_bits(self)
    }

    #[inline(always)]
    fn convert(self) -> f32 {
        self as i32 as f32
    }
}
