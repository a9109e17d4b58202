//! Regions of sizes that no call has, though they go together: sizes that wrap around, and inputs and outputs that are wrong in the same way.

use super::{Value, draw};
use crate::{case::Case, number};
use kernel_abi::Status;
use kernel_pack::{
    Dtype,
    contract::{Array, Axis, Contract},
};
use std::collections::BTreeMap;

/// Bytes that all regions of a call may have together whose sizes wrap around.
const MOST_BYTES: u64 = 256 << 10;
/// Bytes of the address space.
const SPACE: u64 = 1 << 32;

type Values = BTreeMap<String, Value>;

/// Dimensions whose sizes are those of the regions once 2^32 wraps around.
pub(super) fn wrapping(contract: &Contract, good: &Case, values: &Values) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, axis) in contract.axes.iter().filter(|(_, axis)| axis.is_param) {
        let Some(own) = values.get(name).and_then(|value| value.integer()) else {
            continue;
        };
        let has = |index: &usize| names(&contract.inputs[*index], name);
        // What the output holds on entry lies in the output's region. An axis that no input has changes the size of the output only.
        let status = match contract.a.iter().chain(&contract.b).any(has) {
            true => Status::INVALID_INPUT,
            false => Status::INVALID_OUTPUT,
        };
        let mut row = |what: &str, value: i64| {
            let mut values = values.clone();
            values.insert(name.clone(), Value::Integer(value));
            let with = |name: &str| values.get(name)?.integer();
            // What leaves 64 bits in the contract's own arithmetic has no size to be compared with.
            if value != own && contract.shape(&with).is_ok() {
                cases.push(Case {
                    name: format!("edge:{name}-{what}"),
                    params: super::params(contract, &values),
                    expect: status.0,
                    ..good.clone()
                });
            }
        };
        let bytes_each = good.a.len() as i64 / own.max(1);
        if bytes_each.count_ones() == 1 {
            row("wraps", own + (1i64 << 32) / bytes_each);
        }
        row("huge", i64::from(draw::nearest(axis, u32::MAX)));
        row("2^31", i64::from(draw::nearest(axis, 1 << 31)));
    }
    cases
}

/// Bytes of the regions of a call.
#[derive(Clone, Copy)]
struct Sizes {
    /// Input a, input b, the output, scratch.
    bytes: [u64; 4],
}

impl Sizes {
    /// Where the contract allows these values. Other than a shape, they may be of any size.
    fn of(contract: &Contract, values: &Values) -> Option<Self> {
        let with = |name: &str| values.get(name)?.integer();
        let allowed = contract.axes.iter().all(|(name, axis)| {
            let value = with(name).and_then(|value| u32::try_from(value).ok());
            value.is_some_and(|value| axis.takes(value))
        });
        let mut constraints = contract.constraints.iter();
        if !allowed || !constraints.all(|constraint| contract.holds(constraint, &with)) {
            return None;
        }
        let bytes = |array: &Array| -> Option<u64> {
            let (per_block, unit) = array.dtype.unit();
            let mut elements = 1_u64;
            for length in &array.shape {
                let length = u32::try_from(length.integer(&with).ok()?).ok()?;
                elements = elements.checked_mul(length.into())?;
            }
            (elements / u64::from(per_block)).checked_mul(unit.into())
        };
        let of_inputs = |indices: &[usize]| -> Option<u64> {
            let mut sizes = indices.iter().map(|index| bytes(&contract.inputs[*index]));
            sizes.try_fold(0, |sum: u64, bytes| sum.checked_add(bytes?))
        };
        let mut outputs = contract.outputs.iter().map(bytes);
        let output = outputs.try_fold(0, |sum: u64, bytes| sum.checked_add(bytes?))?;
        let scratch = match &contract.scratch {
            Some(scratch) => u64::try_from(scratch.integer(&with).ok()?).ok()?,
            None => 0,
        };
        Some(Self {
            bytes: [
                of_inputs(&contract.a)?,
                of_inputs(&contract.b)?,
                output,
                scratch,
            ],
        })
    }

    /// What is left of them in 32 bits, and the status that is due then; `None` if nothing wraps around.
    fn wrapped(self) -> Option<([u32; 4], Status)> {
        let wrong = self.bytes.iter().position(|bytes| *bytes >= SPACE)?;
        let status = match wrong {
            0 | 1 => Status::INVALID_INPUT,
            2 => Status::INVALID_OUTPUT,
            _ => Status::OUT_OF_MEMORY,
        };
        Some((self.bytes.map(|bytes| (bytes % SPACE) as u32), status))
    }
}

/// Each axis so long that the size of a region wraps around, with regions of what is left: of the output where no input has the axis, of scratch where
/// it grows faster than tensors, of inputs too. Twice for each region, where the bytes wrap around and where the elements do.
pub(super) fn wrapped(contract: &Contract, good: &Case) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, axis) in contract.axes.iter().filter(|(_, axis)| !axis.is_fixed()) {
        let mut found: BTreeMap<i32, usize> = BTreeMap::new();
        for value in lengths(contract, name, axis) {
            let values = draw::lengthened(contract, &[(name, value)]);
            let Some(sizes) = Sizes::of(contract, &values) else {
                continue;
            };
            let Some((left, status)) = sizes.wrapped() else {
                continue;
            };
            // An axis that a kernel takes from the size of an input is another one there.
            let is_other = sizes.bytes[..2].iter().any(|bytes| *bytes >= SPACE)
                && contract
                    .axes
                    .values()
                    .any(|axis| !axis.is_param && !axis.is_fixed());
            let together: u64 = left.iter().map(|bytes| u64::from(*bytes)).sum();
            let count = found.entry(status.0).or_default();
            if is_other || together > MOST_BYTES || *count == 2 {
                continue;
            }
            *count += 1;
            let [a, b, output, scratch] = left;
            cases.push(Case {
                name: format!("edge:{name}-{value}-wraps"),
                params: super::params(contract, &values),
                a: vec![0x3c; a as usize],
                b: vec![0x3c; b as usize],
                output_size: output,
                base: good.base.as_ref().map(|_| vec![0x3c; output as usize]),
                scratch_size: scratch,
                expect: status.0,
                ..good.clone()
            });
        }
    }
    cases
}

