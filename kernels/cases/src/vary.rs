//! Calls that differ from one in numbers alone: as many as anybody wants, all of the same sizes. Nobody says what they answer; that follows from each call
//! alone, whatever was called before.

use crate::{
    case::{Case, Entry},
    number,
    open::{self, Region, Tensor},
};
use kernel_pack::{
    Dtype, Param,
    contract::{Class, Contract},
};
use std::ops::Range;

/// In what calls differ from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variation {
    /// Another value of each parameter that is a real number and no axis, and other last bits in the first input, which two numbers share where parameters
    /// tell them apart. Those of any two numbers below 1024 differ, if they can.
    Numbers,
    /// One element of an input, each number another one; number 0 is the case itself.
    Element,
    /// Every element of an input, number 1 the first one's; number 0 is the case itself.
    Tensor,
    /// Number 1 has NaNs for an input, where the contract covers them; number 0 is the case itself.
    Nans,
    /// Two elements of an input have changed places: numbers 1 and 2 are of either half of the first input; number 0 is the case itself.
    Exchanged,
}

/// A case with another one's sizes and status, as far as the contract allows: two numbers differ, until there is nothing more to change.
pub fn varied(case: &Case, contract: &Contract, variation: Variation, number: u32) -> Case {
    let mut varied = case.clone();
    if variation == Variation::Exchanged {
        exchange(&mut varied, number);
        return varied;
    }
    let free = free(case, contract, variation == Variation::Nans);
    match variation {
        Variation::Numbers => {
            let mut bits = number;
            varied.params = other_params(case, contract, number);
            if varied.params != case.params {
                bits = number / 2;
            }
            // Two low bytes of elements of any float, or of a block's scale and codes.
            if let [(Region::A, first), ..] = free.as_slice() {
                let middle = first.start + first.len() / 8 * 4;
                for (at, by) in [(first.start, bits), (middle, bits >> 8)] {
                    if let Some(byte) = varied.a.get_mut(at) {
                        *byte ^= by as u8;
                    }
                }
            } else if let Some(whole) = whole_numbers(case, contract).first() {
                let middle = whole.count / 2;
                whole.move_on(&mut varied, 0, (bits & 0xff).into());
                whole.move_on(&mut varied, middle, (bits >> 8).into());
            }
        }
        Variation::Element => {
            // Even bytes are the lower half of floats of 16 bits, and in one of 32 bits the lowest and one with more of the significand.
            let mut places = free
                .into_iter()
                .flat_map(|(region, bytes)| bytes.step_by(2).map(move |at| (region, at)));
            let Some(place) = number.checked_sub(1) else {
                return varied;
            };
            let of_floats = places.clone().count();
            if let Some((region, at)) = places.nth(place as usize)
                && let Some(bytes) = input_mut(&mut varied, region)
            {
                bytes[at] ^= 0x40;
            } else if let Some(mut place) = (place as usize).checked_sub(of_floats) {
                for whole in whole_numbers(case, contract) {
                    if place < whole.count {
                        whole.move_on(&mut varied, place, whole.half());
                        break;
                    }
                    place -= whole.count;
                }
            }
        }
        Variation::Tensor | Variation::Nans | Variation::Exchanged => {
            let Some(chosen) = number.checked_sub(1).map(|chosen| chosen as usize) else {
                return varied;
            };
            if variation == Variation::Tensor
                && let Some(chosen) = chosen.checked_sub(free.len())
                && let Some(whole) = whole_numbers(case, contract).get(chosen)
            {
                for place in 0..whole.count {
                    whole.move_on(&mut varied, place, whole.half());
                }
            } else if let Some((region, range)) = free.into_iter().nth(chosen)
                && let Some(bytes) = input_mut(&mut varied, region)
            {
                match variation {
                    // All bits set are a NaN of any float, and of a block's scale.
                    Variation::Nans => bytes[range].fill(0xff),
                    _ => bytes[range]
                        .iter_mut()
                        .step_by(2)
                        .for_each(|byte| *byte ^= 0x40),
                }
            }
        }
    }
    varied
}

