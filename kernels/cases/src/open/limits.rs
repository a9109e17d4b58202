//! Shapes at a limit: the smallest, those of models, axes as large as they may be or of no elements, and numbers of elements at which counters wrap
//! around or tiles end.

use super::{
    Built,
    draw::{self, Random},
};
use crate::case::{Case, Source};
use kernel_pack::contract::{Axis, Contract};
use std::{collections::BTreeSet, sync::Arc};

/// Elements that all tensors may have together where an axis is as large as possible.
const LARGEST_ELEMENTS: u64 = draw::MAX_ELEMENTS / 4;
/// Elements that all tensors may have together where an axis has none.
const FEW_ELEMENTS: u64 = 1 << 12;
/// The length of the other axes then.
const SHORT: u32 = 5;
/// A long row, to which each remainder of a vector or a tile is added.
const LONG: u32 = 2048;
const REMAINDERS: u32 = 16;
/// Shorter rows are drawn.
const LEAST_LONG: u32 = 64;
/// A large tile.
const TILE: usize = 1 << 16;
/// Bits that the product of axes has to leave.
const BITS: u32 = 32;
/// So many axes at least make such a product: a kernel that does as much work as any three of them say ends in time.
const LEAST_AXES: usize = 4;

/// The calls.
pub(super) fn cases(contract: &Arc<Contract>) -> Vec<Case> {
    let mut cases = at_ends(contract);
    let mut random = Random::new(&contract.kernel, 0, u32::MAX - 6);
    let mut shapes = empty(contract);
    shapes.extend(remainders(contract));
    shapes.extend(products(contract));
    if !cases.iter().any(ends_with_a_tile) {
        shapes.extend(tiles(contract));
    }
    for (name, built) in shapes {
        let data = draw::plain(contract, &built, &mut random);
        cases.push(built.case(contract, Source::Edge, format!("edge:{name}"), &data));
    }
    cases
}

/// The smallest shape, each typical one, and each axis as large as it may be.
fn at_ends(contract: &Arc<Contract>) -> Vec<Case> {
    let mut random = Random::new(&contract.kernel, 0, u32::MAX - 2);
    let smallest = draw::shaped(contract, &[], draw::MAX_ELEMENTS);
    let mut found = vec![("smallest".to_owned(), smallest)];
    for (name, axis) in &contract.axes {
        found.extend(axis.typical.iter().map(|value| {
            let built = draw::shaped(contract, &[(name, *value)], draw::MAX_ELEMENTS);
            (format!("{name}-{value}"), built)
        }));
        if !axis.is_fixed() {
            // Where the largest has too many elements, the largest power of two that has not.
            let powers = (0..u32::BITS).rev().map(|bit| 1 << bit);
            let mut lengths = std::iter::once(axis.max).chain(powers);
            let built = lengths
                .find_map(|length| draw::shaped(contract, &[(name, length)], LARGEST_ELEMENTS));
            found.push((format!("{name}-at-max"), built));
        }
    }
    let cases = found.into_iter().filter_map(|(label, built)| {
        let built = built?;
        let data = draw::plain(contract, &built, &mut random);
        Some(built.case(contract, Source::Edge, format!("edge:{label}"), &data))
    });
    cases.collect()
}

/// Axes that a call may do without.
fn may_be_empty(axis: &Axis) -> bool {
    axis.is_param && !axis.is_fixed() && axis.takes(0)
}

/// Each axis that may have no elements without any, each two of them, and all.
fn empty(contract: &Contract) -> Vec<(String, Built)> {
    let axes = contract.axes.iter();
    let empty: Vec<&str> = axes
        .filter(|(_, axis)| may_be_empty(axis))
        .map(|(name, _)| name.as_str())
        .collect();
    let mut sets: BTreeSet<Vec<&str>> = BTreeSet::new();
    for (place, one) in empty.iter().enumerate() {
        sets.insert(vec![one]);
        sets.extend(empty[place + 1..].iter().map(|other| vec![*one, *other]));
    }
    sets.insert(empty);
    let shapes = sets.into_iter().filter(|set| !set.is_empty());
    let shapes = shapes.filter_map(|set| {
        let lengths = |others: u32| {
            let axes = contract.axes.keys().map(String::as_str);
            let lengths = axes.map(|name| (name, if set.contains(&name) { 0 } else { others }));
            let lengths: Vec<(&str, u32)> = lengths.collect();
            draw::shaped(contract, &lengths, FEW_ELEMENTS)
        };
        let built = lengths(SHORT).or_else(|| lengths(1))?;
        Some((format!("{}-empty", set.join("-and-")), built))
    });
    shapes.collect()
}

