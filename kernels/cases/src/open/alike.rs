//! Calls whose inputs hold what real ones often do: elements that two inputs share, one value everywhere, one sign, the numbers of a model that was
//! converted from 16 bits, and the extremes of whole numbers beside each other.

use super::{
    Built,
    draw::{Random, built, elements_of, plain, shaped, total},
    whole_numbers,
};
use crate::{
    case::{Case, Source},
    generate::ALIKE,
    number,
};
use half::f16;
use kernel_pack::{
    Dtype,
    contract::{Array, Class, Contract},
};
use std::sync::Arc;

/// Elements that all tensors of a call may have together.
const MOST_ELEMENTS: u64 = 1 << 12;
/// Draws of a shape, of which the largest is taken.
const SHAPES: u32 = 16;
/// A length of an axis along which products of the largest whole numbers of 8 bits have sums that f32 does not hold, and elements of such a call.
const LONG: u32 = 2101;
const MOST_OF_LONG: u64 = 1 << 14;
/// Every so many elements of two inputs are equal in a call in which not all are.
const EVERY: usize = 3;

/// The calls, named `alike:` and what is alike.
pub fn alike(contract: &Arc<Contract>, seed: u64) -> Vec<Case> {
    let mut calls = Calls {
        contract,
        random: Random::new(&contract.kernel, seed.rotate_left(17), u32::MAX - 9),
        cases: Vec::new(),
    };
    calls.equal();
    calls.constants();
    calls.classes();
    calls.extremes();
    calls.cases
}

struct Calls<'a> {
    contract: &'a Arc<Contract>,
    random: Random,
    cases: Vec<Case>,
}