/// Exchanges two elements of a half of an input, which any sum of all of them takes for the same.
fn exchange(case: &mut Case, number: u32) {
    let Some(number) = number.checked_sub(1) else {
        return;
    };
    let tensors: Vec<(Region, Range<usize>, usize)> = match &case.open {
        Some(call) => call
            .inputs
            .iter()
            .map(|tensor| {
                let (_, width) = tensor.dtype.unit();
                let bytes = tensor.offset..tensor.offset + tensor.bytes;
                (tensor.region, bytes, width as usize)
            })
            .collect(),
        None => vec![
            (Region::A, 0..case.a.len(), 4),
            (Region::B, 0..case.b.len(), 4),
        ],
    };
    let present = tensors
        .into_iter()
        .filter(|(_, bytes, _)| !bytes.is_empty());
    let Some((region, bytes, width)) = present.into_iter().nth(number as usize / 2) else {
        return;
    };
    let Some(tensor) = input_mut(case, region).and_then(|input| input.get_mut(bytes)) else {
        return;
    };
    let elements = tensor.len() / width;
    let half = elements / 2;
    let first = half * (number as usize % 2);
    let (one, other) = (first + half / 8, first + half * 5 / 8);
    for byte in 0..width {
        if other > one && other < elements {
            tensor.swap(one * width + byte, other * width + byte);
        }
    }
}

fn input_mut(case: &mut Case, region: Region) -> Option<&mut Vec<u8>> {
    match region {
        Region::A => Some(&mut case.a),
        Region::B => Some(&mut case.b),
        Region::Output => None,
    }
}

/// The parameter struct with this number's values.
fn other_params(case: &Case, contract: &Contract, number: u32) -> Vec<u8> {
    let mut params = case.params.clone();
    // Those of a gradient may be others than the contract's; of a forward call the last ones may be left out.
    if case.entry == Entry::Backward && params.len() != 4 * contract.params.len() {
        return params;
    }
    let (words, _) = params.as_chunks_mut::<4>();
    for (word, (name, param)) in words.iter_mut().zip(&contract.params) {
        if matches!(param, Param::F32 { .. }) && !contract.axes.contains_key(name) {
            let value = f32::from_le_bytes(*word);
            let other = other(value, number)
                .map(f32::to_bits)
                .into_iter()
                .find(|bits| open::means(contract, name, param, *bits));
            *word = other.map_or(*word, u32::to_le_bytes);
        }
    }
    params
}

/// Values that this number makes of one, the one that is preferred first.
fn other(value: f32, number: u32) -> [f32; 3] {
    let part = number as f32 / 1024.0;
    let value = if value == 0.0 { 1.0 } else { value };
    [value * (1.0 + part), value * (1.0 - part / 2.0), part]
}

/// Bytes of inputs whose elements may be any numbers of about their size, and NaNs where those are asked for.
fn free(case: &Case, contract: &Contract, nans: bool) -> Vec<(Region, Range<usize>)> {
    let Some(call) = &case.open else {
        return vec![(Region::A, 0..case.a.len()), (Region::B, 0..case.b.len())];
    };
    let is_free = |tensor: &&Tensor| {
        let is_float = matches!(tensor.dtype, Dtype::F32 | Dtype::F16 | Dtype::Bf16);
        let array = contract
            .inputs
            .iter()
            .find(|array| array.name == tensor.name);
        let domain = array.map(|array| contract.domain_of_input(array));
        let is_range = domain.as_ref().is_some_and(|domain| {
            let range = matches!(
                domain.class,
                Class::Normal { .. } | Class::Uniform { .. } | Class::Unit
            );
            range && (!nans || domain.special.nans)
        });
        is_float && is_range
    };
    let free = call.inputs.iter().filter(is_free);
    free.map(|tensor| (tensor.region, tensor.offset..tensor.offset + tensor.bytes))
        .collect()
}

/// An input of whole numbers, of which there is more than one that it may hold.
struct Whole {
    region: Region,
    start: usize,
    count: usize,
    dtype: Dtype,
    least: f64,
    most: f64,
}

impl Whole {
    /// Half of the numbers that it may hold.
    fn half(&self) -> f64 {
        ((self.most - self.least + 1.0) / 2.0).floor()
    }

    /// Makes an element so much larger, and where it is beyond the largest begins with the least one again.
    fn move_on(&self, case: &mut Case, place: usize, by: f64) {
        let (_, width) = self.dtype.unit();
        let at = self.start + place * width as usize;
        let bytes =
            input_mut(case, self.region).and_then(|input| input.get_mut(at..at + width as usize));
        let Some(bytes) = bytes else {
            return;
        };
        let value = number::decode(self.dtype, bytes).first().copied();
        let numbers = self.most - self.least + 1.0;
        let moved = value.map(|value| self.least + (value - self.least + by) % numbers);
        if let Some(moved) = moved.and_then(|moved| number::encode(self.dtype, moved)) {
            bytes.copy_from_slice(&moved);
        }
    }
}

