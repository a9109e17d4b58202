//! Values of every size and the round ones: what a drawn tensor of ordinary values never holds, all of it in one tensor.
//!
//! A kernel may be wrong for numbers of one exponent, for whole rows of one, or for values that no draw hits by chance: integers, a half,
//! a row of one value. Elements follow from a seed and their place.

pub(crate) use super::values::Float;
use super::values::signed_unit;
use crate::draw::random;
use half::f16;

/// Values that people compare with.
const WELL_KNOWN: [f32; 26] = [
    0.5, 1.0, 2.0, 0.25, 3.0, 1.5, 0.0, 4.0, 0.125, 0.75, 5.0, 8.0, 10.0, 16.0, 32.0, 64.0, 100.0,
    127.0, 128.0, 255.0, 256.0, 1000.0, 1024.0, 4096.0, 0.1, 6.0,
];
/// Kinds of rows of round values.
const ROUND_ROWS: u64 = 13;
/// Coprime to the numbers of exponents of both types, so that a row has sizes far apart.
const STRIDE: u64 = 7;

impl Float {
    /// Exponents of finite values; the first is that of subnormal ones.
    pub(super) fn exponents(self) -> u32 {
        match self {
            Float::F32 => 255,
            Float::F16 => 31,
        }
    }

    fn significand_bits(self) -> u32 {
        match self {
            Float::F32 => 23,
            Float::F16 => 10,
        }
    }
}

/// Elements of one type, from a seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kinds {
    pub(crate) float: Float,
    pub(crate) seed: u64,
}

impl Kinds {
    /// As many rows as hold everything: each exponent as the one of a row, and all the others beside them.
    pub(super) fn rows(self) -> usize {
        (2 * self.float.exponents() as usize).max(128)
    }

    /// Elements as little-endian bytes.
    pub(super) fn bytes(self, elements: impl IntoIterator<Item = u32>) -> Vec<u8> {
        let width = self.float.size();
        let elements = elements.into_iter();
        elements
            .flat_map(|bits| bits.to_le_bytes().into_iter().take(width))
            .collect()
    }

    /// Element `number` of a sweep through the exponents, with either sign, among them powers of two and what lies right below one.
    pub(super) fn sweep(self, number: u64) -> u32 {
        let exponents = u64::from(self.float.exponents());
        let round = number / exponents;
        let exponent = (STRIDE * number + self.seed) % exponents;
        let random = random(self.seed, number);
        let ones = (1 << self.float.significand_bits()) - 1;
        let significand = match random % 4 {
            0 => 0,
            1 => ones,
            _ => (random >> 8) as u32 & ones,
        };
        self.made(exponent as u32, significand, (round + exponent) % 2 == 1)
    }

    /// An element between -4 and 4.
    pub(super) fn ordinary(self, number: u64) -> u32 {
        self.encode(4.0 * signed_unit(random(self.seed ^ 1, number)))
    }

    /// An element from 1 to below 2.
    pub(super) fn unit(self, number: u64) -> u32 {
        self.encode(1.5 + signed_unit(random(self.seed ^ 2, number)) / 2.0)
    }

    /// One of the values that people compare with, with either sign, or a whole number or a half.
    pub(crate) fn round(self, number: u64) -> u32 {
        let random = random(self.seed ^ 3, number);
        let value = match random % 4 {
            0 => whole(random, 64),
            1 => whole(random, 32) + 0.5,
            _ => WELL_KNOWN[number as usize % WELL_KNOWN.len()],
        };
        self.encode(if random >> 8 & 1 == 0 { value } else { -value })
    }

    /// Row `number` of those that hold everything: every second one has one exponent, the others sweep through them or are round.
    pub(super) fn row(self, number: u64, length: usize) -> Vec<u32> {
        let first = number / 4 * length as u64;
        let places = first..first + length as u64;
        match number % 4 {
            1 => places.map(|place| self.sweep(place)).collect(),
            3 => self.round_row(number / 4, length),
            _ => {
                let exponents = u64::from(self.float.exponents());
                let exponent = (number / 2 + self.seed) % exponents;
                let ones = (1 << self.float.significand_bits()) - 1;
                let of_size = |place| {
                    let random = random(self.seed ^ 4, number << 20 | place);
                    self.made(
                        exponent as u32,
                        (random >> 8) as u32 & ones,
                        random & 1 == 1,
                    )
                };
                places.map(of_size).collect()
            }
        }
    }

    /// A row of round values, or of values that have something to do with each other.
    pub(crate) fn round_row(self, number: u64, length: usize) -> Vec<u32> {
        let random = |index: u64| random(self.seed ^ 5, number << 20 | index);
        let any = signed_unit(random(0)) * 4.0;
        let some = match random(1) % 4 {
            0 => any,
            1 => whole(random(2), 64),
            2 => WELL_KNOWN[(random(2) % WELL_KNOWN.len() as u64) as usize],
            _ => -WELL_KNOWN[(random(2) % WELL_KNOWN.len() as u64) as usize],
        };
        let zero = if random(3) & 1 == 0 { 0.0 } else { -0.0 };
        let [one, other] = [4, 5].map(|index| (random(index) % length as u64) as usize);
        let (first, up) = (whole(random(6), 16), whole(random(7), 4));
        let value = |place: usize| {
            let random = random(8 + place as u64);
            match number % ROUND_ROWS {
                0 => f32::NAN,
                1 => whole(random, 64),
                2 => whole(random, 32) + 0.5,
                3 => powers(random),
                4 => some,
                5 if place == one => some,
                5 | 6 => zero,
                7 => match random & 1 {
                    0 => 0.0,
                    _ => -0.0,
                },
                // The largest twice, of one sign or of both.
                8 if place == one => 5.5,
                8 if place == other => 5.5f32.copysign(any),
                8 => 4.0 * signed_unit(random),
                9 => 4.0 * signed_unit(self.pair(number, place)),
                10 => first + up * place as f32,
                11 if place.is_multiple_of(2) => some,
                11 => -some,
                // All alike but one.
                _ if place == one => any,
                _ => some + 1.0,
            }
        };
        let elements = (0..length).map(|place| {
            let value = value(place);
            match value.is_nan() {
                true => self.round(number * length as u64 + place as u64),
                false => self.encode(value),
            }
        });
        elements.collect()
    }

