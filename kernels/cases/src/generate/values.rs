//! Elements of tensors, from a class of values and a seed. Element number i does not depend on how many there are, so that a
//! smaller tensor is the beginning of the larger one. No function of the platform's libm is used: a case is the same everywhere.

use crate::draw::random;
use half::f16;
use kernel_abi::block::ELEMENTS;

/// The seed of [`Class::Constant`] that is 0.
const ZERO: u64 = 16;
/// The exponent of f32 up to which angles are accurate: they are below 2^17.
const LARGEST_OF_ANGLES: u8 = 127 + 16;

/// Type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Float {
    F32,
    F16,
}

impl Float {
    /// Bytes of an element.
    pub(super) fn size(self) -> usize {
        match self {
            Float::F32 => 4,
            Float::F16 => 2,
        }
    }
}

/// What the values of a tensor are like, the simplest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The same quarter between -4 and 4 everywhere.
    Constant,
    /// Between -4 and 4.
    Normal,
    /// Zeros of both signs, and a few normal values.
    SignedZeros,
    /// From 2^-20 on (f16: 2^-12), both signs.
    Small,
    /// Up to 2^20 (f16: 2^8), both signs.
    Large,
    /// Many orders of magnitude beside each other.
    Mixed,
    /// Subnormal.
    Denormal,
    /// In each block of 32 one that makes the scale a power of two, and otherwise values between two codes.
    Ties,
    /// The same, each value one unit in the last place above or below, or neither.
    BesideTies,
    /// Normal values, one in eight NaN, infinite, very large, the smallest or -0.
    Specials,
    /// Above 0 and below 4.
    Positive,
    /// The same below 0.
    Negative,
    /// Normal values that f16 has.
    OfHalf,
    /// Normal values that bfloat16 has.
    OfBfloat,
    /// Both signs, and all of the exponent that f32 has for this, from 1 to 254; of f16 the one that lies as far in its range.
    OneSize(u8),
    /// So many elements at a time of one class, half of them [`Class::Normal`]: zeros, specials, subnormals, any exponent, and others.
    Strewn(u32),
}

/// The largest of the codes that a block's scale follows from; decides where ties are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LargestCode(pub(super) i32);

/// A class with a seed: a tensor of any length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Values {
    pub(super) class: Class,
    pub(super) seed: u64,
}

