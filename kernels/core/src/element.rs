use crate::{
    elementwise,
    lanes::{Lanes, Words},
    slice::{span, split, split_mut},
};

/// An f32 in linear memory: little-endian, at any address.
pub type F32 = [u8; 4];

/// An IEEE 754 binary16 in linear memory: little-endian, at any address.
pub type F16 = [u8; 2];

/// A stored floating-point number. All arithmetic is in f32.
///
/// Elements are byte arrays, so that a tensor can be viewed in place whatever the alignment of the caller's buffer; for
/// the compiler that is a plain load or store.
pub trait Element: Copy {
    /// Bytes of an element.
    const BYTES: u32;

    /// About how many operations it takes to load or to store some lanes.
    const OPERATIONS: usize;

    /// The values of the first elements, exact; 0 if there are too few.
    fn load_lanes<L: Lanes>(from: &[Self]) -> L;

    /// Stores the nearest elements, ties to even, at the front; nothing if there is too little room.
    fn store_lanes<L: Lanes>(values: L, into: &mut [Self]);

    /// [`load_lanes`](Self::load_lanes) of twice as many.
    fn load_pair<L: Lanes>(from: &[Self]) -> [L; 2];

    /// [`store_lanes`](Self::store_lanes) of twice as many.
    fn store_pair<L: Lanes>(values: [L; 2], into: &mut [Self]);

    /// The values as f32: themselves, or in `wide`, as many as fit there.
    fn wide<'a, L: Lanes>(from: &'a [Self], wide: &'a mut [F32]) -> &'a [F32];

    /// The nearest element, ties to even.
    fn store(value: f32) -> Self;

    /// The elements in `bytes`; a rest that is no whole element is left out.
    fn view(bytes: &[u8]) -> &[Self];

    /// The elements in `bytes`; a rest that is no whole element is left out.
    fn view_mut(bytes: &mut [u8]) -> &mut [Self];

    /// The value; exact.
    #[inline(always)]
    fn load(self) -> f32 {
        Self::load_lanes(&[self])
    }
}

impl Element for F32 {
    const BYTES: u32 = 4;
    const OPERATIONS: usize = 1;

    #[inline(always)]
    fn load_lanes<L: Lanes>(from: &[Self]) -> L {
        L::load(from)
    }

    #[inline(always)]
    fn store_lanes<L: Lanes>(values: L, into: &mut [Self]) {
        values.store(into);
    }

    #[inline(always)]
    fn load_pair<L: Lanes>(from: &[Self]) -> [L; 2] {
        [0, L::COUNT].map(|first| L::load(span(from, first, L::COUNT)))
    }

    #[inline(always)]
    fn store_pair<L: Lanes>([first, next]: [L; 2], into: &mut [Self]) {
        let (place, next_place) = split_mut(into, L::COUNT);
        first.store(place);
        next.store(next_place);
    }

    #[inline(always)]
    fn wide<'a, L: Lanes>(from: &'a [Self], _: &'a mut [F32]) -> &'a [F32] {
        from
    }

    #[inline(always)]
    fn store(value: f32) -> Self {
        value.to_le_bytes()
    }

    fn view(bytes: &[u8]) -> &[Self] {
        bytes.as_chunks().0
    }

    fn view_mut(bytes: &mut [u8]) -> &mut [Self] {
        bytes.as_chunks_mut().0
    }
}

impl Element for F16 {
    const BYTES: u32 = 2;
    const OPERATIONS: usize = 10;

    #[inline(always)]
    fn load_lanes<L: Lanes>(from: &[Self]) -> L {
        L::widen(from)
    }

    #[inline(always)]
    fn store_lanes<L: Lanes>(values: L, into: &mut [Self]) {
        values.narrow(into);
    }

    #[inline(always)]
    fn load_pair<L: Lanes>(from: &[Self]) -> [L; 2] {
        L::widen_pair(from)
    }

    #[inline(always)]
    fn store_pair<L: Lanes>(values: [L; 2], into: &mut [Self]) {
        L::narrow_pair(values, into);
    }

    #[inline(always)]
    fn wide<'a, L: Lanes>(from: &'a [Self], wide: &'a mut [F32]) -> &'a [F32] {
        elementwise::convert::<L, Self, F32>(from, wide);
        split(wide, from.len()).0
    }

    #[inline(always)]
    fn store(value: f32) -> Self {
        narrow(value).to_le_bytes()
    }

    fn view(bytes: &[u8]) -> &[Self] {
        bytes.as_chunks().0
    }

    fn view_mut(bytes: &mut [u8]) -> &mut [Self] {
        bytes.as_chunks_mut().0
    }
}

// The conversions have no branch: a branch costs fuel, and lanes have none. They never use the processor's own
// conversions, whose NaNs may differ. `lanes::four` has the same for eight numbers.

/// Bits of an f32 that a NaN alone exceeds, without its sign.
const INFINITY: u32 = 0x7f80_0000;
/// 2^-14, the smallest normal f16, as an f32.
const SMALLEST_NORMAL: u32 = 0x3880_0000;
/// What the biases of the two exponents differ by, in place.
const REBIAS: u32 = (127 - 15) << 23;

/// The f32 of binary16 bits; exact. A NaN becomes a quiet one.
///
/// The exponent is read as one near the top of f32, so that infinities and NaNs are there already. A subnormal number v, which
/// so has been given a leading bit, is twice (v - bit); for all others that is more than v, and v is right. No step has a subnormal
/// operand, for which some processors take long.
#[inline(always)]
pub(crate) fn widen(half: u16) -> f32 {
    let read = f32::from_bits(u32::from(half & 0x7fff) << 13 | WIDEN_BIT);
    let less = read - f32::from_bits(WIDEN_BIT);
    let sign = u32::from(half & 0x8000) << 16;
    read.or_smaller(less + less) * f32::from_bits(sign | WIDEN_SCALE)
}

/// 2^97, whose exponent and that of the largest f16 are the largest of f32.
pub(crate) const WIDEN_BIT: u32 = 224 << 23;
/// 2^-112, which makes numbers as large as they should be.
pub(crate) const WIDEN_SCALE: u32 = 15 << 23;

/// The nearest binary16 bits, ties to even. A NaN becomes the quiet NaN of its sign without payload.
#[inline(always)]
pub(crate) fn narrow(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits & 0x8000_0000) >> 16;
    let magnitude = bits & 0x7fff_ffff;
    // From 2^16 on everything is infinite. Half a unit is added, less one where the last bit that stays is even.
    let bounded = magnitude.smaller(0x4780_0000);
    let odd = bounded >> 13 & 1;
    let normal = bounded.wrapping_add(odd).wrapping_sub(REBIAS - 0xfff) >> 13;
    // The sum with 1/2 is rounded to multiples of 2^-24, which is what subnormals are.
    let half = 0x3f00_0000;
    let subnormal = (f32::from_bits(magnitude) + f32::from_bits(half))
        .to_bits()
        .wrapping_sub(half);
    let number = SMALLEST_NORMAL.greater(magnitude).select(subnormal, normal);
    let nan = magnitude.greater(INFINITY) & 0x7e00;
    (sign | number | nan) as u16
}
