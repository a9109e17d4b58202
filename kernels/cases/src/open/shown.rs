//! Calls in which parameters show: inputs of several sizes, and beside each call the same one with another value of one parameter.
//!
//! An eps of 1e-6 shows in no row of ordinary values, a bound of 20 in none below it. The values are those that people pass: ends, 0, round numbers.

use super::{
    Built, Value,
    draw::{Random, built, plain, total, whole_blocks},
    near, params, searched,
};
use crate::{
    case::{Case, Source},
    number,
};
use kernel_pack::{
    Dtype,
    contract::{Contract, Domain},
};
use std::sync::Arc;

/// The start of the names.
const PREFIX: &str = "edge:shown-";
/// What stands before the number of a parameter's value.
pub(super) const VALUE: char = '@';
/// Elements that all tensors of one may have together.
const MOST_ELEMENTS: u64 = 1 << 9;
/// Draws of a shape, of which the one with the most elements is taken.
const SHAPES: u32 = 8;
/// Values of a parameter with ordinary inputs, and with others: the two ends are the first.
const VALUES: usize = 8;
const ENDS: usize = 2;

/// What the inputs of a call are like: how many times as large as ordinary ones, and whether that is the first input alone.
const SIZES: [(f64, bool); 5] = [
    (1.0, false),
    (1.0 / 64.0, false),
    (1.0 / 2048.0, true),
    (8.0, false),
    // Zeros, or as near to them as the domain allows.
    (0.0, true),
];

/// The call beside which a case of this name is, if it is one of those.
pub(super) fn beside(name: &str) -> Option<&str> {
    let (number, _) = name.strip_prefix(PREFIX)?.split_once(':')?;
    Some(&name[..PREFIX.len() + number.len()])
}

/// The calls, named `edge:shown-` and a number, and `:param-NAME@` and a number. None for a contract without parameters that may be different.
pub(super) fn cases(contract: &Arc<Contract>) -> Vec<Case> {
    let params: Vec<(&String, Vec<Value>)> = params::no_axes(contract)
        .map(|(name, param)| (name, params::notable(contract, name, param)))
        .collect();
    let wide: Vec<(&String, Vec<Value>)> = params::no_axes(contract)
        .map(|(name, param)| (name, params::wide(contract, name, param)))
        .collect();
    if params.is_empty() {
        return Vec::new();
    }
    let mut random = Random::new(&contract.kernel, 0, u32::MAX - 4);
    let shapes = (0..SHAPES).filter_map(|_| built(contract, &mut random, MOST_ELEMENTS));
    let Some(shape) = shapes.max_by_key(total) else {
        return Vec::new();
    };
    let mut usual = shape.values;
    usual.extend(params::defaults(contract));
    let Ok(base) = Built::new(contract, usual.clone()) else {
        return Vec::new();
    };
    if !whole_blocks(contract, &base) {
        return Vec::new();
    }
    let ordinary = plain(contract, &base, &mut random);
    let mut cases = Vec::new();
    for (number, (times, first_alone)) in SIZES.into_iter().enumerate() {
        let mut data = ordinary.clone();
        for (index, (array, bytes)) in contract.inputs.iter().zip(&mut data).enumerate() {
            if index == 0 || !first_alone {
                scale(array.dtype, bytes, times, &contract.domain_of_input(array));
            }
        }
        if number > 0 && data == ordinary {
            continue;
        }
        let name = format!("{PREFIX}{number}");
        let of = |values, name: String| {
            let built = Built::new(contract, values).ok()?;
            // Shapes may depend on a parameter.
            let same = built.shape.inputs == base.shape.inputs;
            same.then(|| built.case(contract, Source::Edge, name, &data))
        };
        cases.extend(of(usual.clone(), name.clone()));
        for ((param, notable), (_, wide)) in params.iter().zip(&wide) {
            let (most, wide) = match number {
                0 => (VALUES, wide.as_slice()),
                _ => (ENDS, &[][..]),
            };
            let notable = notable.iter().enumerate().take(most);
            let others = notable.chain((VALUES..).zip(wide));
            for (place, value) in others.filter(|(_, value)| usual.get(*param) != Some(value)) {
                let mut values = usual.clone();
                values.insert((*param).clone(), *value);
                let name = format!("{name}{}{VALUE}{place}", near::param(param));
                cases.extend(of(values, name));
            }
        }
    }
    cases
}

/// Makes elements so many times as large, those that the domain allows then; of blocks their scale.
fn scale(dtype: Dtype, bytes: &mut [u8], times: f64, domain: &Domain) {
    let (per_block, unit) = dtype.unit();
    let (dtype, width) = match per_block {
        1 => (dtype, unit as usize),
        _ => (Dtype::F16, 2),
    };
    for element in bytes.chunks_exact_mut(unit as usize) {
        let old = number::decode(dtype, &element[..width]);
        let Some(scaled) = old.first().map(|value| value * times) else {
            continue;
        };
        let scaled = match number::is_float(dtype) {
            true => number::round(dtype, scaled),
            false => scaled.trunc(),
        };
        let allowed = match scaled == 0.0 && number::is_float(dtype) {
            true => domain.special.zeros && times == 0.0,
            false => searched::allows(domain.class, scaled),
        };
        if let (true, Some(new)) = (allowed, number::encode(dtype, scaled)) {
            element[..width].copy_from_slice(&new);
        }
    }
}
