//! Special values that a contract covers: everywhere in an input, in one place, and in runs, as masks make them.

use super::{
    Built, Value,
    draw::{self, Random},
    params,
};
use crate::{
    case::{Case, Source},
    number,
};
use kernel_pack::{
    Dtype,
    contract::{Class, Contract, Special},
};
use std::{collections::BTreeMap, sync::Arc};

/// Lengths of runs: those of vectors and of tiles.
const RUNS: [usize; 5] = [256, 16, 64, 4, 1];
/// A row that each of them leaves something of.
const LENGTH: u32 = 300;
/// The same of a longer run, and its row.
const LONG_RUN: usize = 1024;
const LONG: u32 = 1100;
/// Elements that all tensors of a call with runs may have together.
const MOST_ELEMENTS: u64 = 1 << 14;
/// Of so many elements beside each other one is special.
const EVERY: usize = 3;
/// Draws of a shape where no axes of the wanted lengths go together.
const SHAPES: u32 = 24;
/// Bits of each kind that come everywhere or in one place; further ones come in runs.
const ALONE: usize = 4;

/// The same for a definition that is known by heart, whose formula says what is right: named `special:`, the input and the values. Parameters that are no
/// axes have their defaults: what they change of shapes no data says.
pub fn special(contract: &Arc<Contract>, definition: &str) -> Vec<Case> {
    let usual: BTreeMap<String, Value> = params::defaults(contract).collect();
    let usual = super::params(contract, &usual);
    let known = cases(contract).into_iter().map(|mut case| {
        let words = case.params.chunks_exact_mut(4).zip(usual.chunks_exact(4));
        for ((name, _), (word, usual)) in contract.params.iter().zip(words) {
            if !contract.axes.contains_key(name) {
                word.copy_from_slice(usual);
            }
        }
        Case {
            kernel: definition.to_owned(),
            name: case.name.replacen("edge:", "special:", 1),
            open: None,
            ..case
        }
    });
    known.collect()
}

/// The calls.
pub(super) fn cases(contract: &Arc<Contract>) -> Vec<Case> {
    let mut cases = alone(contract);
    cases.extend(runs(contract));
    cases
}

