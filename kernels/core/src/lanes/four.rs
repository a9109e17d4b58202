//! Four lanes: 128-bit registers of WebAssembly, arrays elsewhere. Both give the same bits.

#[cfg(not(all(target_family = "wasm", target_feature = "simd128")))]
mod array;
#[cfg(all(target_family = "wasm", target_feature = "simd128"))]
mod wasm;

#[cfg(not(all(target_family = "wasm", target_feature = "simd128")))]
use array as register;
#[cfg(all(target_family = "wasm", target_feature = "simd128"))]
use wasm as register;

pub use register::{F32x4, U32x4};

/// Implements both traits for the `F32x4` and `U32x4` of a module, from functions of that module on its registers.
macro_rules! four_lanes {
    () => {
        /// Four f32.
        #[derive(Clone, Copy, Debug)]
        pub struct F32x4(Floats);

        /// Four 32-bit words.
        #[derive(Clone, Copy, Debug)]
        pub struct U32x4(Integers);

        $crate::lanes::four::four_lanes!(@operator F32x4 Add::add = add);
        $crate::lanes::four::four_lanes!(@operator F32x4 Sub::sub = sub);
        $crate::lanes::four::four_lanes!(@operator F32x4 Mul::mul = mul);
        $crate::lanes::four::four_lanes!(@operator F32x4 Div::div = div);
        $crate::lanes::four::four_lanes!(@operator U32x4 BitAnd::bitand = and);
        $crate::lanes::four::four_lanes!(@operator U32x4 BitOr::bitor = or);

        impl $crate::Lanes for F32x4 {
            type Words = U32x4;
            const COUNT: usize = 4;

            #[inline(always)]
            fn splat(value: f32) -> Self {
                Self(floats(splat(value.to_bits())))
            }

            #[inline(always)]
            fn load(from: &[$crate::F32]) -> Self {
                let bytes = from.as_flattened().first_chunk();
                Self(floats(from_bytes(bytes.copied().unwrap_or_default())))
            }

            #[inline(always)]
            fn store(self, into: &mut [$crate::F32]) {
                if let Some(place) = into.as_flattened_mut().first_chunk_mut() {
                    *place = to_bytes(bits(self.0));
                }
            }

            #[inline(always)]
            fn to_bits(self) -> U32x4 {
                U32x4(bits(self.0))
            }

            #[inline(always)]
            fn less(self, other: Self) -> U32x4 {
                U32x4(less(self.0, other.0))
            }

            #[inline(always)]
            fn or_greater(self, other: Self) -> Self {
                Self(or_greater(self.0, other.0))
            }

            #[inline(always)]
            fn or_smaller(self, other: Self) -> Self {
                Self(or_smaller(self.0, other.0))
            }

            #[inline(always)]
            fn truncate_to_byte(self) -> U32x4 {
                U32x4(truncate_to_byte(self.0))
            }

            #[inline(always)]
            fn store_halves_rounded(values: [Self; 4], into: &mut [u8]) {
                if let Some(place) = into.first_chunk_mut() {
                    *place = to_bytes(halves_rounded(values));
                }
            }

            #[inline(always)]
            fn widen(from: &[$crate::F16]) -> Self {
                let bytes = from.as_flattened().first_chunk::<8>();
                let low = u64::from_le_bytes(bytes.copied().unwrap_or_default());
                let [values, _] = widen_halves(halves_of(low));
                values
            }

            #[inline(always)]
            fn widen_pair(from: &[$crate::F16]) -> [Self; 2] {
                let bytes = from.as_flattened().first_chunk();
                widen_halves(from_bytes(bytes.copied().unwrap_or_default()))
            }

            #[inline(always)]
            fn narrow(self, into: &mut [$crate::F16]) {
                if let Some(place) = into.as_flattened_mut().first_chunk_mut() {
                    *place = low_u64(narrow_to_halves([self, self])).to_le_bytes();
                }
            }

            #[inline(always)]
            fn narrow_pair(values: [Self; 2], into: &mut [$crate::F16]) {
                if let Some(place) = into.as_flattened_mut().first_chunk_mut() {
                    *place = to_bytes(narrow_to_halves(values));
                }
            }

            #[inline(always)]
            fn deinterleave(self, next: Self) -> (Self, Self) {
                let (even, odd) = deinterleave(self.0, next.0);
                (Self(even), Self(odd))
            }

            #[inline(always)]
            fn interleave(self, odd: Self) -> (Self, Self) {
                let (first, next) = interleave(self.0, odd.0);
                (Self(first), Self(next))
            }

            #[inline(always)]
            fn reduce(self, combine: impl Fn(f32, f32) -> f32) -> f32 {
                let bytes = to_bytes(bits(self.0));
                let (lanes, _) = bytes.as_chunks();
                let lane = |index: usize| {
                    lanes.get(index).map_or(0.0, |bytes| f32::from_le_bytes(*bytes))
                };
                combine(combine(lane(0), lane(2)), combine(lane(1), lane(3)))
            }

            #[inline(always)]
            fn first(self) -> f32 {
                f32::from_bits(low_u64(bits(self.0)) as u32)
            }
        }

        impl $crate::Words for U32x4 {
            type Floats = F32x4;

            #[inline(always)]
            fn splat(value: u32) -> Self {
                Self(splat(value))
            }

            #[inline(always)]
            fn load_nibbles(from: &[u8], less: u8) -> [[F32x4; 4]; 2] {
                let bytes = from_bytes(from.first_chunk().copied().unwrap_or_default());
                nibbles_as_numbers(bytes, less)
            }

            #[inline(always)]
            fn load_i8(from: &[u8]) -> Self {
                let bytes = from.first_chunk().copied().unwrap_or_default();
                Self(extend_i8(u32::from_le_bytes(bytes)))
            }

            #[inline(always)]
            fn store_u8(words: [Self; 4], into: &mut [u8]) {
                if let Some(place) = into.first_chunk_mut() {
                    *place = to_bytes(low_bytes(words));
                }
            }

            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                Self(plus(self.0, other.0))
            }

            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                Self(minus(self.0, other.0))
            }

            #[inline(always)]
            fn shift_left<const BITS: u32>(self) -> Self {
                Self(shift_left::<BITS>(self.0))
            }

            #[inline(always)]
            fn shift_right<const BITS: u32>(self) -> Self {
                Self(shift_right::<BITS>(self.0))
            }

            #[inline(always)]
            fn greater(self, other: Self) -> Self {
                Self(greater(self.0, other.0))
            }

            #[inline(always)]
            fn select(self, yes: Self, no: Self) -> Self {
                Self(select(self.0, yes.0, no.0))
            }

            #[inline(always)]
            fn smaller(self, other: Self) -> Self {
                Self(smaller(self.0, other.0))
            }

            #[inline(always)]
            fn larger(self, other: Self) -> Self {
                Self(larger(self.0, other.0))
            }

            #[inline(always)]
            fn largest(self) -> Self {
                let pairs = larger(self.0, swap_pairs(self.0));
                Self(larger(pairs, swap_within_pairs(pairs)))
            }

            #[inline(always)]
            fn largest_of_each<const N: usize>(rows: [Self; N]) -> Self {
                let row = |index: usize| rows.get(index).or(rows.first()).copied().unwrap_or(Self::splat(0));
                let pair = |one: Self, other: Self| {
                    let (low, high) = $crate::Lanes::interleave(one.to_floats(), other.to_floats());
                    Self(larger(bits(low.0), bits(high.0)))
                };
                pair(pair(row(0), row(2)), pair(row(1), row(3)))
            }

            #[inline(always)]
            fn broadcast(self, lane: usize) -> Self {
                Self(broadcast(self.0, lane))
            }

            #[inline(always)]
            fn any(self) -> bool {
                any(self.0)
            }

            #[inline(always)]
            fn to_floats(self) -> F32x4 {
                F32x4(floats(self.0))
            }

            #[inline(always)]
            fn convert(self) -> F32x4 {
                F32x4(convert(self.0))
            }
        }
    };
    (@operator $type:ident $trait:ident::$method:ident = $function:ident) => {
        impl core::ops::$trait for $type {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self($function(self.0, other.0))
            }
        }
    };
}

pub(crate) use four_lanes;
