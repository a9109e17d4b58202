//! Cases for a search: drawn as ever, with words that a module has in its code among the sizes, the parameters and the elements, where the contract
//! allows them.

use super::{
    Value,
    draw::{Random, built_with, data, nearest, plain, solve, within},
    params::defaults,
};
use crate::{
    case::{Case, Source},
    draw::Draw,
    number,
};
use kernel_pack::{
    Dtype,
    contract::{Class, Contract},
};
use std::{collections::BTreeMap, sync::Arc};

/// Elements that all tensors of a case may have together: many calls are worth more than large ones.
const MOST_ELEMENTS: u64 = 1 << 12;
/// The same of every other case with a word of its own, which may be the length of an axis beside a long one.
const MOST_WITH_WORD: u64 = 1 << 17;
/// The other axes of such a case are as long, at most.
const OTHERS: u64 = 4;
/// Draws of such a case before it is given up.
const TRIES: u32 = 40;
/// Of a bell, what is as far from 0 as a drawn value may be, in standard deviations.
const FAR: f64 = 24.0;
/// What is nearer to 0 than this, in standard deviations, is none of a bell's values.
const NEAR: f64 = 1e-9;

/// The case of a search that these draws make, of this name: the first makes one, each further one changes it. `words` are what the module has in
/// its code; they stand among the sizes, the parameters and the elements, where the contract allows them.
pub fn searched(
    contract: &Arc<Contract>,
    words: &[u32],
    draws: &[Draw],
    seed: u64,
    name: String,
) -> Option<Case> {
    let random_of = |draw: &Draw| Random::new(&contract.kernel, seed.rotate_left(32), draw.number);
    let (first, further) = draws.split_first()?;
    let mut random = random_of(first);
    let most = match first.word {
        Some(_) if first.number.is_multiple_of(2) => MOST_WITH_WORD,
        _ => MOST_ELEMENTS,
    };
    let built = built_with(contract, first.words(words), &mut random, most)?;
    let mut tensors = data(contract, &built, &mut random);
    change(contract, &mut tensors, first.words(words), &mut random);
    for draw in further {
        change(
            contract,
            &mut tensors,
            draw.words(words),
            &mut random_of(draw),
        );
    }
    Some(built.case(contract, Source::Drawn, name, &tensors))
}

/// A forward call of this name in which the axes of these numbers have a value each, as far as the contract allows, and the others are small; of so
/// many elements at most. `None` where it allows none.
pub fn with_axes(
    contract: &Arc<Contract>,
    long: &[(usize, u32)],
    most: u64,
    seed: u64,
    name: String,
) -> Option<Case> {
    let first = long.first()?.1;
    let mut random = Random::new(&contract.kernel, seed, first);
    if long.iter().any(|(axis, _)| *axis >= contract.axes.len()) {
        return None;
    }
    for _ in 0..TRIES {
        let mut values = BTreeMap::new();
        for (index, (name, axis)) in contract.axes.iter().enumerate() {
            let given = long.iter().find(|(axis, _)| *axis == index);
            let drawn = given.map_or_else(|| 1 + random.below(OTHERS) as u32, |(_, value)| *value);
            values.insert(name.clone(), Value::Integer(nearest(axis, drawn).into()));
        }
        solve(contract, &mut values);
        values.extend(defaults(contract));
        if let Some(built) = within(contract, values, most) {
            let tensors = plain(contract, &built, &mut random);
            return Some(built.case(contract, Source::Drawn, name, &tensors));
        }
    }
    None
}

/// Puts words into the inputs: one into all elements of one, or into one element.
fn change(contract: &Contract, tensors: &mut [Vec<u8>], words: &[u32], random: &mut Random) {
    for (array, bytes) in contract.inputs.iter().zip(tensors) {
        let (per_block, width) = array.dtype.unit();
        let elements = bytes.len() / width as usize;
        if per_block > 1 || elements == 0 || words.is_empty() || random.below(2) == 0 {
            continue;
        }
        let class = contract.domain_of_input(array).class;
        let meant = meanings(array.dtype, random.pick(words));
        let allowed = meant.into_iter().filter(|value| allows(class, *value));
        let encoded: Vec<Vec<u8>> = allowed
            .filter_map(|value| number::encode(array.dtype, value))
            .collect();
        if encoded.is_empty() {
            continue;
        }
        let value = &encoded[random.below(encoded.len() as u64) as usize];
        let place = match random.below(3) {
            0 => 0..elements,
            1 => 0..1,
            _ => {
                let at = random.below(elements as u64) as usize;
                at..at + 1
            }
        };
        for element in bytes
            .chunks_exact_mut(width as usize)
            .take(place.end)
            .skip(place.start)
        {
            element.copy_from_slice(value);
        }
    }
}

/// What a word in the code can stand for as an element of a type: its bits, and the number.
fn meanings(dtype: Dtype, word: u32) -> Vec<f64> {
    let number = f64::from(word as i32);
    match dtype {
        Dtype::F32 => vec![f32::from_bits(word).into(), number],
        Dtype::F16 | Dtype::Bf16 => {
            let half = word as u16;
            let mut all = number::decode(dtype, &half.to_le_bytes());
            all.extend([f32::from_bits(word).into(), number]);
            all
        }
        Dtype::U32 => vec![word.into()],
        _ => vec![number],
    }
}

/// Whether a value may stand in a tensor of a class.
pub(super) fn allows(class: Class, value: f64) -> bool {
    let size = value.abs();
    match class {
        Class::Normal { scale } => size <= FAR * scale && size >= NEAR * scale,
        Class::Uniform { min, max } => (min..=max).contains(&value),
        Class::LogUniform { min, max } => (min..=max).contains(&size),
        Class::Unit => size <= 1.0,
        Class::Integers { min, max } => {
            let low = min.map_or(f64::NEG_INFINITY, |min| min as f64);
            let high = max.map_or(f64::INFINITY, |max| max as f64);
            value.fract() == 0.0 && (low..=high).contains(&value)
        }
        Class::Angles => (0.0..=4096.0).contains(&value),
        Class::Constant { value: only } => value == only,
    }
}