/// A kind of special values alone.
fn kinds(special: Special) -> [(&'static str, Special); 4] {
    let none = Special::default();
    let Special {
        zeros,
        subnormals,
        infinities,
        nans,
    } = special;
    [
        ("zeros", Special { zeros, ..none }),
        ("subnormals", Special { subnormals, ..none }),
        ("infinities", Special { infinities, ..none }),
        ("nans", Special { nans, ..none }),
    ]
}

/// Each special value that the contract covers, everywhere and in one place, in each input.
fn alone(contract: &Arc<Contract>) -> Vec<Case> {
    let mut random = Random::new(&contract.kernel, 0, u32::MAX - 3);
    let mut cases = Vec::new();
    for (index, input) in contract.inputs.iter().enumerate() {
        let domain = contract.domain_of_input(input);
        // Other classes say themselves what may come.
        let open = matches!(domain.class, Class::Normal { .. });
        for (kind, special) in kinds(domain.special).into_iter().filter(|_| open) {
            let bits = draw::bits_of(input.dtype, special).into_iter().take(ALONE);
            for (number, bits) in bits.enumerate() {
                let Some(built) = draw::built(contract, &mut random, 1 << 10) else {
                    continue;
                };
                let mut data = draw::plain(contract, &built, &mut random);
                let (per_block, unit) = input.dtype.unit();
                let width = if per_block > 1 { 2 } else { unit as usize };
                let everywhere = number % 2 == 0;
                let last = number::decode(input.dtype, &data[index])
                    .len()
                    .div_ceil(per_block as usize)
                    .saturating_sub(1);
                for (place, element) in data[index].chunks_exact_mut(unit as usize).enumerate() {
                    if everywhere || place == last {
                        element[..width].copy_from_slice(&bits.to_le_bytes()[..width]);
                    }
                }
                let name = format!("edge:{}-{kind}-{number}", input.name);
                cases.push(built.case(contract, Source::Edge, name, &data));
            }
        }
    }
    cases
}

/// Which elements of a row are special.
#[derive(Clone, Copy)]
enum Run {
    First(usize),
    Last(usize),
    /// All but the first one, the one in the middle, the last one.
    AllBut(usize),
    /// One of three that stand beside each other: each place of unrolled code has one beside ordinary values.
    Every(usize),
    Whole,
}

impl Run {
    /// All of them; those that tell most come first.
    fn all() -> Vec<Self> {
        let mut all = vec![
            Run::First(RUNS[0]),
            Run::AllBut(1),
            Run::Whole,
            Run::Last(RUNS[0]),
            Run::Every(0),
            Run::Every(1),
            Run::Every(2),
        ];
        let shorter = RUNS[1..].iter();
        all.extend(shorter.flat_map(|run| [Run::First(*run), Run::Last(*run)]));
        all.extend([Run::AllBut(0), Run::AllBut(2)]);
        all
    }

    /// Whether an element is one of the run, in a row of so many.
    fn has(self, place: usize, length: usize) -> bool {
        match self {
            Run::First(run) => place < run,
            Run::Last(run) => place + run >= length,
            Run::AllBut(which) => place != length.saturating_sub(1) * which / 2,
            Run::Every(which) => place % EVERY == which,
            Run::Whole => true,
        }
    }
}

/// What a row holds: bits that take turns, and where they stand.
type Row = (Vec<u32>, Run);

/// Rows with runs of one value, the rest of them ordinary, in one input at a time: of infinities along each axis, of other values along the innermost.
fn runs(contract: &Arc<Contract>) -> Vec<Case> {
    let mut random = Random::new(&contract.kernel, 0, u32::MAX - 5);
    let mut cases = Vec::new();
    for (index, input) in contract.inputs.iter().enumerate() {
        let special = contract.domain_of_input(input).special;
        let (1, Some(innermost), true) = (
            input.dtype.unit().0,
            input.shape.len().checked_sub(1),
            number::is_float(input.dtype),
        ) else {
            continue;
        };
        let rows = Rows::of(input.dtype, special);
        let mut ask = |what: &str, axis: usize, rows: &[Row], length: u32| {
            let few = if index == 0 { 3 } else { 1 };
            let Some(shape) = shape(contract, (index, axis), (length, rows.len()), &mut random)
            else {
                return;
            };
            let count = count(&shape.shape.inputs[index], axis);
            for (number, rows) in rows.chunks(count.max(1)).take(few).enumerate() {
                let Ok(built) = Built::new(contract, shape.values.clone()) else {
                    return;
                };
                let mut data = draw::plain(contract, &built, &mut random);
                let shape = &built.shape.inputs[index];
                put(&mut data[index], input.dtype, (shape, axis), rows);
                let name = format!("edge:runs-{}-{what}-{axis}-{number}", input.name);
                cases.push(built.case(contract, Source::Edge, name, &data));
            }
        };
        for (what, rows) in [
            ("minus-inf", &rows.below),
            ("inf", &rows.above),
            ("others", &rows.others),
        ] {
            if !rows.is_empty() {
                ask(what, innermost, rows, LENGTH);
            }
        }
        if !rows.below.is_empty() {
            for axis in 0..innermost {
                ask("minus-inf", axis, &rows.below, LENGTH);
            }
            if index == 0 {
                let bits = rows.below[0].0.clone();
                let long = [Run::First(LONG_RUN), Run::Last(LONG_RUN)];
                let long = long.map(|run| (bits.clone(), run));
                ask("minus-inf-long", innermost, &long, LONG);
            }
        }
    }
    cases
}

/// Rows for an input.
struct Rows {
    /// With infinities of either sign.
    below: Vec<Row>,
    above: Vec<Row>,
    /// With NaNs of every pattern, zeros and subnormal numbers.
    others: Vec<Row>,
}

impl Rows {
    fn of(dtype: Dtype, special: Special) -> Self {
        let none = Special::default();
        let infinities = Special {
            infinities: special.infinities,
            ..none
        };
        let of_sign = |place: usize| -> Vec<Row> {
            let bits = draw::bits_of(dtype, infinities);
            let bits = bits.get(place).map(|bits| vec![*bits]);
            let all = bits.into_iter().flat_map(|bits| {
                let runs = Run::all().into_iter();
                runs.map(move |run| (bits.clone(), run))
            });
            all.collect()
        };
        let kinds: Vec<Vec<u32>> = kinds(Special {
            infinities: false,
            ..special
        })
        .into_iter()
        .rev()
        .map(|(_, special)| draw::bits_of(dtype, special))
        .filter(|bits| !bits.is_empty())
        .collect();
        let few = &Run::all()[..4 + EVERY];
        let others = few
            .iter()
            .flat_map(|run| kinds.iter().map(|bits| (bits.clone(), *run)));
        Self {
            below: of_sign(1),
            above: of_sign(0),
            others: others.collect(),
        }
    }
}

/// Rows along an axis.
fn count(shape: &[u32], axis: usize) -> usize {
    draw::elements_of(shape) / (shape[axis].max(1) as usize)
}

/// A shape in which an input is as long along one of its axes as wanted, and has as many rows, or as near to it as there is.
fn shape(
    contract: &Contract,
    (index, axis): (usize, usize),
    (length, rows): (u32, usize),
    random: &mut Random,
) -> Option<Built> {
    let names = || contract.axes.keys().map(String::as_str);
    let mut found: Vec<Built> = Vec::new();
    for length in [length, length / 2, length / 8] {
        for one in names() {
            let alone = draw::shaped(contract, &[(one, length)], MOST_ELEMENTS);
            found.extend(alone);
            for other in names().filter(|other| *other != one) {
                let both = [(one, length), (other, rows as u32)];
                found.extend(draw::shaped(contract, &both, MOST_ELEMENTS));
            }
        }
    }
    if found.is_empty() {
        let drawn = (0..SHAPES).filter_map(|_| draw::built(contract, random, MOST_ELEMENTS));
        found.extend(drawn);
    }
    let holds = |built: &Built| {
        let shape = &built.shape.inputs[index];
        let long = shape[axis].min(length) as usize;
        let room = long * count(shape, axis).min(rows);
        (room, std::cmp::Reverse(draw::total(built)))
    };
    found.into_iter().max_by_key(holds)
}

/// Puts rows along an axis into a tensor, one after the other and again from the first.
fn put(bytes: &mut [u8], dtype: Dtype, (shape, axis): (&[u32], usize), rows: &[Row]) {
    let inner: usize = draw::elements_of(&shape[axis + 1..]);
    let length = shape[axis] as usize;
    let (_, unit) = dtype.unit();
    for (element, bytes) in bytes.chunks_exact_mut(unit as usize).enumerate() {
        let place = element / inner % length;
        let row = element / inner / length * inner + element % inner;
        let (bits, run) = &rows[row % rows.len()];
        if run.has(place, length) {
            let bits = bits[place % bits.len()];
            bytes.copy_from_slice(&bits.to_le_bytes()[..unit as usize]);
        }
    }
}
