//! Calls in which special values of two inputs meet: 0 beside infinity or NaN shows what leaves a term out because a factor is 0, one infinity beside
//! another what forgets that their sum is none.

use super::{
    Built,
    draw::{Random, bits_of, elements_of, plain, shaped, total},
    together::free_axes,
};
use crate::{
    case::{Case, Source},
    generate::ALIKE,
    number,
};
use kernel_pack::contract::{Array, Contract, Special};
use std::sync::Arc;

/// Elements that all tensors of a call may have together, and where a contract has no shape so small.
const ROOMS: [u64; 2] = [1 << 13, 1 << 17];
/// A length with blocks of 64 and a rest, and one with all pairs of values in each lane of wide vectors where there is one axis alone.
const LONG: u32 = 72;
const ALONE: u32 = 1152;
/// Lengths of the other axes, of which the longest is taken that has room.
const OTHERS: [u32; 4] = [16, 8, 4, 2];
/// Ordinary values beside the special ones.
const ORDINARY: [f64; 2] = [1.5, -2.5];
/// Of a tensor with one dimension every so many elements are special.
const EVERY: usize = 3;

/// The calls: `alike:meet-INPUT-INPUT` where both have as many elements, each value beside each; then `alike:meet-INPUT-AXIS-INPUT`, the first one with the
/// same value all along the others of its axes and values strewn into the second one, and `alike:meet-INPUT-zero-INPUT`, the first one wholly 0.
pub fn meet(contract: &Arc<Contract>, seed: u64) -> Vec<Case> {
    let mut calls = Drawing {
        contract,
        random: Random::new(&contract.kernel, seed.rotate_left(29), u32::MAX - 13),
        cases: Vec::new(),
    };
    let values: Vec<Vec<Vec<u8>>> = contract
        .inputs
        .iter()
        .map(|input| values(contract, input))
        .collect();
    let meets: Vec<usize> = (0..values.len())
        .filter(|index| !values[*index].is_empty())
        .collect();
    for one in &meets {
        for other in meets.iter().filter(|other| *other > one) {
            calls.pair([*one, *other], &values);
        }
    }
    calls.cases
}

/// Special values that the contract covers in an input of floats, and ordinary ones, as bytes; none where it covers none. Zeros come first.
fn values(contract: &Contract, input: &Array) -> Vec<Vec<u8>> {
    let (per_block, width) = input.dtype.unit();
    if !number::is_float(input.dtype) || per_block > 1 {
        return Vec::new();
    }
    let domain = contract.domain_of_input(input);
    let Special {
        zeros,
        subnormals,
        infinities,
        nans,
    } = domain.special;
    let none = Special::default();
    let kinds = [
        (Special { zeros, ..none }, 2),
        (Special { infinities, ..none }, 2),
        (Special { nans, ..none }, 1),
        (Special { subnormals, ..none }, 1),
    ];
    let special = kinds
        .into_iter()
        .flat_map(|(kind, count)| bits_of(input.dtype, kind).into_iter().take(count));
    let mut values: Vec<Vec<u8>> = special
        .map(|bits| bits.to_le_bytes()[..width as usize].to_vec())
        .collect();
    if !values.is_empty() {
        let ordinary = ORDINARY
            .into_iter()
            .filter(|value| super::alike::admits(domain.class, *value));
        values.extend(ordinary.filter_map(|value| number::encode(input.dtype, value)));
    }
    values
}

struct Drawing<'a> {
    contract: &'a Arc<Contract>,
    random: Random,
    cases: Vec<Case>,
}

