//! Calls with values of every size that a contract allows, and with round ones, in one input at a time.

use super::{
    Built,
    draw::{Random, built, elements_of, plain},
};
use crate::{
    case::{Case, Source},
    draw::random,
    generate::{
        SPREAD,
        kinds::{Float, Kinds},
    },
    number,
};
use kernel_pack::{
    Dtype,
    contract::{Array, Bounds, Class, Contract, Property, Special},
};
use std::sync::Arc;

/// Elements that all tensors of a call may have together.
const MOST_ELEMENTS: u64 = 1 << 13;
/// The same of a call in which an input is all of one size.
const FEW_ELEMENTS: u64 = 1 << 10;
/// Parts of the range of exponents, from each of which one is taken.
const PARTS: u64 = 8;
/// Draws of a shape, of which the one with the most rows of some length is taken.
const SHAPES: u32 = 24;
/// More rows than this hold nothing more, and neither do longer ones.
const ROWS: usize = 450;
const LENGTH: usize = 9;
/// The largest value of a bell of standard deviation 1 that is drawn: of 8 times the size.
const FARTHEST: f64 = 27.7;
/// What is far beyond a bell and still a value that kernels are given.
const LARGE: i32 = 20;
/// What is nearer to 0, by a power of two, is none of a bell's values, unless subnormal ones are.
const NEAR: i32 = 30;

/// The calls, named `values:` and what holds them: elements, rows as a whole, or all of the input, which has one size.
pub fn spread(contract: &Arc<Contract>, seed: u64) -> Vec<Case> {
    let mut random = Random::new(&contract.kernel, seed.rotate_left(29), 0);
    let mut cases = Vec::new();
    for (index, input) in contract.inputs.iter().enumerate() {
        let Some(range) = Range::of(contract, input) else {
            continue;
        };
        for what in ["elements", "rows"] {
            let shapes = (0..SHAPES).filter_map(|_| built(contract, &mut random, MOST_ELEMENTS));
            let Some(shape) = shapes.max_by_key(|shape| holds(shape, index)) else {
                continue;
            };
            let mut data = plain(contract, &shape, &mut random);
            let length = shape.shape.inputs[index].last().copied().unwrap_or(1) as usize;
            let made = Made {
                range,
                kinds: Kinds {
                    float: Float::F32,
                    seed: random.next(),
                },
                length: length.max(1),
            };
            let ordinary = number::decode(input.dtype, &data[index]);
            let elements = match what {
                "elements" => made.elements(ordinary),
                _ => made.rows(ordinary),
            };
            data[index] = encoded(input.dtype, &elements);
            let name = format!("{SPREAD}{what}-{}", input.name);
            cases.push(shape.case(contract, Source::Drawn, name, &data));
        }
        cases.extend(sizes(contract, (index, range), &mut random));
    }
    cases
}

fn encoded(dtype: Dtype, elements: &[f64]) -> Vec<u8> {
    let encoded = elements
        .iter()
        .filter_map(|value| number::encode(dtype, *value));
    encoded.flatten().collect()
}

/// Calls in which all elements of an input are of one exponent, each from another part of what the contract allows.
fn sizes(
    contract: &Arc<Contract>,
    (index, range): (usize, Range),
    random: &mut Random,
) -> Vec<Case> {
    let input = &contract.inputs[index];
    let (first, last) = range.exponents;
    let length = (last - first + 1) as u64;
    let parts = length.min(PARTS);
    let mut cases = Vec::new();
    for part in 0..parts {
        let from = part * length / parts;
        let exponent = from + random.below((part + 1) * length / parts - from);
        let shapes = (0..SHAPES).filter_map(|_| built(contract, random, FEW_ELEMENTS));
        let Some(shape) = shapes.max_by_key(|shape| elements_of(&shape.shape.inputs[index])) else {
            break;
        };
        let mut data = plain(contract, &shape, random);
        let one = Range {
            exponents: (first + exponent as i32, first + exponent as i32),
            ..range
        };
        let made = Made {
            range: one,
            kinds: Kinds {
                float: Float::F32,
                seed: random.next(),
            },
            length: 1,
        };
        let elements: Option<Vec<f64>> = (0..elements_of(&shape.shape.inputs[index]) as u64)
            .map(|place| range.either(made.of_size(0, place)))
            .collect();
        if let Some(elements) = elements {
            data[index] = encoded(input.dtype, &elements);
            let name = format!("{SPREAD}size-{part}-{}", input.name);
            cases.push(shape.case(contract, Source::Drawn, name, &data));
        }
    }
    cases
}