impl Calls<'_> {
    /// Adds a call whose data is changed, unless there is none or nothing to change.
    fn add(&mut self, what: String, change: impl FnOnce(&Built, &mut [Vec<u8>]) -> Option<()>) {
        let shapes = (0..SHAPES).filter_map(|_| {
            let built = built(self.contract, &mut self.random, MOST_ELEMENTS)?;
            Some((total(&built), built))
        });
        if let Some((_, shape)) = shapes.max_by_key(|(elements, _)| *elements) {
            self.add_of(shape, what, change);
        }
    }

    /// The same of a shape.
    fn add_of(
        &mut self,
        shape: Built,
        what: String,
        change: impl FnOnce(&Built, &mut [Vec<u8>]) -> Option<()>,
    ) {
        let mut data = plain(self.contract, &shape, &mut self.random);
        if change(&shape, &mut data).is_some() {
            let name = format!("{ALIKE}{what}");
            let case = shape.case(self.contract, Source::Drawn, name, &data);
            self.cases.push(case);
        }
    }

    /// Of two inputs that may hold the same: the second one holds what the first one does, wholly and here and there.
    fn equal(&mut self) {
        let inputs = &self.contract.inputs;
        for other in 1..inputs.len() {
            let as_other = |one: &usize| {
                let of = |array: &Array| (array.dtype, self.contract.domain_of_input(array).class);
                of(&inputs[*one]) == of(&inputs[other]) && inputs[other].dtype.unit().0 == 1
            };
            let Some(one) = (0..other).rev().find(as_other) else {
                continue;
            };
            let names = format!("{}-{}", inputs[one].name, inputs[other].name);
            let unit = inputs[other].dtype.unit().1 as usize;
            for (what, every) in [("equal", 1), ("equal-some", EVERY)] {
                self.add(format!("{what}-{names}"), |_, data| {
                    let (before, from) = data.split_at_mut(other);
                    let first = &before[one];
                    let elements = from.first_mut()?.chunks_exact_mut(unit).enumerate();
                    for (place, element) in elements.filter(|(place, _)| place % every == 0) {
                        // A shorter one is repeated, as where it is broadcast.
                        let at = place * unit % first.len().max(unit);
                        element.copy_from_slice(first.get(at..at + unit)?);
                    }
                    Some(())
                });
            }
        }
    }

    /// One input at a time is 1 everywhere, and another value.
    fn constants(&mut self) {
        for (index, input) in self.contract.inputs.iter().enumerate() {
            let class = self.contract.domain_of_input(input).class;
            if !number::is_float(input.dtype) || input.dtype.unit().0 > 1 {
                continue;
            }
            for (what, value) in [("one", 1.0), ("constant", 2.75)] {
                if admits(class, value) {
                    self.add(format!("{what}-{}", input.name), |_, data| {
                        change(input.dtype, &mut data[index], |_, _| Some(value))
                    });
                }
            }
        }
    }

    /// All inputs of either sign are of one, or hold what a format of 16 bits has.
    fn classes(&mut self) {
        let inputs = &self.contract.inputs;
        let of_either_sign: Vec<usize> = (0..inputs.len())
            .filter(|index| {
                let input = &inputs[*index];
                let class = self.contract.domain_of_input(input).class;
                let float = number::is_float(input.dtype) && input.dtype.unit().0 == 1;
                float && matches!(class, Class::Normal { .. } | Class::Unit)
            })
            .collect();
        if of_either_sign.is_empty() {
            return;
        }
        type Change = fn(f64) -> f64;
        let changes: [(&str, Change); 4] = [
            ("positive", f64::abs),
            ("negative", |value| -value.abs()),
            ("f16", |value| f16::from_f64(value).to_f64()),
            ("bf16", |value| {
                f32::from_bits((value as f32).to_bits() & 0xffff_0000).into()
            }),
        ];
        for (what, make) in changes {
            self.add(what.to_owned(), |_, data| {
                for index in &of_either_sign {
                    change(inputs[*index].dtype, &mut data[*index], |_, value| {
                        Some(make(value))
                    })?;
                }
                Some(())
            });
        }
    }

    /// Inputs of whole numbers: all the smallest, all the largest, also along each axis when it is long, these by turns, and each notable number of one
    /// beside each of another.
    fn extremes(&mut self) {
        let inputs = self.contract.inputs.iter().enumerate();
        let of: Vec<(usize, Dtype, Vec<f64>)> = inputs
            .filter_map(|(index, input)| Some((index, input.dtype, notable(self.contract, input)?)))
            .collect();
        if of.is_empty() {
            return;
        }
        let longest = of.iter().map(|(.., numbers)| numbers.len()).max();
        let longest = longest.unwrap_or(1);
        for what in ["smallest", "largest", "extremes", "beside"] {
            self.add(format!("integers-{what}"), |built, data| {
                for (number, (index, dtype, numbers)) in of.iter().enumerate() {
                    let slowly = longest.pow(number.min(3) as u32);
                    let place = |place: usize| match what {
                        "smallest" => 0,
                        "largest" => 1,
                        "extremes" => place / 2 % 2,
                        _ => place / slowly % numbers.len(),
                    };
                    let has_any = elements_of(&built.shape.inputs[*index]) > 0;
                    change(*dtype, &mut data[*index], |at, _| {
                        has_any.then(|| numbers.get(place(at)).copied())?
                    })?;
                }
                Some(())
            });
        }
        for axis in self.contract.axes.keys() {
            let Some(shape) = shaped(self.contract, &[(axis, LONG)], MOST_OF_LONG) else {
                continue;
            };
            self.add_of(shape, format!("integers-largest-{axis}"), |_, data| {
                of.iter().try_for_each(|(index, dtype, numbers)| {
                    change(*dtype, &mut data[*index], |_, _| numbers.get(1).copied())
                })
            });
        }
    }
}

/// Puts values in the place of others; nothing where one of them is none of the type.
fn change(
    dtype: Dtype,
    bytes: &mut Vec<u8>,
    make: impl Fn(usize, f64) -> Option<f64>,
) -> Option<()> {
    let values = number::decode(dtype, bytes).into_iter().enumerate();
    let made = values.map(|(place, value)| number::encode(dtype, make(place, value)?));
    *bytes = made.collect::<Option<Vec<_>>>()?.concat();
    Some(())
}