/// Lengths of an axis at which sizes may wrap around, from the shortest on: powers of two, the shortest length beyond them, and the first at which the
/// bytes of a region are too many.
fn lengths(contract: &Contract, name: &str, axis: &Axis) -> Vec<u32> {
    let least = draw::nearest(axis, axis.min.max(1));
    let powers = (10..u32::BITS).map(|bit| 1_u32 << bit);
    let mut lengths: Vec<u32> = powers
        .flat_map(|power| [power, power.saturating_add(least)])
        .collect();
    let values = draw::lengthened(contract, &[(name, least)]);
    if let Some(sizes) = Sizes::of(contract, &values) {
        let each = sizes.bytes.iter().map(|bytes| bytes / u64::from(least));
        let first = each
            .filter(|each| *each > 0)
            .map(|each| SPACE.div_ceil(each));
        lengths.extend(first.filter_map(|first| u32::try_from(first).ok()));
    }
    lengths.retain(|length| axis.takes(*length));
    lengths.sort_unstable();
    lengths.dedup();
    lengths
}

/// Inputs that end within a row of an axis that follows from their size, and outputs that end in the same place: no length of the axis has such an input.
pub(super) fn parts(contract: &Contract, good: &Case, values: &Values) -> Vec<Case> {
    let mut cases = Vec::new();
    let free = |axis: &Axis| !axis.is_param && !axis.is_fixed();
    for (name, axis) in contract.axes.iter().filter(|(_, axis)| free(axis)) {
        let Some(own) = values.get(name.as_str()).and_then(|value| value.integer()) else {
            continue;
        };
        let of = |value: i64| {
            let mut values = values.clone();
            values.insert(name.clone(), Value::Integer(value));
            Sizes::of(contract, &values)
        };
        let (Some(now), Some(next)) = (of(own), of(own + i64::from(axis.multiple_of))) else {
            continue;
        };
        let others = contract
            .axes
            .iter()
            .filter(|(other, axis)| free(axis) && *other != name);
        let has_other = |indices: &[usize]| {
            let mut others = others.clone();
            others.any(|(other, _)| {
                indices
                    .iter()
                    .any(|index| names(&contract.inputs[*index], other))
            })
        };
        // Bytes of a row in each region.
        let row: Vec<u64> = (0..3)
            .map(|region| next.bytes[region].saturating_sub(now.bytes[region]))
            .collect();
        let Some(region) = (0..2).find(|region| row[*region] > 0) else {
            continue;
        };
        if has_other(inputs(contract, region)) {
            continue;
        }
        for (what, part) in within_row(element(contract, region), row[region]) {
            let more = |of: usize| row[of] * part / row[region];
            let sizes: Vec<u64> = (0..3).map(|of| now.bytes[of] + more(of)).collect();
            let longer = |bytes: &[u8], length: u64| -> Vec<u8> {
                bytes
                    .iter()
                    .copied()
                    .cycle()
                    .take(length as usize)
                    .collect()
            };
            cases.push(Case {
                name: format!("edge:{name}-and-{what}"),
                a: longer(&good.a, sizes[0]),
                b: longer(&good.b, sizes[1]),
                output_size: sizes[2] as u32,
                base: good.base.as_ref().map(|base| longer(base, sizes[2])),
                expect: Status::INVALID_INPUT.0,
                ..good.clone()
            });
        }
    }
    cases
}

/// Parts of a row of so many bytes, with elements of so many: part of an element, one, half of the row and all of it but one.
fn within_row(element: u64, row: u64) -> Vec<(&'static str, u64)> {
    let half = row / 2 / element * element;
    let mut parts: Vec<(&str, u64)> = Vec::new();
    for (what, part) in [
        ("half-an-element", element / 2),
        ("an-element", element),
        ("half-a-row", half),
        ("a-row-but-an-element", row.saturating_sub(element)),
    ] {
        let is_new = parts.iter().all(|(_, other)| *other != part);
        if part > 0 && part < row && is_new {
            parts.push((what, part));
        }
    }
    parts
}

/// Bytes of an element of the first tensor of a region.
fn element(contract: &Contract, region: usize) -> u64 {
    let dtype = inputs(contract, region)
        .first()
        .map_or(Dtype::F32, |index| contract.inputs[*index].dtype);
    number::bytes_of(dtype, 1) as u64
}

/// The inputs in region a, number 0, or b.
fn inputs(contract: &Contract, region: usize) -> &[usize] {
    match region {
        0 => &contract.a,
        _ => &contract.b,
    }
}

/// Whether an axis is in a tensor's shape.
pub(super) fn names(array: &Array, axis: &str) -> bool {
    array
        .shape
        .iter()
        .any(|length| length.names().contains(axis))
}