/// How much an input of this shape holds.
fn holds(built: &Built, index: usize) -> (usize, usize) {
    let shape = &built.shape.inputs[index];
    let length = shape.last().copied().unwrap_or(1).max(1) as usize;
    let elements = elements_of(shape);
    ((elements / length).min(ROWS) * length.min(LENGTH), elements)
}

/// What an input may hold.
#[derive(Clone, Copy)]
struct Range {
    min: f64,
    max: f64,
    /// Powers of two, the last one included.
    exponents: (i32, i32),
    special: Special,
}

impl Range {
    /// `None` of an input whose values are not drawn from a stretch of numbers.
    fn of(contract: &Contract, input: &Array) -> Option<Self> {
        let (least, largest) = match input.dtype {
            Dtype::F32 | Dtype::Bf16 => (-126, 127),
            Dtype::F16 => (-14, 15),
            _ => return None,
        };
        let domain = contract.domain_of_input(input);
        let (min, max) = match domain.class {
            Class::Normal { scale } => {
                let far = match domain.special.infinities && takes_any_size(contract) {
                    true => scale * 2f64.powi(LARGE),
                    false => scale * FARTHEST,
                };
                (-far, far)
            }
            Class::Uniform { min, max } => (min, max),
            Class::Unit => (-1.0, 1.0),
            _ => return None,
        };
        let mut range = Self {
            min,
            max,
            exponents: (0, 0),
            special: domain.special,
        };
        if !(range.size().is_normal() && min < max) {
            return None;
        }
        let power = libm::log2(range.size()).floor() as i32;
        let last = power.clamp(least, largest);
        let first = match domain.special.subnormals {
            true => least,
            false => (power - NEAR).clamp(least, last),
        };
        range.exponents = (first, last);
        Some(range)
    }

    /// The largest magnitude.
    fn size(&self) -> f64 {
        self.min.abs().max(self.max.abs())
    }

    fn admits(&self, value: f64) -> bool {
        (self.min..=self.max).contains(&value) && (value != 0.0 || self.special.zeros)
    }

    /// The value, or its opposite, if the input may hold one of them.
    fn either(&self, value: f64) -> Option<f64> {
        [value, -value]
            .into_iter()
            .find(|value| self.admits(*value))
    }
}

/// Whether no distance that an author measured on ordinary values is asked of others: what is absolute says nothing where each element stands for itself,
/// or where it is below all that is normal.
fn takes_any_size(contract: &Contract) -> bool {
    let is_small = |bounds: &Bounds| {
        let abs = bounds.abs.as_ref().map(|abs| abs.real(&|_| None));
        abs.is_none_or(|abs| abs.is_ok_and(|abs| abs < 1e-30)) && bounds.nmse.is_none()
    };
    contract.properties.contains(&Property::Elementwise) || contract.tolerance.iter().all(is_small)
}

/// Elements of an input, in rows of a length.
struct Made {
    range: Range,
    kinds: Kinds,
    length: usize,
}

impl Made {
    /// Three of four sweep through the exponents, the others are round.
    fn elements(&self, mut values: Vec<f64>) -> Vec<f64> {
        for (place, value) in values.iter_mut().enumerate() {
            let place = place as u64;
            let made = match place % 4 {
                3 => decoded(self.kinds.round(place / 4)),
                of => self.of_size(place / 4 * 3 + of, place),
            };
            *value = self.range.either(made).unwrap_or(*value);
        }
        values
    }

