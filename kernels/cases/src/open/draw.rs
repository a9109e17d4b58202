//! Shapes, parameters and values of calls, drawn from a seed as the contract's axes, constraints and domains say.
//!
//! No function of the platform's libm is used: a case is the same on every target.

pub(super) use super::random::Random;
use super::{
    Built, Value,
    params::{defaults, meant, no_axes, parameter},
};
use crate::{
    case::{Case, Source},
    number,
};
use kernel_pack::{
    Dtype,
    contract::{Axis, Class, Contract, Domain, Special},
};
use std::{collections::BTreeMap, sync::Arc};

/// Elements that all tensors of a usual case may have together.
const USUAL_ELEMENTS: u64 = 1 << 15;
/// Elements of a call that is as small as can be, where the smallest shape is large.
const ROOM_OF_LARGE: u64 = 1 << 16;
/// Elements that all tensors of any case may have together.
pub(super) const MAX_ELEMENTS: u64 = 1 << 20;
/// The length of an axis beside a long one.
const SMALL: u32 = 2;
/// By what a value is divided to be the scale of a block: a code is up to 127, or 8.
pub(super) const CODES: f64 = 64.0;
/// Draws of a shape before it is given up.
pub(super) const TRIES: u32 = 400;

/// Case number `index` of a seed.
pub(super) fn case(contract: &Arc<Contract>, seed: u64, index: u32) -> Option<Case> {
    let mut random = Random::new(&contract.kernel, seed, index);
    // Few cases are large, because interpreters run them all.
    let most = if index % 16 == 7 {
        MAX_ELEMENTS / 4
    } else {
        USUAL_ELEMENTS
    };
    let built = built(contract, &mut random, most)
        .or_else(|| built(contract, &mut random, MAX_ELEMENTS))?;
    let data = data(contract, &built, &mut random);
    Some(built.case(
        contract,
        Source::Generated,
        format!("generated:{index}"),
        &data,
    ))
}

/// A call whose tensors have about so many elements, with ordinary values.
pub(super) fn sized(contract: &Arc<Contract>, elements: u64, seed: u64) -> Option<Case> {
    let mut random = Random::new(&contract.kernel, seed, u32::MAX);
    let mut best: Option<(u64, BTreeMap<String, Value>)> = None;
    for _ in 0..TRIES {
        let mut values = BTreeMap::new();
        for (name, axis) in &contract.axes {
            let drawn = match axis.typical.is_empty() {
                false => random.pick(&axis.typical),
                true => nearest(axis, 1 << random.below(13)),
            };
            values.insert(name.clone(), Value::Integer(drawn.into()));
        }
        solve(contract, &mut values);
        values.extend(defaults(contract));
        let Ok(built) = Built::new(contract, values.clone()) else {
            continue;
        };
        let distance = total(&built).abs_diff(elements);
        if best.as_ref().is_none_or(|(least, _)| distance < *least) {
            best = Some((distance, values));
        }
    }
    let built = Built::new(contract, best?.1).ok()?;
    let data = plain(contract, &built, &mut random);
    let axes: Vec<String> = contract
        .axes
        .keys()
        .map(|name| format!("{name}={}", built.values[name].real()))
        .collect();
    Some(built.case(
        contract,
        Source::Generated,
        format!("sized:{}", axes.join(",")),
        &data,
    ))
}

/// A call of small axes but this one of those in the order of names, whose length is counted in what it is a multiple of.
pub(super) fn with_axis(
    contract: &Arc<Contract>,
    axis: usize,
    length: u32,
    seed: u64,
) -> Option<Case> {
    let mut random = Random::new(&contract.kernel, seed, u32::MAX - 7);
    let (name, axis) = contract.axes.iter().nth(axis)?;
    let length = nearest(axis, length.saturating_mul(axis.multiple_of));
    let names = contract.axes.keys();
    let lengths: Vec<(&str, u32)> = names
        .map(|other| (other.as_str(), if other == name { length } else { SMALL }))
        .collect();
    let built = shaped(contract, &lengths, MAX_ELEMENTS)?;
    if built.values[name].integer() != Some(length.into()) {
        return None;
    }
    let data = plain(contract, &built, &mut random);
    let name = format!("{name}-of-{length}");
    Some(built.case(contract, Source::Edge, name, &data))
}