    /// Two elements beside each other are alike.
    fn pair(self, number: u64, place: usize) -> u64 {
        random(self.seed ^ 6, (number << 20) | (place as u64 / 2))
    }

    fn made(self, exponent: u32, significand: u32, negative: bool) -> u32 {
        let bits = self.float.significand_bits();
        let sign = u32::from(negative) << (8 * self.float.size() - 1);
        sign | exponent << bits | significand
    }

    fn encode(self, value: f32) -> u32 {
        match self.float {
            Float::F32 => value.to_bits(),
            Float::F16 => f16::from_f32(value).to_bits().into(),
        }
    }
}

/// A whole number of either sign, up to a size.
fn whole(random: u64, size: u64) -> f32 {
    ((random >> 16) % (2 * size + 1)) as f32 - size as f32
}

/// A power of two of either sign that f16 has too.
fn powers(random: u64) -> f32 {
    let exponent = (random >> 16) as u32 % 30;
    let sign = (random as u32 & 1) << 31;
    f32::from_bits(sign | (113 + exponent) << 23)
}

/// Every f16, each once: of one exponent after the other, so that a row has values of one size, and infinities and NaNs at the end.
pub(super) fn every_f16(seed: u64) -> Vec<u32> {
    let of_exponent = |exponent: u32| {
        (0..2048u32).map(move |number| {
            let place = number.wrapping_mul(2 * (seed as u32 % 1024) + 1);
            let place = place.wrapping_add((seed >> 16) as u32) % 2048;
            (place & 1) << 15 | exponent << 10 | place >> 1
        })
    };
    let finite = (0..31).map(|number| (number * 7 + (seed >> 32) as u32) % 31);
    finite.chain([31]).flat_map(of_exponent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn rows_hold_each_exponent_with_either_sign_and_as_that_of_a_row() {
        for float in [Float::F32, Float::F16] {
            for seed in [1, u64::MAX / 3] {
                let kinds = Kinds { float, seed };
                let parts = |bits: &u32| {
                    let exponent = bits >> float.significand_bits();
                    (
                        exponent % (float.exponents() + 1),
                        exponent > float.exponents(),
                    )
                };
                let rows: Vec<Vec<u32>> = (0..kinds.rows())
                    .map(|row| kinds.row(row as u64, 9))
                    .collect();
                let all: BTreeSet<_> = rows.iter().flatten().map(parts).collect();
                assert_eq!(all.len() as u32, 2 * float.exponents(), "{float:?}");
                let of_one: BTreeSet<u32> = rows
                    .iter()
                    .map(|row| {
                        row.iter()
                            .map(|bits| parts(bits).0)
                            .collect::<BTreeSet<_>>()
                    })
                    .filter(|exponents| exponents.len() == 1)
                    .flatten()
                    .collect();
                assert_eq!(of_one.len() as u32, float.exponents(), "{float:?}");
                let swept: BTreeSet<_> = (0..u64::from(2 * float.exponents()))
                    .map(|number| parts(&kinds.sweep(number)))
                    .collect();
                assert_eq!(swept, all);
            }
        }
    }

    #[test]
    fn rows_are_round_in_every_way() {
        let kinds = Kinds {
            float: Float::F32,
            seed: 5,
        };
        let row = |number| -> Vec<f32> {
            let row = kinds.round_row(number, 8);
            row.into_iter().map(f32::from_bits).collect()
        };
        for round in [0, ROUND_ROWS, 5 * ROUND_ROWS] {
            assert!(row(round + 1).iter().all(|value| value.fract() == 0.0));
            assert!(
                row(round + 2)
                    .iter()
                    .all(|value| value.fract().abs() == 0.5)
            );
            let is_power = |value: &f32| value.to_bits() << 9 == 0;
            assert!(row(round + 3).iter().all(is_power));
            let equal = row(round + 4);
            assert!(equal.iter().all(|value| *value == equal[0]));
            assert!(row(round + 5).iter().filter(|value| **value != 0.0).count() <= 1);
            assert!(
                row(round + 6)
                    .iter()
                    .chain(&row(round + 7))
                    .all(|value| *value == 0.0)
            );
            assert!(row(round + 8).iter().any(|value| value.abs() == 5.5));
            let pairs = row(round + 9);
            assert!(pairs.chunks(2).all(|pair| pair[0] == pair[1]));
            let alternating = row(round + 11);
            assert_eq!(alternating[0], -alternating[1]);
            let alike = row(round + 12);
            let others = |one: &f32| alike.iter().filter(|value| *value != one).count();
            assert!(alike.iter().filter(|one| others(one) == 1).count() == 7);
        }
    }

    #[test]
    fn every_f16_is_there_once_and_what_is_not_finite_at_the_end() {
        for seed in [0, 0x1234_5678_9abc_def1] {
            let all = every_f16(seed);
            assert_eq!(all.len(), 1 << 16);
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 1 << 16);
            let finite = |bits: &u32| bits & 0x7c00 != 0x7c00;
            assert!(all[..31 << 11].iter().all(finite));
            let of_one_size = |row: &[u32]| row.iter().all(|bits| bits & 0x7c00 == row[0] & 0x7c00);
            assert!(all.chunks(64).all(of_one_size));
        }
    }
}