    /// Of three rows one is of one exponent, one is round, and one is as it was.
    fn rows(&self, mut values: Vec<f64>) -> Vec<f64> {
        for (number, row) in values.chunks_mut(self.length).enumerate() {
            let number = number as u64;
            let made: Vec<f64> = match number % 3 {
                0 => (0..row.len() as u64)
                    .map(|place| self.of_size(number / 3, number << 20 | place))
                    .collect(),
                1 => {
                    let round = self.kinds.round_row(number / 3, row.len());
                    round.into_iter().map(decoded).collect()
                }
                _ => continue,
            };
            let made: Option<Vec<f64>> = made
                .into_iter()
                .map(|made| self.range.either(made))
                .collect();
            // One that is no row of this input any more is left out as a whole.
            if let Some(made) = made {
                row.copy_from_slice(&made);
            }
        }
        values
    }

    /// A value of the exponent with this number, from the first to the last and again from the first: with any significand, or the smallest one.
    fn of_size(&self, number: u64, place: u64) -> f64 {
        let (first, last) = self.range.exponents;
        let count = (last - first + 1) as u64;
        let exponent = first + ((number + self.kinds.seed % count) % count) as i32;
        let random = random(self.kinds.seed, place);
        let power = 2f64.powi(exponent);
        // Rounded it is still of this exponent, and within the bounds.
        let most = (self.range.size() / power - 1.0).min(1.0 - 2f64.powi(-7));
        let significand = match random % 4 {
            0 => 1.0,
            _ => 1.0 + (random >> 12) as f64 / 2f64.powi(52) * most,
        };
        let sign = if ((random >> 2) ^ (number / count)) & 1 == 0 {
            1.0
        } else {
            -1.0
        };
        sign * significand * power
    }
}

fn decoded(bits: u32) -> f64 {
    f32::from_bits(bits).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn contract(text: &str) -> Arc<Contract> {
        let whole = format!(
            r#"{{"id": "one", "inputs": [{{"name": "x", "dtype": "f32", "shape": ["rows", "hidden"]}}],
            "outputs": [{{"name": "y", "dtype": "f32", "shape": ["rows", "hidden"]}}],
            "params": {{"rows": {{"type": "u32", "default": 1, "min": 1, "max": 4096}}, "hidden": {{"type": "u32", "default": 1, "min": 1}}}},
            {text}}}"#
        );
        Arc::new(Contract::parse(whole.as_bytes(), "one.json").unwrap())
    }

    /// The exponents of what a contract's calls hold, and the largest magnitude.
    fn exponents(text: &str, seed: u64) -> (BTreeSet<i32>, f64) {
        let cases = spread(&contract(text), seed);
        let whole = cases.iter().filter(|case| case.name.contains(":size-"));
        assert_eq!((cases.len(), whole.count()), (10, 8));
        let held: Vec<f64> = cases
            .iter()
            .flat_map(|case| number::decode(Dtype::F32, &case.a))
            .collect();
        let sizes = held.iter().map(|value| value.abs());
        let nonzero = sizes.clone().filter(|size| *size > 0.0);
        let exponents = nonzero.map(|size| libm::log2(size).floor() as i32);
        (exponents.collect(), sizes.fold(0.0, f64::max))
    }

    #[test]
    fn every_exponent_is_there_that_a_contract_allows() {
        for seed in 1..6 {
            let (all, most) = exponents(
                r#""tolerance": {"abs": 1e-6}, "properties": ["elementwise"]"#,
                seed,
            );
            assert!(
                (-126..=20).all(|exponent| all.contains(&exponent)),
                "{all:?}"
            );
            assert!(most <= 2f64.powi(LARGE), "{most}");
            // What is summed may be off by more than was allowed for ordinary values.
            let (all, most) = exponents(r#""tolerance": {"abs": 1e-6}"#, seed);
            assert!((-126..=4).all(|exponent| all.contains(&exponent)));
            assert!(most <= FARTHEST, "{most}");
            let (all, most) = exponents(
                r#""tolerance": {"ulp": 2}, "domain": {"x": {"class": "uniform", "min": -3, "max": 0.5, "special": "none"}}"#,
                seed,
            );
            assert!((-29..=1).all(|exponent| all.contains(&exponent)), "{all:?}");
            assert!(!all.contains(&-40) && most <= 3.0);
        }
    }
}
