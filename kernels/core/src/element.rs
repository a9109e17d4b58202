use crate::lanes::{Lanes, Words};

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
    const OPERATIONS: usize = 16;

    #[inline(always)]
    fn load_lanes<L: Lanes>(from: &[Self]) -> L {
        widen(L::Words::load_u16(from))
    }

    #[inline(always)]
    fn store_lanes<L: Lanes>(values: L, into: &mut [Self]) {
        narrow(values).store_u16(into);
    }

    #[inline(always)]
    fn store(value: f32) -> Self {
        (narrow(value) as u16).to_le_bytes()
    }

    fn view(bytes: &[u8]) -> &[Self] {
        bytes.as_chunks().0
    }

    fn view_mut(bytes: &mut [u8]) -> &mut [Self] {
        bytes.as_chunks_mut().0
    }
}

// The conversions have no branch: a branch costs fuel, and lanes have none. They never use the processor's own
// conversions, whose NaNs may differ.

/// Bits of an f32 that a NaN alone exceeds, without its sign.
const INFINITY: u32 = 0x7f80_0000;
/// 2^-14, the smallest normal f16, as an f32.
const SMALLEST_NORMAL: u32 = 0x3880_0000;
/// What the biases of the two exponents differ by, in place.
const REBIAS: u32 = (127 - 15) << 23;

/// The f32 of binary16 bits; exact. A NaN keeps its sign and payload.
#[inline(always)]
fn widen<W: Words>(half: W) -> W::Floats {
    let sign = (half & W::splat(0x8000)).shift_left::<16>();
    let magnitude = (half & W::splat(0x7fff)).shift_left::<13>();
    let normal = magnitude.plus(W::splat(REBIAS));
    // A subnormal is read as if it had the leading bit of the smallest normal number, which is then taken off.
    let one = W::splat(SMALLEST_NORMAL);
    let subnormal = (magnitude.plus(one).to_floats() - one.to_floats()).to_bits();
    let finite = W::splat(0x0080_0000)
        .greater(magnitude)
        .select(subnormal, normal);
    let special = magnitude.greater(W::splat(0x7bff << 13)) & W::splat(INFINITY);
    (sign | finite | special).to_floats()
}

/// The nearest binary16 bits, ties to even, in the low half. A NaN becomes the quiet NaN of its sign without payload.
#[inline(always)]
fn narrow<L: Lanes>(value: L) -> L::Words {
    let splat = L::Words::splat;
    let bits = value.to_bits();
    let sign = (bits & splat(0x8000_0000)).shift_right::<16>();
    let magnitude = bits & splat(0x7fff_ffff);
    // From 2^16 on everything is infinite. Half a unit is added, less one where the last bit that stays is even.
    let bounded = magnitude.smaller(splat(0x4780_0000));
    let odd = bounded.shift_right::<13>() & splat(1);
    let normal = bounded
        .plus(odd)
        .minus(splat(REBIAS - 0xfff))
        .shift_right::<13>();
    // The sum with 1/2 is rounded to multiples of 2^-24, which is what subnormals are.
    let half = splat(0x3f00_0000);
    let subnormal = (magnitude.to_floats() + half.to_floats())
        .to_bits()
        .minus(half);
    let number = splat(SMALLEST_NORMAL)
        .greater(magnitude)
        .select(subnormal, normal);
    let nan = magnitude.greater(splat(INFINITY)) & splat(0x7e00);
    sign | number | nan
}