/// Bytes of every input, of its class and without special values.
pub(super) fn plain(contract: &Contract, built: &Built, random: &mut Random) -> Vec<Vec<u8>> {
    let arrays = contract.inputs.iter().zip(&built.shape.inputs);
    arrays
        .map(|(array, shape)| {
            let class = contract.domain_of_input(array).class;
            values_of(array.dtype, elements_of(shape), class, random)
        })
        .collect()
}

pub(super) fn elements_of(shape: &[u32]) -> usize {
    shape.iter().map(|length| *length as usize).product()
}

/// Elements of all tensors together.
pub(super) fn total(built: &Built) -> u64 {
    let shapes = built.shape.inputs.iter().chain(&built.shape.outputs);
    shapes
        .map(|shape| {
            shape.iter().fold(1u64, |product, length| {
                product.saturating_mul((*length).into())
            })
        })
        .fold(u64::from(built.shape.scratch / 4), u64::saturating_add)
}

/// A shape that the contract allows, with at most so many elements, and parameters. Where its axes have no room for so few, with some more: what asks for
/// small calls has to ask a kernel of large tiles too.
pub(super) fn built(contract: &Contract, random: &mut Random, most: u64) -> Option<Built> {
    let mut room = most;
    loop {
        let found = built_with(contract, &[], random, room);
        if found.is_some() || room >= ROOM_OF_LARGE {
            return found;
        }
        room = (8 * room).min(ROOM_OF_LARGE);
    }
}

/// The same, with some of these words among the dimensions and the parameters.
pub(super) fn built_with(
    contract: &Contract,
    words: &[u32],
    random: &mut Random,
    most: u64,
) -> Option<Built> {
    // No word is drawn where there is none, so that other cases stay what they are.
    let word = |random: &mut Random| {
        (!words.is_empty() && random.below(3) == 0).then(|| random.pick(words))
    };
    for attempt in 0..TRIES {
        let mut values = BTreeMap::new();
        // Sizes that real models have go together: those at the same place of the lists.
        let together = random.below(1 << 16) as usize;
        let typical = random.below(4) == 0;
        for (name, axis) in &contract.axes {
            let drawn = match axis.typical.as_slice() {
                [] => None,
                list => typical.then(|| list[together % list.len()]),
            };
            let drawn = word(random)
                .filter(|word| *word != 0 && nearest(axis, *word) == *word)
                .or(drawn);
            // The longer nothing is found, the smaller the dimensions.
            let drawn = drawn.unwrap_or_else(|| dimension(axis, random, 15 - attempt * 14 / TRIES));
            values.insert(name.clone(), Value::Integer(drawn.into()));
        }
        solve(contract, &mut values);
        for (name, param) in no_axes(contract) {
            let drawn = word(random).and_then(|word| meant(contract, name, param, word));
            let drawn = drawn.unwrap_or_else(|| parameter(contract, name, param, random));
            values.insert(name.clone(), drawn);
        }
        if let Some(built) = within(contract, values, most) {
            return Some(built);
        }
    }
    None
}

/// What these values give, if the contract allows them and its tensors have whole blocks and together at most so many elements.
pub(super) fn within(
    contract: &Contract,
    values: BTreeMap<String, Value>,
    most: u64,
) -> Option<Built> {
    let built = Built::new(contract, values).ok()?;
    (total(&built) <= most && whole_blocks(contract, &built)).then_some(built)
}

/// All axes as short as they may be, though not without elements.
pub(super) fn shortest(contract: &Contract) -> BTreeMap<String, Value> {
    let axes = contract.axes.iter();
    axes.map(|(name, axis)| {
        let length = nearest(axis, axis.min.max(1));
        (name.clone(), Value::Integer(length.into()))
    })
    .collect()
}

/// Axes of these lengths, or of those that they may have and that are nearest, beside the shortest other ones and default parameters.
pub(super) fn lengthened(contract: &Contract, lengths: &[(&str, u32)]) -> BTreeMap<String, Value> {
    let mut values = shortest(contract);
    values.extend(defaults(contract));
    for (name, length) in lengths {
        let length = nearest(&contract.axes[*name], *length);
        values.insert((*name).to_owned(), Value::Integer(length.into()));
    }
    solve(contract, &mut values);
    values
}

/// The call of [`lengthened`] axes, if it has so many elements at most.
pub(super) fn shaped(contract: &Contract, lengths: &[(&str, u32)], most: u64) -> Option<Built> {
    within(contract, lengthened(contract, lengths), most)
}

