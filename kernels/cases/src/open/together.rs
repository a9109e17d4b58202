//! Calls in which axes and parameters of a contract are small or large together, and the sizes of real models: what is wrong only where several of them
//! meet, no call shows that varies one alone.

use super::{
    Built, Value,
    draw::{MAX_ELEMENTS, Random, TRIES, data, nearest, plain, shaped, shortest, solve, within},
    params::{default, defaults, no_axes, notable, parameter},
};
use crate::{
    case::{Case, Source},
    generate::TOGETHER,
};
use kernel_pack::{
    Param,
    contract::{Axis, Contract},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Up to so many properties every choice is made.
const ALL_CHOICES: usize = 5;
/// Choices where there are more properties: any four of them have all of theirs in 19 runs of 20.
const CHOICES: u32 = 48;
/// Elements that all tensors of a choice may have together.
const USUAL_ELEMENTS: u64 = 1 << 15;
/// Sizes of models that are tried, at most.
const MODELS: usize = 6;
/// Lengths of two axes: as many elements as a power of two but for one, and the second tile of both.
const PAIRS: [(u32, u32); 4] = [(3, 85), (7, 73), (3, 171), (40, 1100)];
/// An axis is small up to this.
const SMALL: u32 = 8;
/// Bits of a large axis, at most.
const LARGE_BITS: u32 = 10;

/// What a choice makes small or large.
enum Property<'a> {
    Axis(&'a str, &'a Axis),
    /// A parameter that is no axis, its default or another value.
    Param(&'a str, &'a Param),
}

/// The calls: `together:` and for each axis and parameter, in the order of the contract, a 1 where it is large or not the default; then
/// `together:model-` and the sizes that go together in the contract's lists of typical ones, and `together:pair-` with lengths of its first two axes.
pub fn together(contract: &Arc<Contract>, seed: u64) -> Vec<Case> {
    let properties = properties(contract);
    let seed = seed.rotate_left(41);
    let mut cases = Vec::new();
    let mut names = BTreeSet::new();
    for number in 0..choices(properties.len()) {
        let mut random = Random::new(&contract.kernel, seed, number);
        let choice: Vec<bool> = (0..properties.len())
            .map(|place| match properties.len() > ALL_CHOICES {
                true => random.below(2) > 0,
                false => number >> place & 1 > 0,
            })
            .collect();
        let bits: String = choice
            .iter()
            .map(|large| if *large { '1' } else { '0' })
            .collect();
        let Some(built) = chosen(contract, &properties, &choice, &mut random) else {
            continue;
        };
        // Values of any class in every other one: those that are no numbers hide what is wrong with the others.
        let bytes = match random.below(2) {
            0 => plain(contract, &built, &mut random),
            _ => data(contract, &built, &mut random),
        };
        if names.insert(bits.clone()) {
            let name = format!("{TOGETHER}{bits}");
            cases.push(built.case(contract, Source::Drawn, name, &bytes));
        }
    }
    for place in 0..MODELS {
        let mut random = Random::new(&contract.kernel, seed, 1000 + place as u32);
        let Some(built) = model(contract, place, &mut random) else {
            continue;
        };
        let sizes: Vec<String> = contract
            .axes
            .iter()
            .filter(|(_, axis)| !axis.typical.is_empty())
            .map(|(name, _)| built.values[name].real().to_string())
            .collect();
        let name = format!("{TOGETHER}model-{}", sizes.join("x"));
        if names.insert(name.clone()) {
            let bytes = plain(contract, &built, &mut random);
            cases.push(built.case(contract, Source::Drawn, name, &bytes));
        }
    }
    let free: Vec<&str> = properties
        .iter()
        .filter_map(|property| match property {
            Property::Axis(name, _) => Some(*name),
            Property::Param(..) => None,
        })
        .collect();
    if let [first, second, ..] = free[..] {
        let orders = PAIRS
            .into_iter()
            .flat_map(|(one, other)| [(one, other), (other, one)]);
        for (number, (one, other)) in (2000..).zip(orders) {
            let mut random = Random::new(&contract.kernel, seed, number);
            if let Some(built) = pair(contract, [(first, one), (second, other)]) {
                let name = format!("{TOGETHER}pair-{one}x{other}");
                let bytes = plain(contract, &built, &mut random);
                cases.push(built.case(contract, Source::Drawn, name, &bytes));
            }
        }
    }
    cases
}