/// The inputs of whole numbers.
fn whole_numbers(case: &Case, contract: &Contract) -> Vec<Whole> {
    let Some(call) = &case.open else {
        return Vec::new();
    };
    let whole = |tensor: &Tensor| {
        let array = contract
            .inputs
            .iter()
            .find(|array| array.name == tensor.name)?;
        let (least, most) = open::whole_numbers(contract, array)?;
        let (_, width) = tensor.dtype.unit();
        Some(Whole {
            region: tensor.region,
            start: tensor.offset,
            count: tensor.bytes / width as usize,
            dtype: tensor.dtype,
            least,
            most,
        })
    };
    call.inputs.iter().filter_map(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate;
    use kernel_pack::contract::definitions;
    use std::collections::BTreeSet;

    #[test]
    fn whole_numbers_vary_within_their_domain() {
        let text = br#"{"id": "one", "inputs": [{"name": "x", "dtype": "i32", "shape": ["n"]}],
            "outputs": [{"name": "y", "dtype": "i32", "shape": ["n"]}],
            "params": {"n": {"type": "u32", "default": 64, "min": 64}},
            "domain": {"x": {"class": "integers", "min": -2, "max": 9}}}"#;
        let contract = std::sync::Arc::new(Contract::parse(text, "one.json").unwrap());
        let case = open::sized(&contract, 128, 1).unwrap();
        let values = |case: &Case| number::decode(Dtype::I32, &case.a);
        let differ = |other: &Case| {
            let pairs = values(&case).into_iter().zip(values(other));
            pairs.filter(|(one, other)| one != other).count()
        };
        let of = |variation, number| {
            let other = varied(&case, &contract, variation, number);
            assert!(
                values(&other)
                    .iter()
                    .all(|value| (-2.0..=9.0).contains(value))
            );
            differ(&other)
        };
        let elements = values(&case).len();
        assert!(elements >= 64);
        assert_eq!(
            [0, 1, 2].map(|number| of(Variation::Tensor, number)),
            [0, elements, 0]
        );
        assert!((1..=elements as u32).all(|number| of(Variation::Element, number) == 1));
        assert_eq!(of(Variation::Element, elements as u32 + 1), 0);
        assert_eq!(of(Variation::Numbers, 0x105), 2);
        assert_eq!(of(Variation::Nans, 1), 0);
    }

    #[test]
    fn calls_that_vary_have_the_same_sizes_and_differ() {
        for definition in definitions() {
            let contract = definition.contract().unwrap();
            let case = generate::sized(&definition.kernel, [2, 2, 2, 2], 1).unwrap();
            let of = |variation, number| varied(&case, &contract, variation, number);
            let cases = (0..512).map(|number| of(Variation::Numbers, number));
            let mut params = BTreeSet::new();
            let mut inputs = BTreeSet::new();
            for one in cases {
                let sizes = |case: &Case| (case.params.len(), case.a.len(), case.output_size);
                assert_eq!(sizes(&one), sizes(&case));
                params.insert(one.params);
                inputs.insert(one.a);
            }
            let has_real = |(_, param): &(String, Param)| matches!(param, Param::F32 { .. });
            let different = if contract.params.iter().any(has_real) {
                512
            } else {
                1
            };
            assert!(
                params.len() >= different,
                "{}: {}",
                definition.kernel,
                params.len()
            );
            // Number 0 is the case itself, with its parameters.
            assert_eq!(inputs.len(), if different > 1 { 256 } else { 512 });
            let elements = (case.a.len() + case.b.len()) as u32 / 2;
            let cases = (0..=elements).map(|number| of(Variation::Element, number));
            let inputs: BTreeSet<_> = cases.map(|case| (case.a, case.b)).collect();
            assert_eq!(inputs.len() as u32, elements + 1, "{}", definition.kernel);
            assert_eq!(of(Variation::Element, 0), case);
            assert_eq!(of(Variation::Element, elements + 1), case);
            let exchanged = of(Variation::Exchanged, 1);
            // A half of less has no two elements.
            if case.a.len() >= 16 {
                assert_ne!(exchanged.a, case.a, "{}", definition.kernel);
            }
            let sorted = |bytes: &[u8]| {
                let mut words: Vec<_> = bytes.chunks(4).map(<[u8]>::to_vec).collect();
                words.sort();
                words
            };
            assert_eq!(sorted(&exchanged.a), sorted(&case.a));
            assert_eq!(exchanged.b, case.b);
            assert_eq!(of(Variation::Exchanged, 0), case);
            for variation in [Variation::Tensor, Variation::Nans] {
                assert_eq!(of(variation, 0), case);
                let other = of(variation, 1);
                let changed = case
                    .a
                    .iter()
                    .zip(&other.a)
                    .filter(|(one, other)| one != other);
                assert!(changed.count() >= case.a.len() / 2, "{}", definition.kernel);
                assert_eq!(other.b, case.b);
            }
        }
    }
}