/// Gives axes the values that equations among the constraints say.
pub(super) fn solve(contract: &Contract, values: &mut BTreeMap<String, Value>) {
    for constraint in &contract.constraints {
        let Some((name, value)) = constraint.equation() else {
            continue;
        };
        let value = value.integer(&|name| values.get(name)?.integer());
        if let (Ok(value), true) = (value, contract.axes.contains_key(name)) {
            values.insert(name.to_owned(), Value::Integer(value));
        }
    }
}

/// Blocks of 32 elements lie along the last dimension.
pub(super) fn whole_blocks(contract: &Contract, built: &Built) -> bool {
    let arrays = contract.inputs.iter().chain(&contract.outputs);
    let shapes = built.shape.inputs.iter().chain(&built.shape.outputs);
    arrays.zip(shapes).all(|(array, shape)| {
        let (per_block, _) = array.dtype.unit();
        shape
            .last()
            .is_none_or(|length| length.is_multiple_of(per_block))
    })
}

/// The value that an axis may have and that is nearest to one, from below where that is possible.
pub(super) fn nearest(axis: &Axis, value: u32) -> u32 {
    let value = value.clamp(axis.min, axis.max);
    let below = value / axis.multiple_of * axis.multiple_of;
    if below >= axis.min {
        below
    } else {
        below.saturating_add(axis.multiple_of).min(axis.max)
    }
}

/// A dimension: those of real models, small ones, and those beside multiples of 16, of at most so many bits.
fn dimension(axis: &Axis, random: &mut Random, bits: u32) -> u32 {
    if axis.is_fixed() {
        return axis.min;
    }
    let drawn = match random.below(16) {
        0..4 if !axis.typical.is_empty() => return random.pick(&axis.typical),
        0..7 => 1 + random.below(8) as u32,
        7..10 => 1 + random.below(40) as u32,
        10..13 => {
            let block = 16 * (1 + random.below(16)) as u32;
            block + 1 - random.pick(&[1, 0, 2])
        }
        13..15 => random.pick(&[2, 3, 5, 7, 13, 31, 61, 127, 251, 509, 1021]),
        _ => 1 << random.below(13),
    };
    nearest(axis, drawn.min(1 << bits.clamp(1, 31)).max(1))
}

/// Bytes of every input.
pub(super) fn data(contract: &Contract, built: &Built, random: &mut Random) -> Vec<Vec<u8>> {
    // Special values are seldom in more than one tensor, so that what they do shows.
    let special_in = random.below(2 * contract.inputs.len().max(1) as u64) as usize;
    let arrays = contract.inputs.iter().zip(&built.shape.inputs).enumerate();
    arrays
        .map(|(index, (array, shape))| {
            let domain = contract.domain_of_input(array);
            let class = varied(&domain, random);
            let mut bytes = values_of(array.dtype, elements_of(shape), class, random);
            if index == special_in {
                strew(array.dtype, &mut bytes, domain.special, random);
            }
            bytes
        })
        .collect()
}

/// A bell may also be one value everywhere, or of another size; other classes are as they are.
fn varied(domain: &Domain, random: &mut Random) -> Class {
    let Class::Normal { scale } = domain.class else {
        return domain.class;
    };
    match random.below(10) {
        0 => Class::Constant {
            value: value(domain.class, random, 0, 1),
        },
        1 => Class::Normal {
            scale: scale / 64.0,
        },
        2 => Class::Normal { scale: scale * 8.0 },
        _ => domain.class,
    }
}

/// Elements of a class.
fn values_of(dtype: Dtype, elements: usize, class: Class, random: &mut Random) -> Vec<u8> {
    let (per_block, _) = dtype.unit();
    if per_block > 1 {
        return blocks(dtype, elements, class, random);
    }
    (0..elements)
        .flat_map(|index| {
            let class = match (class, dtype) {
                (Class::Integers { min: None, .. } | Class::Integers { max: None, .. }, _) => {
                    whole(class, dtype)
                }
                _ => class,
            };
            number::encode(dtype, value(class, random, index, elements)).unwrap_or_default()
        })
        .collect()
}

/// Bounds of whole numbers that are left out are those of the type; of floats what they hold exactly and people pass.
pub(super) fn whole(class: Class, dtype: Dtype) -> Class {
    let (low, high) = match dtype {
        Dtype::I8 => (-128, 127),
        Dtype::U8 => (0, 255),
        Dtype::I32 => (i32::MIN.into(), i32::MAX.into()),
        Dtype::U32 => (0, u32::MAX.into()),
        _ => (-128, 128),
    };
    match class {
        Class::Integers { min, max } => Class::Integers {
            min: min.or(Some(low)),
            max: max.or(Some(high)),
        },
        other => other,
    }
}