/// Axes of these lengths, where the contract allows them beside the shortest other ones and default parameters.
fn pair(contract: &Contract, lengths: [(&str, u32); 2]) -> Option<Built> {
    let allows = |(name, length): &(&str, u32)| nearest(&contract.axes[*name], *length) == *length;
    let built = shaped(contract, &lengths, MAX_ELEMENTS / 4)?;
    lengths.iter().all(allows).then_some(built)
}

fn choices(properties: usize) -> u32 {
    match properties {
        ..=ALL_CHOICES => 1 << properties,
        _ => CHOICES,
    }
}

/// Axes that may have several lengths, which do not follow from those of others.
pub(super) fn free_axes(contract: &Contract) -> impl Iterator<Item = (&str, &Axis)> {
    let solved: BTreeSet<&str> = contract
        .constraints
        .iter()
        .filter_map(|constraint| Some(constraint.equation()?.0))
        .collect();
    let axes = contract.axes.iter();
    axes.map(|(name, axis)| (name.as_str(), axis))
        .filter(move |(name, axis)| !axis.is_fixed() && !solved.contains(name))
}

fn properties(contract: &Contract) -> Vec<Property<'_>> {
    let axes = free_axes(contract).map(|(name, axis)| Property::Axis(name, axis));
    let params = no_axes(contract).map(|(name, param)| Property::Param(name, param));
    axes.chain(params).collect()
}

/// Axes and parameters of a choice. Where constraints or the number of elements leave no room, what is large becomes smaller.
fn chosen(
    contract: &Contract,
    properties: &[Property<'_>],
    choice: &[bool],
    random: &mut Random,
) -> Option<Built> {
    for attempt in 0..TRIES {
        let bits = LARGE_BITS - attempt * (LARGE_BITS - 4) / TRIES;
        // All axes have a value, those too that follow from others or may have one only.
        let mut values = shortest(contract);
        values.extend(defaults(contract));
        for (property, large) in properties.iter().zip(choice) {
            match *property {
                Property::Axis(name, axis) => {
                    let length = length(axis, *large, bits, random);
                    values.insert(name.to_owned(), Value::Integer(length.into()));
                }
                Property::Param(name, param) if *large => {
                    values.insert(name.to_owned(), other(contract, name, param, random));
                }
                Property::Param(..) => {}
            }
        }
        solve(contract, &mut values);
        if let Some(built) = within(contract, values, USUAL_ELEMENTS) {
            return Some(built);
        }
    }
    None
}

/// A length of at most 8, or steps of the axis if those are longer; or above that, of at most so many bits.
fn length(axis: &Axis, large: bool, bits: u32, random: &mut Random) -> u32 {
    let small = SMALL.max(axis.multiple_of).max(axis.min).min(axis.max);
    let length = match large && small < axis.max {
        true => {
            // Each power of two as often.
            let power = 1_u32 << (4 + random.below((bits - 3).into()) as u32);
            (power / 2 + random.below(power.into()) as u32).max(small + axis.multiple_of)
        }
        false => axis.min + random.below(u64::from(small - axis.min) + 1) as u32,
    };
    nearest(axis, length.max(1))
}

/// A value of a parameter that is not its default, where it has another one.
fn other(contract: &Contract, name: &str, param: &Param, random: &mut Random) -> Value {
    let usual = default(param);
    let found = notable(contract, name, param);
    let notable: Vec<Value> = found.into_iter().filter(|value| *value != usual).collect();
    let drawn = (0..8).map(|_| parameter(contract, name, param, random));
    let drawn: Vec<Value> = drawn.filter(|value| *value != usual).collect();
    match (drawn.as_slice(), notable.as_slice()) {
        ([], []) => usual,
        ([], values) | (values, []) => random.pick(values),
        (drawn, notable) => {
            let values = if random.below(3) == 0 { notable } else { drawn };
            random.pick(values)
        }
    }
}

/// The sizes at this place of the contract's lists of typical ones, beside short axes and default parameters.
fn model(contract: &Contract, place: usize, random: &mut Random) -> Option<Built> {
    let lists = contract.axes.values().map(|axis| axis.typical.len());
    if place >= lists.max().unwrap_or_default() {
        return None;
    }
    for attempt in 0..TRIES {
        let mut values = BTreeMap::new();
        for (name, axis) in &contract.axes {
            let length = match axis.typical.as_slice() {
                [] if attempt > TRIES / 2 => axis.min,
                [] => length(axis, false, LARGE_BITS, random),
                list => list[place % list.len()],
            };
            values.insert(name.clone(), Value::Integer(length.into()));
        }
        solve(contract, &mut values);
        values.extend(defaults(contract));
        if let Some(built) = within(contract, values, MAX_ELEMENTS / 4) {
            return Some(built);
        }
    }
    None
}