impl Values {
    /// Elements as little-endian bytes.
    pub(super) fn bytes(self, float: Float, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count * float.size());
        for index in 0..count as u64 {
            match float {
                Float::F32 => bytes.extend_from_slice(&self.f32(index).to_le_bytes()),
                Float::F16 => bytes.extend_from_slice(&self.f16(index).to_le_bytes()),
            }
        }
        bytes
    }

    /// f32 elements that are going to be quantised.
    pub(super) fn quantised(self, count: usize, largest: LargestCode) -> Vec<u8> {
        if !matches!(self.class, Class::Ties | Class::BesideTies) {
            return self.bytes(Float::F32, count);
        }
        (0..count as u64)
            .flat_map(|index| self.tie(index, largest).to_le_bytes())
            .collect()
    }

    /// Blocks of an f16 scale and that many bytes of codes.
    pub(super) fn blocks(self, count: usize, code_bytes: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count * (2 + code_bytes));
        for block in 0..count as u64 {
            bytes.extend_from_slice(&self.f16(block).to_le_bytes());
            for index in 0..code_bytes as u64 {
                let random = random(self.seed, block * 64 + index + 1) as u8;
                bytes.push(if self.class == Class::Constant {
                    self.seed as u8
                } else {
                    random
                });
            }
        }
        bytes
    }

    /// Angles in radians for `seq` positions of `pairs` pairs: of both signs, and at most 2^17 but for [`Class::Specials`].
    pub(super) fn angles(self, seq: usize, pairs: usize) -> Vec<u8> {
        let limit = match self.class {
            Class::Large => 131_072.0,
            Class::Mixed => 1000.0,
            _ => 0.0,
        };
        (0..(seq * pairs) as u64)
            .flat_map(|index| {
                let angle = match self.class {
                    // As positions make them: a position times a frequency that falls from pair to pair.
                    Class::Normal => {
                        let (position, pair) = (index / pairs as u64, index % pairs as u64);
                        let first = self.seed % 4096;
                        (first + position) as f32 / (1.0 + 3.0 * pair as f32)
                    }
                    Class::Large | Class::Mixed => limit * signed_unit(random(self.seed, index)),
                    Class::OneSize(exponent) => {
                        one_size(random(self.seed, index), exponent.min(LARGEST_OF_ANGLES))
                    }
                    _ => self.f32(index),
                };
                angle.to_le_bytes()
            })
            .collect()
    }

    /// `count` cosines, then as many sines: of 2 * atan(t) for values t, which needs no trigonometric function.
    pub(super) fn tables(self, float: Float, count: usize) -> Vec<u8> {
        let tangents = (0..count as u64).map(|index| match self.class {
            // What is not finite, or not once squared, would be no point of the circle.
            Class::Specials => signed_unit(random(self.seed, index)),
            _ => self.f32(index),
        });
        circle(float, tangents)
    }

    /// Which values element `index` has where they are strewn. Each 16 stretches have every kind once.
    fn strewn(self, index: u64, length: u32) -> Self {
        let stretch = index / u64::from(length);
        let of_sixteen = random(self.seed ^ 4, stretch / 16);
        // Of a row that is squared and summed all stays finite.
        let exponents = if length > ELEMENTS as u32 { 174 } else { 254 };
        let class = match (stretch ^ of_sixteen) % 16 {
            0 => {
                return Values {
                    class: Class::Constant,
                    seed: ZERO,
                };
            }
            1 => Class::Specials,
            2 => Class::Denormal,
            3 => Class::OneSize((1 + (of_sixteen >> 8) % exponents) as u8),
            4 => Class::Mixed,
            5 => Class::Large,
            6 => Class::Small,
            7 => Class::SignedZeros,
            _ => Class::Normal,
        };
        Values { class, ..self }
    }

    fn f32(self, index: u64) -> f32 {
        let random = random(self.seed, index);
        match self.class {
            Class::Strewn(length) => self.strewn(index, length).f32(index),
            Class::Constant => self.constant(),
            Class::Normal | Class::Ties | Class::BesideTies => 4.0 * signed_unit(random),
            Class::Positive => above_zero(random),
            Class::Negative => -above_zero(random),
            Class::OfHalf => f16::from_f32(4.0 * signed_unit(random)).to_f32(),
            Class::OfBfloat => f32::from_bits((4.0 * signed_unit(random)).to_bits() & 0xffff_0000),
            Class::SignedZeros => signed_zero(random),
            Class::Small => magnitude(random, -20..-10),
            Class::Large => magnitude(random, 10..20),
            Class::Mixed => magnitude(random, -16..12),
            Class::Denormal => f32::from_bits(random as u32 & 0x807f_ffff),
            Class::OneSize(exponent) => one_size(random, exponent),
            Class::Specials => match special(random) {
                None => 4.0 * signed_unit(random),
                Some(special) => f32::from_bits(
                    [
                        0x7fc0_0000, // NaN
                        0xffc1_2345,
                        0x7f80_0000, // infinities
                        0xff80_0000,
                        0x5380_0000, // 2^40 and -2^40: products of three stay finite
                        0xd380_0000,
                        0x0000_0001, // the smallest
                        0x8000_0000,
                    ][special],
                ),
            },
        }
    }

    fn f16(self, index: u64) -> f16 {
        let random = random(self.seed, index);
        match self.class {
            Class::Strewn(length) => self.strewn(index, length).f16(index),
            Class::Constant => f16::from_f32(self.constant()),
            Class::Normal | Class::Ties | Class::BesideTies => {
                f16::from_f32(4.0 * signed_unit(random))
            }
            Class::Positive | Class::Negative | Class::OfHalf | Class::OfBfloat => {
                f16::from_f32(self.f32(index))
            }
            Class::SignedZeros => f16::from_f32(signed_zero(random)),
            Class::Small => f16::from_f32(magnitude(random, -12..-6)),
            Class::Large => f16::from_f32(magnitude(random, 4..8)),
            Class::Mixed => f16::from_f32(magnitude(random, -12..6)),
            Class::Denormal => f16::from_bits(random as u16 & 0x83ff),
            Class::OneSize(exponent) => {
                let exponent = 1 + u16::from(exponent) * 30 / 256;
                f16::from_bits(random as u16 & 0x83ff | exponent << 10)
            }
            Class::Specials => match special(random) {
                None => f16::from_f32(4.0 * signed_unit(random)),
                Some(special) => f16::from_bits(
                    [
                        0x7e00, // NaN
                        0xfe12, 0x7c00, // infinities
                        0xfc00, 0x7bff, // the largest
                        0xfbff, 0x0001, // the smallest
                        0x8000,
                    ][special],
                ),
            },
        }
    }

    fn constant(self) -> f32 {
        (self.seed % 33) as f32 / 4.0 - 4.0
    }

    /// One value of a block is the largest code times a power of two, the others lie between two codes.
    fn tie(self, index: u64, LargestCode(largest): LargestCode) -> f32 {
        let elements = ELEMENTS as u64;
        let block = random(self.seed, index / elements);
        if self.class == Class::BesideTies && block >> 32 & 1 == 1 {
            return self.rounded_tie(index, LargestCode(largest));
        }
        let scale = power_of_two((block % 24) as i32 - 12);
        let steps = if block >> 8 & 31 == index % elements {
            // Negative, because Q4_0 has -8 but not 8.
            -(largest as f32)
        } else {
            let code = random(self.seed, index) % (2 * largest as u64 - 1);
            code as f32 - largest as f32 + 0.5
        };
        let tie: f32 = steps * scale;
        if self.class == Class::Ties || steps == -(largest as f32) {
            return tie;
        }
        // Never 0, and no power of two times a code is at the end of the range.
        match random(self.seed ^ 1, index) % 3 {
            0 => f32::from_bits(tie.to_bits() + 1),
            1 => f32::from_bits(tie.to_bits() - 1),
            _ => tie,
        }
    }

    /// The same of blocks whose scale is no power of two, so that dividing, multiplying and adding round: a few units in the last place beside what is a tie
    /// once all of it is rounded. Half of the scales lie beside the middle of two values of f16.
    fn rounded_tie(self, index: u64, LargestCode(largest): LargestCode) -> f32 {
        let elements = ELEMENTS as u64;
        let block = random(self.seed ^ 2, index / elements);
        let beside = |value: f32, bits: u64| {
            let by = (bits % 5) as u32;
            f32::from_bits(value.to_bits() + by - 2)
        };
        let largest = largest as f32;
        let size = if block & 1 == 0 {
            magnitude(block, -12..12).abs()
        } else {
            // Normal ones.
            let below = f16::from_bits(0x1400 + (block >> 8 & 0x3fff) as u16).to_f32();
            let middle = f32::from_bits(below.to_bits() + (1 << 12));
            beside(middle * largest, block >> 32)
        };
        if block >> 40 & 31 == index % elements {
            return -size;
        }
        let bits = random(self.seed ^ 3, index);
        let code = (bits % (2 * largest as u64 - 1)) as f32;
        let mut steps = f64::from(code - largest + 0.5);
        if largest == 8.0 && bits >> 16 & 3 == 0 {
            // Its code is cut off behind a sum with 8.5: the middle between a whole number and the float below it.
            let whole = code + 1.0;
            steps = (f64::from(whole) + f64::from(whole.next_down())) / 2.0 - 8.5;
        }
        let inverse = 1.0 / (size / largest);
        beside((steps / f64::from(inverse)) as f32, bits >> 24)
    }
}