/// Blocks of an f16 scale and any codes.
fn blocks(dtype: Dtype, elements: usize, class: Class, random: &mut Random) -> Vec<u8> {
    let (per_block, block_bytes) = dtype.unit();
    let mut bytes = Vec::with_capacity(number::bytes_of(dtype, elements));
    for block in 0..elements.div_ceil(per_block as usize) {
        let scale = value(class, random, block, elements) / CODES;
        bytes.extend(number::encode(Dtype::F16, scale).unwrap_or_default());
        bytes.extend((2..block_bytes).map(|_| random.next() as u8));
    }
    bytes
}

/// A value of a class, for an element of so many.
pub(super) fn value(class: Class, random: &mut Random, index: usize, elements: usize) -> f64 {
    match class {
        // The sum of four uniform ones is a bell; its variance is 1/3.
        Class::Normal { scale } => {
            let sum: f64 = (0..4).map(|_| random.unit()).sum();
            (sum - 2.0) * 1.732_050_807_568_877_2 * scale
        }
        Class::Uniform { min, max } => min + random.unit() * (max - min),
        Class::LogUniform { min, max } => {
            let (low, high) = (libm::log2(min), libm::log2(max));
            let size = libm::exp2(low + random.unit() * (high - low)).clamp(min, max);
            // Parameters are positive: they are drawn as the only element.
            if elements > 1 && random.next() & 1 == 1 {
                -size
            } else {
                size
            }
        }
        Class::Unit => 2.0 * random.unit() - 1.0,
        Class::Integers { min, max } => {
            let (low, high) = (min.unwrap_or(-128), max.unwrap_or(127));
            let span = (i128::from(high) - i128::from(low) + 1) as u64;
            let by = if span == 0 { 0 } else { random.below(span) };
            (i128::from(low) + i128::from(by)) as f64
        }
        Class::Angles => {
            let first = random.below(4096) as f64;
            (first + (index / 64) as f64) / (1.0 + 3.0 * (index % 64) as f64)
        }
        Class::Constant { value } => value,
    }
}

/// Puts special values in the place of one element in eight.
fn strew(dtype: Dtype, bytes: &mut [u8], special: Special, random: &mut Random) {
    let specials = bits_of(dtype, special);
    let (per_block, unit) = dtype.unit();
    if specials.is_empty() {
        return;
    }
    // One kind alone now and then: a NaN hides what an infinity does.
    let one = (random.below(3) > 0).then(|| random.pick(&specials));
    let width = if per_block > 1 { 2 } else { unit as usize };
    for element in bytes.chunks_exact_mut(unit as usize) {
        if random.below(8) == 0 {
            let bits = one.unwrap_or_else(|| random.pick(&specials));
            element[..width].copy_from_slice(&bits.to_le_bytes()[..width]);
        }
    }
}

/// Special values of a type, as bits, NaNs with the payloads at both ends among them; of blocks those of their scale.
pub(super) fn bits_of(dtype: Dtype, special: Special) -> Vec<u32> {
    let [zero, subnormal, infinity, nan, sign]: [&[u32]; 5] = match dtype {
        Dtype::F32 => [
            &[0],
            &[1, 0x007f_ffff],
            &[0x7f80_0000],
            &[0x7fc0_0000, 0x7fc1_2345, 0x7f80_0001, 0x7fff_ffff],
            &[0x8000_0000],
        ],
        Dtype::F16 | Dtype::Q8 | Dtype::Q4 => [
            &[0],
            &[1, 0x03ff],
            &[0x7c00],
            &[0x7e00, 0x7e12, 0x7c01, 0x7fff],
            &[0x8000],
        ],
        Dtype::Bf16 => [
            &[0],
            &[1, 0x007f],
            &[0x7f80],
            &[0x7fc0, 0x7fc1, 0x7f81, 0x7fff],
            &[0x8000],
        ],
        Dtype::I8 | Dtype::U8 | Dtype::I32 | Dtype::U32 => {
            return if special.zeros { vec![0] } else { Vec::new() };
        }
    };
    let kinds = [
        (special.zeros, zero),
        (special.subnormals, subnormal),
        (special.infinities, infinity),
        (special.nans, nan),
    ];
    kinds
        .into_iter()
        .filter(|(wanted, _)| *wanted)
        .flat_map(|(_, bits)| bits.iter().flat_map(|bits| [*bits, *bits | sign[0]]))
        .collect()
}
