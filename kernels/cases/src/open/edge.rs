//! Edge cases that follow from a contract alone: each wrong call has one mistake, so that the common order of checks decides its status.

use super::{
    Built, Value,
    draw::{self, Random},
    limits, params, shown, sizes, special,
};
use crate::{
    case::{Case, Source, Tweak, Word},
    edge,
};
use kernel_abi::Status;
use kernel_pack::{Param, contract::Contract};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Bytes that each tensor of the call should have from which wrong ones are made: more than what regions are moved by.
const LEAST_BYTES: usize = 64;
/// The same of a larger call: no 8 bits and no 16 bits of a size say enough.
const LEAST_BYTES_OF_LARGER: usize = (64 << 10) + LEAST_BYTES;
/// Elements that all its tensors should have together at most: there are some two hundred wrong ones.
const FEW_ELEMENTS: u64 = 1 << 14;
/// The same of a larger call.
const MORE_ELEMENTS: u64 = 1 << 17;
/// Draws of such a call.
const TRIES: u32 = 200;

/// The table of a contract.
pub(super) fn cases(contract: &Arc<Contract>) -> Vec<Case> {
    let mut cases = Vec::new();
    if let Some((good, values)) = good(contract) {
        cases.extend(regions(contract, &good, &values));
        cases.extend(overlaps_of_larger(contract, &good));
        cases.extend(refused_parameters(contract, &good, &values));
        cases.extend(bounds(contract, &values));
        cases.extend(sizes::wrapping(contract, &good, &values));
        cases.extend(sizes::wrapped(contract, &good));
        cases.extend(sizes::parts(contract, &good, &values));
    }
    cases.extend(limits::cases(contract));
    cases.extend(special::cases(contract));
    cases.extend(shown::cases(contract));
    cases
}

/// A call that the kernel takes, with default parameters where they are allowed, and with tensors of some size where there are such. `None` only
/// if no shape is found at all.
pub(super) fn good(contract: &Arc<Contract>) -> Option<(Case, BTreeMap<String, Value>)> {
    taken(contract, LEAST_BYTES, FEW_ELEMENTS)
}

/// The same, whose tensors have at least so many bytes each where there are such, and together so many elements.
fn taken(
    contract: &Arc<Contract>,
    least_bytes: usize,
    elements: u64,
) -> Option<(Case, BTreeMap<String, Value>)> {
    let mut random = Random::new(&contract.kernel, 0, u32::MAX - 1);
    let mut best: Option<(usize, Built)> = None;
    for most in [elements, draw::MAX_ELEMENTS] {
        for _ in 0..TRIES {
            let Some(drawn) = draw::built(contract, &mut random, most) else {
                break;
            };
            let mut values = drawn.values.clone();
            values.extend(params::defaults(contract));
            let built = Built::new(contract, values).unwrap_or(drawn);
            let (inputs, outputs) = built.tensors(contract);
            let sizes = inputs.iter().chain(&outputs).map(|tensor| tensor.bytes);
            let least = sizes.min().unwrap_or(0);
            if best.as_ref().is_none_or(|(most, _)| least > *most) {
                best = Some((least, built));
            }
            if least >= least_bytes {
                break;
            }
        }
        if best.is_some() {
            break;
        }
    }
    let (_, built) = best?;
    let values = built.values.clone();
    let data = draw::plain(contract, &built, &mut random);
    let name = "edge:plain".to_owned();
    Some((built.case(contract, Source::Edge, name, &data), values))
}

/// Regions over each other, of a call whose tensors are larger than those of the other wrong calls.
fn overlaps_of_larger(contract: &Arc<Contract>, good: &Case) -> Vec<Case> {
    let Some((larger, values)) = taken(contract, LEAST_BYTES_OF_LARGER, MORE_ELEMENTS) else {
        return Vec::new();
    };
    if larger.a.len() <= good.a.len() {
        return Vec::new();
    }
    let rows = regions(contract, &larger, &values).into_iter();
    rows.filter(|case| {
        let over = |tweak: &Tweak| matches!(tweak, Tweak::Copy(..) | Tweak::Descriptor(..));
        case.expect == Status::INVALID_INPUT.0 && case.tweaks.iter().any(over)
    })
    .map(|case| Case {
        name: case.name.replacen("edge:", "edge:larger-", 1),
        ..case
    })
    .collect()
}