/// The cosines, then the sines, of 2 * atan(t) for values t.
pub(super) fn circle(float: Float, tangents: impl Iterator<Item = f32> + Clone) -> Vec<u8> {
    let tangents = tangents.map(f64::from);
    let cosines = tangents.clone().map(|t| (1.0 - t * t) / (1.0 + t * t));
    let sines = tangents.map(|t| 2.0 * t / (1.0 + t * t));
    cosines
        .chain(sines)
        .flat_map(|value| match float {
            Float::F32 => (value as f32).to_le_bytes().to_vec(),
            Float::F16 => f16::from_f32(value as f32).to_le_bytes().to_vec(),
        })
        .collect()
}

/// A multiple of 2^-23 from -1 to below 1.
pub(super) fn signed_unit(random: u64) -> f32 {
    (random >> 40) as f32 / 8_388_608.0 - 1.0
}

/// A multiple of 2^-22 up to 4.
fn above_zero(random: u64) -> f32 {
    ((random >> 40) + 1) as f32 / 4_194_304.0
}

fn one_size(random: u64, exponent: u8) -> f32 {
    f32::from_bits(random as u32 & 0x807f_ffff | u32::from(exponent) << 23)
}

fn signed_zero(random: u64) -> f32 {
    match random & 15 {
        0 => signed_unit(random),
        even if even % 2 == 0 => 0.0,
        _ => -0.0,
    }
}

