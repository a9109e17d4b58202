//! Calls right beside each other, of kernels with a contract of their own.

use super::{
    Built, Value,
    draw::{Random, built, nearest, plain, solve, total, whole_blocks},
    params::{no_axes, parameter},
};
use crate::{
    case::{Case, Source},
    near::{Change, PREFIX},
};
use kernel_pack::contract::Contract;
use std::{collections::BTreeMap, sync::Arc};

/// Calls that others are beside.
const BASES: u32 = 2;
/// Elements that all tensors of one may have together.
const MOST_ELEMENTS: u64 = 1 << 11;
/// Draws of a shape, of which the one with the most elements is taken.
const SHAPES: u32 = 8;
/// Draws of a parameter before it is taken for one that has only this value.
const TRIES: u32 = 16;

/// A few small calls, and beside each what differs in one thing, as far as the contract allows: an element, an input, a parameter, two axes that are
/// exchanged. Named `near:` and a number, and what differs.
pub fn near(contract: &Arc<Contract>, seed: u64) -> Vec<Case> {
    let numbers = 0..BASES;
    numbers
        .flat_map(|number| beside(contract, number, seed.rotate_left(17)))
        .collect()
}

/// What an input's neighbour is called in which all of it is drawn again.
pub(super) fn other(input: &str) -> String {
    format!(":other-{input}")
}

/// What a parameter's neighbour is called.
pub(super) fn param(name: &str) -> String {
    format!(":param-{name}")
}

fn beside(contract: &Arc<Contract>, number: u32, seed: u64) -> Vec<Case> {
    let mut random = Random::new(&contract.kernel, seed, number);
    let shapes = (0..SHAPES).filter_map(|_| built(contract, &mut random, MOST_ELEMENTS));
    let Some(base) = shapes.max_by_key(total) else {
        return Vec::new();
    };
    let values = base.values;
    let Ok(built) = Built::new(contract, values.clone()) else {
        return Vec::new();
    };
    let data = plain(contract, &built, &mut random);
    let of = |values: &BTreeMap<String, Value>, data: &[Vec<u8>], name: String| {
        let built = Built::new(contract, values.clone()).ok()?;
        let name = format!("{PREFIX}{number}{name}");
        whole_blocks(contract, &built).then(|| built.case(contract, Source::Drawn, name, data))
    };
    let mut cases = Vec::new();
    cases.extend(of(&values, &data, String::new()));
    let again = plain(contract, &built, &mut random);
    for (index, array) in contract.inputs.iter().enumerate() {
        let (_, unit) = array.dtype.unit();
        let mut with = |tensor: Vec<u8>, name: String| {
            let mut data = data.clone();
            data[index] = tensor;
            cases.extend(of(&values, &data, name));
        };
        if again[index] != data[index] {
            with(again[index].clone(), other(&array.name));
        }
        for change in Change::ALL {
            if let Some(changed) = change.of(&data[index], unit as usize, random.next()) {
                with(changed, format!(":{}-{}", change.name(), array.name));
            }
        }
    }
    for (name, kind) in no_axes(contract) {
        let mut drawn = (0..TRIES).map(|_| parameter(contract, name, kind, &mut random));
        if let Some(value) = drawn.find(|value| values.get(name) != Some(value)) {
            let mut values = values.clone();
            values.insert(name.clone(), value);
            // Shapes may depend on it.
            let same = Built::new(contract, values.clone())
                .is_ok_and(|other| other.shape.inputs == built.shape.inputs);
            if same {
                cases.extend(of(&values, &data, param(name)));
            }
        }
    }
    let axes: Vec<_> = contract.axes.iter().collect();
    for (index, (one, first)) in axes.iter().enumerate() {
        for (other, second) in &axes[index + 1..] {
            let length = |name: &str| {
                values
                    .get(name)
                    .and_then(|value| value.integer())
                    .and_then(|value| u32::try_from(value).ok())
            };
            let (Some(long), Some(short)) = (length(one), length(other)) else {
                continue;
            };
            if long == short || nearest(first, short) != short || nearest(second, long) != long {
                continue;
            }
            let mut values = values.clone();
            values.insert((*one).clone(), Value::Integer(short.into()));
            values.insert((*other).clone(), Value::Integer(long.into()));
            solve(contract, &mut values);
            let Ok(traded) = Built::new(contract, values.clone()) else {
                continue;
            };
            if total(&traded) > 2 * MOST_ELEMENTS {
                continue;
            }
            // The same bytes, where there are as many.
            let own = plain(contract, &traded, &mut random);
            let pairs = own.into_iter().zip(&data);
            let bytes: Vec<Vec<u8>> = pairs
                .map(|(own, first)| {
                    if own.len() == first.len() {
                        first.clone()
                    } else {
                        own
                    }
                })
                .collect();
            cases.extend(of(&values, &bytes, format!(":traded-{one}-{other}")));
        }
    }
    cases
}