/// Whether a class has a value among its ordinary ones.
pub(super) fn admits(class: Class, value: f64) -> bool {
    match class {
        Class::Normal { scale } => value.abs() <= 8.0 * scale,
        Class::Uniform { min, max } => (min..=max).contains(&value),
        Class::LogUniform { min, max } => (min..=max).contains(&value.abs()),
        Class::Unit => value.abs() <= 1.0,
        Class::Integers { .. } | Class::Angles | Class::Constant { .. } => false,
    }
}

/// Whole numbers of an input: the smallest, the largest, and of -1, 0 and 1 those between them. `None` for one that holds others.
fn notable(contract: &Contract, input: &Array) -> Option<Vec<f64>> {
    let (min, max) = whole_numbers(contract, input)?;
    let between = [-1.0, 0.0, 1.0].into_iter();
    let between = between.filter(|one| min < *one && *one < max);
    Some([min, max].into_iter().chain(between).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(dtype: &str, domain: &str) -> Vec<Case> {
        let whole = format!(
            r#"{{"id": "one", "inputs": [{{"name": "x", "dtype": "{dtype}", "shape": ["rows", "hidden"]}}, {{"name": "z", "dtype": "{dtype}", "shape": ["rows", "hidden"]}}],
            "outputs": [{{"name": "y", "dtype": "{dtype}", "shape": ["rows", "hidden"]}}],
            "params": {{"rows": {{"type": "u32", "default": 1, "min": 1, "max": 4096}}, "hidden": {{"type": "u32", "default": 1, "min": 1}}}}{domain}}}"#
        );
        let contract = Contract::parse(whole.as_bytes(), "one.json").unwrap();
        alike(&Arc::new(contract), 3)
    }

    fn call<'a>(cases: &'a [Case], what: &str) -> &'a Case {
        let name = format!("{ALIKE}{what}");
        let found = cases.iter().find(|case| case.name == name);
        found.unwrap_or_else(|| panic!("{what}"))
    }

    #[test]
    fn two_inputs_share_elements_and_each_is_one_value_in_turn() {
        let cases = calls("f32", r#", "tolerance": {"ulp": 1}"#);
        assert_eq!(cases.len(), 10);
        let same = call(&cases, "equal-x-z");
        assert_eq!(same.a, same.b);
        let some = call(&cases, "equal-some-x-z");
        let equal = some.a.chunks(4).zip(some.b.chunks(4));
        let equal = equal.filter(|(x, z)| x == z).count();
        assert_eq!(equal, (some.a.len() / 4).div_ceil(EVERY));
        let one = call(&cases, "one-z");
        assert!(one.b.chunks(4).all(|z| z == 1f32.to_le_bytes()));
        let positive = call(&cases, "positive");
        let values = [&positive.a, &positive.b].map(|bytes| number::decode(Dtype::F32, bytes));
        assert!(values.iter().flatten().all(|value| *value >= 0.0));
    }

    #[test]
    fn whole_numbers_are_at_their_extremes_together() {
        let cases = calls("i8", "");
        let smallest = call(&cases, "integers-smallest");
        assert!(
            smallest
                .a
                .iter()
                .chain(&smallest.b)
                .all(|byte| *byte == 0x80)
        );
        let beside = call(&cases, "integers-beside");
        let of = |bytes: &[u8]| number::decode(Dtype::I8, bytes);
        let pairs = of(&beside.a).into_iter().zip(of(&beside.b));
        let pairs: std::collections::BTreeSet<String> =
            pairs.map(|(x, z)| format!("{x} {z}")).collect();
        assert_eq!(pairs.len(), 25, "{pairs:?}");
        let few = calls(
            "i32",
            r#", "domain": {"z": {"class": "integers", "min": 1, "max": 9}}"#,
        );
        let values = of_i32(&call(&few, "integers-beside").b);
        assert!(values.iter().all(|value| [1.0, 9.0].contains(value)));
    }

    fn of_i32(bytes: &[u8]) -> Vec<f64> {
        number::decode(Dtype::I32, bytes)
    }
}