/// A value of either sign with one of these exponents to the base 2.
fn magnitude(random: u64, exponents: std::ops::Range<i32>) -> f32 {
    let span = exponents.len() as u64;
    let exponent = exponents.start + ((random >> 32) % span) as i32;
    let significand = 1.0 + (random >> 8 & 0x7f_ffff) as f32 / 8_388_608.0;
    let sign = if random & 1 == 0 { 1.0 } else { -1.0 };
    sign * significand * power_of_two(exponent)
}

/// 2 to a power from -126 to 127, exactly.
fn power_of_two(exponent: i32) -> f32 {
    f32::from_bits(((exponent + 127) as u32) << 23)
}

/// Which of eight specials one element in eight is.
fn special(random: u64) -> Option<usize> {
    (random & 7 == 0).then_some((random >> 3 & 7) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks beside ties, of several seeds.
    fn blocks(largest: i32) -> Vec<Vec<f32>> {
        let of_seed = |seed| {
            let values = Values {
                class: Class::BesideTies,
                seed,
            };
            let bytes = values.quantised(64 * ELEMENTS, LargestCode(largest));
            let (words, _) = bytes.as_chunks::<4>();
            let values: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
            values
                .chunks(ELEMENTS)
                .map(<[f32]>::to_vec)
                .collect::<Vec<_>>()
        };
        (1..8).flat_map(of_seed).collect()
    }

    fn size(block: &[f32]) -> f32 {
        block.iter().fold(0.0, |size, value| value.abs().max(size))
    }

    #[test]
    fn what_is_beside_a_tie_shows_how_often_a_code_is_rounded() {
        let count = |differs: &dyn Fn(f32, f32) -> bool, largest: i32| {
            let of_block = |block: Vec<f32>| {
                let inverse = 1.0 / (size(&block) / largest as f32);
                block.into_iter().filter(|x| differs(*x, inverse)).count()
            };
            blocks(largest).into_iter().map(of_block).sum::<usize>()
        };
        // Q4_0: the product, and the sum with 8.5.
        let twice = |x: f32, inverse: f32| (x * inverse + 8.5) as u8;
        let once = |x: f32, inverse: f32| (f64::from(x) * f64::from(inverse) + 8.5) as f32 as u8;
        let exact = |x: f32, inverse: f32| (f64::from(x) * f64::from(inverse) + 8.5) as u8;
        assert!(count(&|x, inverse| twice(x, inverse) != once(x, inverse), 8) > 50);
        assert!(count(&|x, inverse| twice(x, inverse) != exact(x, inverse), 8) > 50);
        // Q8_0: the product, which is the quotient nearly.
        let rounded = |x: f32, inverse: f32| (x * inverse).round() as i8;
        let exact = |x: f32, inverse: f32| (f64::from(x) * f64::from(inverse)).round() as i8;
        assert!(count(&|x, inverse| rounded(x, inverse) != exact(x, inverse), 127) > 50);
    }

    #[test]
    fn scales_are_beside_the_middle_of_two_values_of_f16() {
        let shows = |block: &&Vec<f32>| {
            let scale = size(block) / 127.0;
            let [below, above] = [scale.next_down(), scale.next_up()].map(f16::from_f32);
            below != above
        };
        let count = blocks(127).iter().filter(shows).count();
        assert!(count > 30, "{count}");
    }
}