/// Long rows of every remainder, one at a time, for each axis that a tensor ends with.
fn remainders(contract: &Contract) -> Vec<(String, Built)> {
    let tensors = contract.inputs.iter().chain(&contract.outputs);
    let last = tensors.filter_map(|tensor| tensor.shape.last());
    let names: BTreeSet<&str> = last.flat_map(|length| length.names()).collect();
    let mut shapes = Vec::new();
    for name in names {
        let axis = &contract.axes[name];
        let most = axis.max.saturating_sub(REMAINDERS - 1) / REMAINDERS * REMAINDERS;
        let long = LONG.min(most);
        if axis.is_fixed() || long < LEAST_LONG {
            continue;
        }
        let lengths: BTreeSet<u32> = (0..REMAINDERS)
            .map(|remainder| draw::nearest(axis, long + remainder))
            .collect();
        for length in lengths {
            let built = draw::shaped(contract, &[(name, length)], FEW_ELEMENTS * 4);
            // An axis that follows from another one is as long as that says.
            let built = built.filter(|built| built.values[name].integer() == Some(length.into()));
            shapes.extend(built.map(|built| (format!("{name}-long-{length}"), built)));
        }
    }
    shapes
}

/// Axes that are powers of two and whose product is 2^32, though no tensor is large: a counter of 32 bits takes it for 0.
fn products(contract: &Contract) -> Vec<(String, Built)> {
    let axes: Vec<&str> = contract
        .axes
        .iter()
        .filter(|(_, axis)| !axis.is_fixed())
        .map(|(name, _)| name.as_str())
        .collect();
    let mut shapes = Vec::new();
    for chosen in 0_u32..1 << axes.len().min(10) {
        let count = chosen.count_ones();
        if (count as usize) < LEAST_AXES {
            continue;
        }
        let bits = |place: u32| BITS / count + u32::from(place < BITS % count);
        let places = (0..axes.len()).filter(|place| chosen >> place & 1 > 0);
        let lengths: Vec<(&str, u32)> = places
            .zip(0..)
            .map(|(axis, place)| (axes[axis], 1 << bits(place)))
            .collect();
        let Some(built) = draw::shaped(contract, &lengths, LARGEST_ELEMENTS + FEW_ELEMENTS) else {
            continue;
        };
        let has = |(name, length): &(&str, u32)| {
            built.values[*name].integer() == Some(i64::from(*length))
        };
        if lengths.iter().all(has) {
            let names: Vec<&str> = lengths.iter().map(|(name, _)| *name).collect();
            shapes.push((format!("2^32-{}", names.join("-")), built));
        }
    }
    shapes
}

/// Whether an answer ends where a large tile does.
fn ends_with_a_tile(case: &Case) -> bool {
    let outputs = case.open.iter().flat_map(|call| &call.outputs);
    let mut elements = outputs.map(super::Tensor::elements);
    elements.any(|elements| elements > 0 && elements.is_multiple_of(TILE))
}

/// A call whose answer does, with axes of one length where they may be: work that grows with the square of one is least then.
fn tiles(contract: &Contract) -> Option<(String, Built)> {
    let names = || contract.axes.keys().map(String::as_str);
    let pairs = names().flat_map(|one| names().map(move |other| (one, other)));
    let shapes = pairs
        .filter(|(one, other)| one != other)
        .flat_map(|(one, other)| {
            [8, 6, 4].map(|bits| [(one, 1 << bits), (other, 1 << (16 - bits))])
        });
    let mut found = shapes.filter_map(|lengths| {
        let built = draw::shaped(contract, &lengths, LARGEST_ELEMENTS)?;
        let outputs = &built.shape.outputs;
        let ends = outputs.iter().any(|shape| draw::elements_of(shape) == TILE);
        ends.then(|| ("tile-of-2^16".to_owned(), built))
    });
    found.next()
}