/// What a host may do wrong with regions.
fn regions(contract: &Arc<Contract>, good: &Case, values: &BTreeMap<String, Value>) -> Vec<Case> {
    let element = |index: usize| contract.inputs[index].dtype.unit().1 as usize;
    let refused = refused(contract).next().map(|(_, name, value)| {
        let mut values = values.clone();
        values.insert(name.to_owned(), value);
        super::params(contract, &values)
    });
    let has_params = !contract.params.is_empty();
    let of_params = |tweak: &Tweak| {
        let (Tweak::Set(word, _)
        | Tweak::Add(word, _)
        | Tweak::FromMemoryEnd(word, _)
        | Tweak::BelowHeap(word, _)) = *tweak
        else {
            return matches!(tweak, Tweak::Copy(..));
        };
        matches!(word, Word::ParamsOffset | Word::ParamsSize)
    };
    let rows = edge::region_rows(
        good,
        contract.a.first().map_or(4, |index| element(*index)),
        refused.as_deref().unwrap_or_default(),
        contract.scratch.is_some() && good.scratch_size > 0,
    );
    rows.into_iter()
        .filter(|case| {
            let about_params = case.name.contains("params") || case.tweaks.iter().any(of_params);
            let kept = (refused.is_some() || !case.name.contains("bad-value"))
                && (has_params || !(about_params || case.params != good.params))
                && !(contract.params.len() == 1 && case.name == "edge:params-of-4-bytes")
                && !(case.expect != Status::INVALID_PARAMS.0
                    && case
                        .tweaks
                        .iter()
                        .any(|tweak| is_other_axis(contract, *tweak)));
            // A struct of no parameters is one of the wrong length for those that have some.
            kept && !(case.params == good.params
                && case.name.ends_with("-params")
                && case.tweaks.is_empty())
        })
        .map(|case| Case {
            // The good call's answer is known to nobody but the truth.
            open: good.open.clone(),
            ..case
        })
        .collect()
}

/// Whether a tweak gives a region the size of another call, because the kernel takes an axis from that size and from no other input's.
fn is_other_axis(contract: &Contract, tweak: Tweak) -> bool {
    let free = |region: &[usize], others: &[usize]| {
        let has = |indices: &[usize], name: &str| {
            let mut inputs = indices.iter().map(|index| &contract.inputs[*index]);
            inputs.any(|input| sizes::names(input, name))
        };
        let mut axes = contract.axes.iter();
        let alone = axes.find(|(name, axis)| {
            !axis.is_param && !axis.is_fixed() && has(region, name) && !has(others, name)
        });
        alone.map(|(_, axis)| axis.min)
    };
    let (Tweak::Add(word, _) | Tweak::Set(word, _)) = tweak else {
        return false;
    };
    let (region, others) = match word {
        Word::InputASize => (&contract.a, &contract.b),
        Word::InputBSize => (&contract.b, &contract.a),
        _ => return false,
    };
    let Some(least) = free(region, others) else {
        return false;
    };
    match tweak {
        Tweak::Add(_, by) => {
            let mut units = region
                .iter()
                .map(|index| contract.inputs[*index].dtype.unit().1);
            // What no memory has is refused whatever the axis is.
            by != i32::MIN && units.any(|unit| by.unsigned_abs().is_multiple_of(unit))
        }
        Tweak::Set(_, size) => size == 0 && least == 0,
        _ => false,
    }
}

/// Values that a kernel must not take: the name of the case, the parameter, and what it is.
fn refused(contract: &Contract) -> impl Iterator<Item = (String, &str, Value)> {
    contract.params.iter().flat_map(|(name, param)| {
        let axis = contract.axes.get(name);
        let mut refused: Vec<(&str, Value)> = Vec::new();
        match *param {
            Param::U32 { min, max, default } => {
                let (min, max) = axis.map_or((min, max), |axis| (axis.min, axis.max));
                // What a load of 8 or 16 bits in the place of 32 would take for the default.
                for (what, more) in [
                    ("2^8-more", 1 << 8),
                    ("2^16-more", 1 << 16),
                    ("2^31-more", 1 << 31),
                ] {
                    let value = i64::from(default) + more;
                    if value > i64::from(max) && value <= u32::MAX.into() {
                        refused.push((what, Value::Integer(value)));
                    }
                }
                if min > 0 {
                    refused.push(("0", Value::Integer(0)));
                    refused.push(("below-min", Value::Integer(i64::from(min) - 1)));
                }
                if max < u32::MAX {
                    refused.push(("above-max", Value::Integer(i64::from(max) + 1)));
                    refused.push(("largest", Value::Integer(u32::MAX.into())));
                }
                if let Some(axis) = axis.filter(|axis| axis.multiple_of > 1) {
                    let between = i64::from(draw::nearest(axis, axis.max / 2)) + 1;
                    refused.push(("no-multiple", Value::Integer(between)));
                    let small = i64::from(draw::nearest(axis, axis.min)) + 1;
                    refused.push(("small-no-multiple", Value::Integer(small)));
                }
            }
            Param::I32 { min, max, .. } => {
                if min > i32::MIN {
                    refused.push(("below-min", Value::Integer(i64::from(min) - 1)));
                }
                if max < i32::MAX {
                    refused.push(("above-max", Value::Integer(i64::from(max) + 1)));
                }
            }
            Param::F32 { min, max, .. } => {
                if min > f32::MIN {
                    refused.push(("below-min", Value::Float(min.next_down())));
                    refused.push(("minus-inf", Value::Float(f32::NEG_INFINITY)));
                }
                if max < f32::MAX {
                    refused.push(("above-max", Value::Float(max.next_up())));
                    refused.push(("inf", Value::Float(f32::INFINITY)));
                }
                if min > f32::MIN || max < f32::MAX {
                    refused.push(("nan", Value::Float(f32::NAN)));
                }
            }
        }
        refused
            .into_iter()
            .map(move |(what, value)| (format!("{name}-{what}"), name.as_str(), value))
    })
}

