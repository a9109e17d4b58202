//! Calls that differ from one in numbers alone: as many as anybody wants, all of the same sizes. Nobody says what they answer; that follows from each call
//! alone, whatever was called before.

use crate::{
    case::{Case, Entry},
    open,
};
use kernel_pack::{
    Dtype, Param,
    contract::{Class, Contract},
};

/// The case with another value of each parameter that is a real number and no axis, and with other last bits in the first input, as far as the contract
/// allows. The parameters of any two numbers below 1024 differ, if they can.
pub fn varied(case: &Case, contract: Option<&Contract>, number: u32) -> Case {
    let mut varied = case.clone();
    let Some(contract) = contract else {
        return varied;
    };
    // The gradient's parameters may be others than the contract's.
    if case.params.len() == 4 * contract.params.len() {
        let (words, _) = varied.params.as_chunks_mut::<4>();
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
    }
    if has_free_bits(case, contract) {
        // Two low bytes of elements of any float, or of a block's scale and codes.
        let middle = varied.a.len() / 8 * 4;
        for (at, by) in [(0, number), (middle, number >> 8)] {
            if let Some(byte) = varied.a.get_mut(at) {
                *byte ^= by as u8;
            }
        }
    }
    varied
}

/// Values that this number makes of one, the one that is preferred first.
fn other(value: f32, number: u32) -> [f32; 3] {
    let part = number as f32 / 1024.0;
    let value = if value == 0.0 { 1.0 } else { value };
    [value * (1.0 + part), value * (1.0 - part / 2.0), part]
}

/// Whether the last bits of the first input's elements may be any.
fn has_free_bits(case: &Case, contract: &Contract) -> bool {
    let Some(call) = &case.open else {
        return true;
    };
    let first = contract.a.first().map(|index| &contract.inputs[*index]);
    first.is_some_and(|array| {
        let is_float = matches!(array.dtype, Dtype::F32 | Dtype::F16 | Dtype::Bf16);
        let class = contract.domain_of_input(array).class;
        let is_range = matches!(
            class,
            Class::Normal { .. } | Class::Uniform { .. } | Class::Unit
        );
        case.entry == Entry::Forward && is_float && is_range && !call.inputs.is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate;
    use kernel_pack::contract::definitions;
    use std::collections::BTreeSet;

    #[test]
    fn calls_that_vary_have_the_same_sizes_and_differ() {
        for definition in definitions() {
            let contract = definition.contract().unwrap();
            let case = generate::sized(&definition.kernel, [2, 2, 2, 2], 1).unwrap();
            let cases = (0..512).map(|number| varied(&case, Some(&contract), number));
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
            assert_eq!(inputs.len(), 512, "{}", definition.kernel);
        }
    }
}