impl Drawing<'_> {
    fn pair(&mut self, pair: [usize; 2], values: &[Vec<Vec<u8>>]) {
        let Some(shape) = shape(self.contract, pair) else {
            return;
        };
        let [one, other] = pair;
        let names = pair.map(|index| self.contract.inputs[index].name.as_str());
        let of = pair.map(|index| shape.shape.inputs[index].clone());
        let [ones, others] = pair.map(|index| &values[index]);
        if elements_of(&of[0]) == elements_of(&of[1]) {
            let pairs = ones.len() * others.len();
            // Turned by one from each round to the next, so that each place of a vector has each pair.
            let turned = |place: usize| (place + place / pairs) % pairs;
            let first = |place: usize| Some(turned(place) % ones.len());
            let second = |place: usize| Some(turned(place) / ones.len());
            let what = format!("meet-{}-{}", names[0], names[1]);
            self.add(
                &shape,
                what,
                [(one, ones, &first), (other, others, &second)],
            );
        }
        for (turn, [whole, strewn]) in [(0, [0, 1]), (1, [1, 0])] {
            let indices = [pair[whole], pair[strewn]];
            let [filling, beside] = indices.map(|index| &values[index]);
            let [name, beside_name] = [names[whole], names[strewn]];
            let into = sparse(&of[strewn], beside.len());
            let last = of[whole].len().saturating_sub(1);
            for axis in [0, last].into_iter().take(if last > 0 { 2 } else { 1 }) {
                let inner = elements_of(&of[whole][axis + 1..]).max(1);
                let length = of[whole].get(axis).map_or(1, |length| *length as usize);
                // Another turn has other values beside each other.
                let slab = |place: usize| Some((place / inner % length + turn) % filling.len());
                let what = format!("meet-{name}-{axis}-{beside_name}");
                let parts: [Part<'_>; 2] =
                    [(indices[0], filling, &slab), (indices[1], beside, &*into)];
                self.add(&shape, what, parts);
            }
            if self
                .contract
                .domain_of_input(&self.contract.inputs[indices[0]])
                .special
                .zeros
            {
                let what = format!("meet-{name}-zero-{beside_name}");
                let zero = |_| Some(0);
                self.add(
                    &shape,
                    what,
                    [(indices[0], filling, &zero), (indices[1], beside, &*into)],
                );
            }
        }
    }

    /// Adds a call of a shape with values put into two of its inputs.
    fn add(&mut self, shape: &Built, what: String, parts: [Part<'_>; 2]) {
        let Ok(built) = Built::new(self.contract, shape.values.clone()) else {
            return;
        };
        let mut data = plain(self.contract, &built, &mut self.random);
        for (index, values, which) in parts {
            let width = self.contract.inputs[index].dtype.unit().1 as usize;
            let elements = data[index].chunks_exact_mut(width).enumerate();
            for (place, element) in elements {
                if let Some(value) = which(place) {
                    element.copy_from_slice(&values[value]);
                }
            }
        }
        let name = format!("{ALIKE}{what}");
        self.cases
            .push(built.case(self.contract, Source::Drawn, name, &data));
    }
}

/// An input, its values, and which of them an element has; others are ordinary.
type Part<'a> = (usize, &'a Vec<Vec<u8>>, &'a dyn Fn(usize) -> Option<usize>);

/// One element of each column, each in another row, so that a column has one special value and a sum along it shows what that meets; of one dimension every
/// third element. Values take turns.
fn sparse(shape: &[u32], values: usize) -> Box<dyn Fn(usize) -> Option<usize>> {
    let columns = shape.last().map_or(1, |length| *length as usize).max(1);
    let rows = elements_of(shape) / columns;
    Box::new(move |place| {
        let (row, column) = (place / columns, place % columns);
        match rows {
            ..=1 => (place % EVERY == 0).then_some(place / EVERY % values),
            // More columns than rows have each row several times, with other values.
            rows => (row == (5 * column + column / rows) % rows).then_some(column % values),
        }
    })
}

/// The shape in which the smaller one of two inputs is as large as can be, and then the first one's innermost axis.
fn shape(contract: &Contract, pair: [usize; 2]) -> Option<Built> {
    let axes: Vec<&str> = free_axes(contract).map(|(name, _)| name).collect();
    let long = if axes.len() > 1 { LONG } else { ALONE };
    let lengths = axes.iter().map(|long_axis| {
        let lengths = OTHERS.map(|other| {
            let axes = axes.iter();
            axes.map(|axis| (*axis, if axis == long_axis { long } else { other }))
                .collect::<Vec<_>>()
        });
        ROOMS
            .into_iter()
            .flat_map(|room| lengths.iter().map(move |lengths| (room, lengths.clone())))
            .find_map(|(room, lengths)| shaped(contract, &lengths, room))
    });
    let mut found: Vec<Built> = lengths.flatten().collect();
    if axes.is_empty() {
        found.extend(shaped(contract, &[], ROOMS[1]));
    }
    found.into_iter().max_by_key(|built| {
        let elements = pair.map(|index| elements_of(&built.shape.inputs[index]));
        let innermost = built.shape.inputs[pair[0]].last().copied();
        (
            elements[0].min(elements[1]),
            innermost,
            std::cmp::Reverse(total(built)),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel_pack::Dtype;
    use std::collections::BTreeSet;

    fn calls(inputs: &str, domain: &str) -> Vec<Case> {
        let whole = format!(
            r#"{{"id": "one", "inputs": [{inputs}], "outputs": [{{"name": "y", "dtype": "f32", "shape": ["rows", "columns"]}}],
            "params": {{"rows": {{"type": "u32", "default": 1, "min": 1}}, "columns": {{"type": "u32", "default": 1, "min": 1}}}}, "tolerance": {{"ulp": 1}}{domain}}}"#
        );
        let contract = Contract::parse(whole.as_bytes(), "one.json").unwrap();
        meet(&Arc::new(contract), 3)
    }

    const EQUAL: &str = r#"{"name": "x", "dtype": "f32", "shape": ["rows", "columns"]}, {"name": "z", "dtype": "f32", "shape": ["rows", "columns"]}"#;
    const WEIGHT: &str = r#"{"name": "x", "dtype": "f32", "shape": ["rows", "columns"]}, {"name": "z", "dtype": "f32", "shape": ["columns"]}"#;
    const PRODUCT: &str = r#"{"name": "x", "dtype": "f32", "shape": ["rows", 70]}, {"name": "z", "dtype": "f32", "shape": [70, "columns"]}"#;

    /// Whether a kernel's answers differ from another's in a call.
    fn told(
        cases: &[Case],
        right: impl Fn(&Case) -> Vec<f64>,
        wrong: impl Fn(&Case) -> Vec<f64>,
    ) -> usize {
        let differ = |case: &&Case| {
            let pairs = right(case).into_iter().zip(wrong(case));
            let mut different = pairs.filter(|(right, wrong)| right.is_nan() != wrong.is_nan());
            different.next().is_some()
        };
        cases.iter().filter(differ).count()
    }

    fn of(bytes: &[u8]) -> Vec<f64> {
        number::decode(Dtype::F32, bytes)
    }

    #[test]
    fn each_value_is_beside_each_in_each_place_of_a_vector() {
        let cases = calls(EQUAL, "");
        let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!((names.len(), cases.len()), (7, 7));
        let (x, z) = (of(&cases[0].a), of(&cases[0].b));
        for lane in 0..16 {
            let pairs = x.iter().zip(&z).skip(lane).step_by(16);
            let pairs: BTreeSet<String> = pairs.map(|(x, z)| format!("{x:e} {z:e}")).collect();
            assert_eq!(pairs.len(), 64, "{lane}");
        }
        type Operation = fn(f64, f64) -> f64;
        let wrong: [(Operation, Operation); 3] = [
            (|x, z| x * z, |x, z| if x == 0.0 { 0.0 } else { x * z }),
            (
                |x, z| x / z,
                |x, z| if x == 0.0 && z == 0.0 { 0.0 } else { x / z },
            ),
            (
                |x, z| x + z,
                |x, z| {
                    if x.is_infinite() && x == -z {
                        0.0
                    } else {
                        x + z
                    }
                },
            ),
        ];
        for (right, wrong) in wrong {
            let of = |case: &Case, operation: Operation| {
                let pairs = of(&case.a).into_iter().zip(of(&case.b));
                pairs.map(|(x, z)| operation(x, z)).collect()
            };
            assert!(told(&cases, |case| of(case, right), |case| of(case, wrong)) > 0);
        }
    }

    /// `skip`: so many zeros at once are left out.
    fn product(case: &Case, skip: usize) -> Vec<f64> {
        let (x, z) = (of(&case.a), of(&case.b));
        let columns = z.len() / 70;
        let term = |row: &[f64], column: usize, from: usize| -> f64 {
            let to = (from + skip).min(70);
            if row[from..to].iter().all(|x| *x == 0.0) && to - from == skip {
                return 0.0;
            }
            (from..to)
                .map(|place| row[place] * z[place * columns + column])
                .sum()
        };
        let rows = x.chunks(70).flat_map(|row| {
            (0..columns).map(move |column| {
                (0..70)
                    .step_by(skip)
                    .map(|from| term(row, column, from))
                    .sum()
            })
        });
        rows.collect()
    }

    #[test]
    fn products_that_leave_zeros_out_are_told_from_right_ones() {
        let cases = calls(PRODUCT, "");
        assert_eq!(cases.len(), 6);
        for skip in [1, 16, 64] {
            assert!(
                told(&cases, |case| product(case, 71), |case| product(case, skip)) > 1,
                "{skip}"
            );
        }
    }

    #[test]
    fn weights_of_zero_meet_rows_that_are_no_numbers() {
        let cases = calls(WEIGHT, "");
        assert_eq!(cases.len(), 5);
        let scaled = |case: &Case, skips: bool| -> Vec<f64> {
            let (x, z) = (of(&case.a), of(&case.b));
            let rows = x.chunks(z.len());
            rows.flat_map(|row| {
                let sum: f64 = row.iter().sum();
                let scale = |z: &f64| if skips && *z == 0.0 { 0.0 } else { sum * z };
                z.iter().map(scale).collect::<Vec<_>>()
            })
            .collect()
        };
        assert!(
            told(
                &cases,
                |case| scaled(case, false),
                |case| scaled(case, true)
            ) > 0
        );
    }

    #[test]
    fn a_domain_without_special_values_has_none() {
        let domain = r#", "domain": {"z": {"class": "normal", "scale": 1, "special": "none"}}"#;
        assert!(calls(EQUAL, domain).is_empty());
        let zeros = r#", "domain": {"z": {"class": "normal", "scale": 1, "special": ["zeros"]}}"#;
        for case in calls(EQUAL, zeros) {
            assert!(of(&case.b).iter().all(|z| z.is_finite()));
        }
    }
}