/// Each bound of a parameter by itself: a call that has to be taken. What it answers is not judged, because a domain may end before the bound.
fn bounds(contract: &Arc<Contract>, values: &BTreeMap<String, Value>) -> Vec<Case> {
    let mut random = Random::new(&contract.kernel, 0, u32::MAX - 6);
    let mut cases = Vec::new();
    for (name, param) in params::no_axes(contract) {
        let (min, max) = match *param {
            Param::U32 { min, max, .. } => (
                (min > 0).then_some(Value::Integer(min.into())),
                (max < u32::MAX).then_some(Value::Integer(max.into())),
            ),
            Param::I32 { min, max, .. } => (
                (min > i32::MIN).then_some(Value::Integer(min.into())),
                (max < i32::MAX).then_some(Value::Integer(max.into())),
            ),
            Param::F32 { min, max, .. } => (
                (min > f32::MIN).then_some(Value::Float(min)),
                (max < f32::MAX).then_some(Value::Float(max)),
            ),
        };
        for (what, bound) in [("min", min), ("max", max)] {
            let Some(bound) = bound else {
                continue;
            };
            let mut values = values.clone();
            values.insert(name.clone(), bound);
            // Sizes and constraints may follow from it.
            let Ok(built) = Built::new(contract, values) else {
                continue;
            };
            if draw::total(&built) > FEW_ELEMENTS {
                continue;
            }
            let data = draw::plain(contract, &built, &mut random);
            let name = format!("edge:{name}-at-{what}");
            let case = built.case(contract, Source::Edge, name, &data);
            cases.push(Case {
                stress: true,
                ..case
            });
        }
    }
    cases
}

/// Each refused value by itself, with the tensors of the good call: parameters are looked at first.
fn refused_parameters(
    contract: &Arc<Contract>,
    good: &Case,
    values: &BTreeMap<String, Value>,
) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut row = |name: String, changed: &[(&str, Value)], expect: Status| {
        let mut values = values.clone();
        values.extend(
            changed
                .iter()
                .map(|(name, value)| ((*name).to_owned(), *value)),
        );
        cases.push(Case {
            name: format!("edge:{name}"),
            params: super::params(contract, &values),
            expect: expect.0,
            ..good.clone()
        });
    };
    for (name, param, value) in refused(contract) {
        row(name, &[(param, value)], Status::INVALID_PARAMS);
    }
    // A constraint that breaks. Where an axis is in it that only tensors tell, what is wrong may as well be their sizes.
    for (number, constraint) in contract.constraints.iter().enumerate() {
        let names = constraint.names();
        let is_told = |name: &&str| contract.params.iter().any(|(param, _)| param == name);
        if !names.iter().all(is_told) {
            continue;
        }
        let of_params = contract
            .axes
            .iter()
            .filter(|(name, axis)| axis.is_param && names.contains(name.as_str()));
        for (name, axis) in of_params {
            let own = values.get(name).and_then(|value| value.integer());
            let own = own.unwrap_or_default();
            let breaks = |value: i64| {
                let takes = u32::try_from(value).is_ok_and(|value| axis.takes(value));
                let with = |wanted: &str| match wanted == name.as_str() {
                    true => Some(value),
                    false => values.get(wanted)?.integer(),
                };
                takes && !contract.holds(constraint, &with)
            };
            // By as little as it takes in both directions, and by a factor; else by the first value that does.
            let near = [own + 1, own - 1, own + 2, 2 * own, own / 2];
            let mut found: BTreeSet<i64> = near.into_iter().filter(|near| breaks(*near)).collect();
            if found.is_empty() {
                let first = i64::from(axis.min.max(1));
                found.extend((first..first + 300).find(|value| breaks(*value)));
            }
            for value in found {
                row(
                    format!("constraint-{number}-broken-by-{name}-{value}"),
                    &[(name.as_str(), Value::Integer(value))],
                    Status::INVALID_PARAMS,
                );
            }
        }
    }
    cases
}
