//! Small calls in which a rest of one axis meets a rest of another, and in which two axes are equal: what tiles of two axes do in their corner, and what
//! takes a square for something else, no call shows that varies one axis alone.

use super::{
    Built,
    draw::{Random, plain, shaped, shortest, total},
    together::free_axes,
};
use crate::{
    case::{Case, Source},
    generate::CORNER,
    rests::{Calls, EQUAL, RESTS, Rests, drawn_size},
};
use kernel_pack::contract::{Axis, Contract};
use std::sync::Arc;

/// Elements that all tensors of a call may have together.
const MOST_ELEMENTS: u64 = 1 << 13;
/// How many times as many as the smallest call has, where there is no room for that.
const OF_LARGE: u64 = 16;
const MOST_OF_LARGE: u64 = 1 << 17;
/// One in so many calls is made then.
const EVERY_OF_LARGE: u32 = 4;
/// Lengths of two axes that are equal, counted in what they are multiples of.
const EQUAL_UNITS: [u32; 3] = [1, 2, 3];
/// The length of axes beside two that are equal.
const BESIDE: u32 = 3;

/// The calls: `corner:`, a number, and the lengths of the axes in the order of names; then `corner:square-`, two axes and their length.
pub fn corner(contract: &Arc<Contract>, seed: u64) -> Vec<Case> {
    let axes = inner_first(contract);
    if axes.len() < 2 {
        return Vec::new();
    }
    let mut calls = Drawing {
        contract,
        random: Random::new(&contract.kernel, seed.rotate_left(23), u32::MAX - 11),
        cases: Vec::new(),
    };
    calls.rests(&axes);
    calls.squares(&axes);
    calls.cases
}

/// Axes of several lengths: those of the first output, the innermost first, then others.
fn inner_first(contract: &Contract) -> Vec<(&str, &Axis)> {
    let shape = contract.outputs.first().map(|output| &output.shape);
    let names: Vec<&str> = shape
        .into_iter()
        .flatten()
        .rev()
        .filter_map(|length| length.as_name())
        .collect();
    let varies = |axis: &Axis| axis.max - axis.min >= RESTS / 2 * axis.multiple_of;
    let mut axes: Vec<(&str, &Axis)> = free_axes(contract)
        .filter(|(_, axis)| varies(axis))
        .collect();
    axes.sort_by_key(|(name, _)| {
        let place = names.iter().position(|one| one == name);
        place.unwrap_or(names.len())
    });
    axes
}

struct Drawing<'a> {
    contract: &'a Arc<Contract>,
    random: Random,
    cases: Vec<Case>,
}

impl Drawing<'_> {
    fn add(&mut self, what: &str, built: Built) {
        let data = plain(self.contract, &built, &mut self.random);
        let name = format!("{CORNER}{what}");
        let case = built.case(self.contract, Source::Drawn, name, &data);
        self.cases.push(case);
    }

    fn rests(&mut self, axes: &[(&str, &Axis)]) {
        let rests = Rests {
            calls: match axes.len() {
                2 => Calls::Few,
                _ => Calls::Many,
            },
            seed: self.random.next(),
        };
        let smallest = Built::new(self.contract, shortest(self.contract));
        let smallest = smallest.map_or(0, |built| total(&built));
        let large = OF_LARGE.saturating_mul(smallest);
        let (every, most) = match large > MOST_ELEMENTS {
            true => (EVERY_OF_LARGE, large.min(MOST_OF_LARGE)),
            false => (1, MOST_ELEMENTS),
        };
        let first = self.random.below(every.into()) as u32;
        // Each rest of the first axis stays.
        let calls = (0..rests.calls.count()).filter(|call| (call + call / RESTS) % every == first);
        for call in calls {
            // Where there is no room, axes become shorter by 8 or more, the outer ones first.
            let built = (0..=axes.len()).find_map(|short| {
                let lengths: Vec<(&str, u32)> = (0..)
                    .zip(axes)
                    .map(|(place, (name, axis))| {
                        let is_short = place as usize + short >= axes.len();
                        (*name, length(axis, rests, (call, place), is_short))
                    })
                    .collect();
                shaped(self.contract, &lengths, most)
            });
            let Some(built) = built else {
                continue;
            };
            let names = self.contract.axes.keys();
            let shape: Vec<String> = names
                .map(|name| built.values[name].real().to_string())
                .collect();
            self.add(&format!("{call}-{}", shape.join("x")), built);
        }
    }

    /// Each two axes are equal.
    fn squares(&mut self, axes: &[(&str, &Axis)]) {
        let drawn = drawn_size(self.random.next());
        for (place, (one, axis)) in axes.iter().enumerate() {
            for (other, other_axis) in &axes[..place] {
                let unit = axis.multiple_of.max(other_axis.multiple_of);
                let sizes: Vec<u32> = match unit {
                    1 => EQUAL.into_iter().chain([drawn]).collect(),
                    unit => EQUAL_UNITS.map(|units| units * unit).into(),
                };
                for size in sizes {
                    if !axis.takes(size) || !other_axis.takes(size) {
                        continue;
                    }
                    let lengths: Vec<(&str, u32)> = axes
                        .iter()
                        .map(|(name, axis)| match name == one || name == other {
                            true => (*name, size),
                            false => (*name, BESIDE.saturating_mul(axis.multiple_of)),
                        })
                        .collect();
                    if let Some(built) = shaped(self.contract, &lengths, MOST_ELEMENTS) {
                        self.add(&format!("square-{other}-{one}-{size}"), built);
                    }
                }
            }
        }
    }
}

/// The length of an axis in a call, with its rest behind multiples of 8: the first one has 17 to 48 of its steps, others 9 to 16, and short ones 1 to 8.
/// Where the contract asks for more, the rests are those of longer ones.
fn length(axis: &Axis, rests: Rests, (call, place): (u32, u32), is_short: bool) -> u32 {
    let behind = match (is_short, place) {
        (true, _) => 0,
        (false, 0) if axis.multiple_of == 1 => RESTS * (2 + rests.part(call)),
        (false, _) => RESTS,
    };
    let length = (behind + rests.rest(call, place) + 1).saturating_mul(axis.multiple_of);
    let step = 4 * RESTS * axis.multiple_of;
    let missing = axis.min.saturating_sub(length).div_ceil(step);
    length.saturating_add(missing.saturating_mul(step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn calls(axes: &str, text: &str, seed: u64) -> Vec<Case> {
        let params: Vec<String> = ["depth", "columns", "rows"]
            .into_iter()
            .filter(|axis| *axis != "depth" || text.contains("depth"))
            .map(|axis| format!(r#""{axis}": {{"type": "u32", "default": 1, "min": 1}}"#))
            .collect();
        let whole = format!(
            r#"{{"id": "one", {text}, "axes": {{{axes}}}, "tolerance": {{"ulp": 1}}, "params": {{{}}}}}"#,
            params.join(", ")
        );
        let contract = Contract::parse(whole.as_bytes(), "one.json").unwrap();
        corner(&Arc::new(contract), seed)
    }

    const TRANSPOSED: &str = r#""inputs": [{"name": "x", "dtype": "f32", "shape": ["rows", "columns"]}],
        "outputs": [{"name": "y", "dtype": "f32", "shape": ["columns", "rows"]}]"#;
    const PRODUCT: &str = r#""inputs": [{"name": "x", "dtype": "f32", "shape": ["rows", "depth"]}, {"name": "w", "dtype": "f32", "shape": ["depth", "columns"]}],
        "outputs": [{"name": "y", "dtype": "f32", "shape": ["rows", "columns"]}]"#;

    /// Lengths of two axes of the calls with rests, or of those with equal ones.
    fn lengths(cases: &[Case], (one, other): (&str, &str), square: bool) -> Vec<(u32, u32)> {
        let cases = cases
            .iter()
            .filter(|case| case.name.contains("square") == square);
        let of = |case: &Case| {
            let values = &case.open.as_ref().unwrap().values;
            (values[one] as u32, values[other] as u32)
        };
        cases.map(of).collect()
    }

    #[test]
    fn rests_of_each_two_axes_meet_in_every_run() {
        for seed in 0..16 {
            let cases = calls("", TRANSPOSED, seed);
            let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
            assert_eq!(names.len(), cases.len());
            let all = lengths(&cases, ("columns", "rows"), false);
            let met: BTreeSet<(u32, u32)> = all.iter().map(|(c, r)| (c % 4, r % 8)).collect();
            assert_eq!((all.len(), met.len()), (32, 32));
            // A kernel that is wrong in the last place alone where both are rests.
            let wrong = |(c, r): &(u32, u32)| r % 4 == 3 && c % 4 == 1 && *r > 8 && *c > 8;
            assert!(all.iter().any(wrong));
            let cases = calls("", PRODUCT, seed);
            for pair in [("columns", "rows"), ("columns", "depth"), ("depth", "rows")] {
                let all = lengths(&cases, pair, false);
                let met: BTreeSet<(u32, u32)> = all.iter().map(|(c, r)| (c % 8, r % 8)).collect();
                assert_eq!((all.len(), met.len()), (64, 64), "{pair:?}");
            }
        }
    }

    #[test]
    fn each_two_axes_are_equal() {
        let cases = calls("", PRODUCT, 5);
        for pair in [("columns", "rows"), ("columns", "depth"), ("depth", "rows")] {
            let all = lengths(&cases, pair, true);
            assert!(EQUAL.iter().all(|size| all.contains(&(*size, *size))));
        }
    }

    #[test]
    fn axes_in_steps_and_long_ones_have_rests_too() {
        let cases = calls(r#""columns": {"multiple_of": 32}"#, TRANSPOSED, 3);
        let all = lengths(&cases, ("columns", "rows"), false);
        let met: BTreeSet<(u32, u32)> = all.iter().map(|(c, r)| (c / 32 % 4, r % 8)).collect();
        assert_eq!(met.len(), 32);
        let square = lengths(&cases, ("columns", "rows"), true);
        assert_eq!(square, [(32, 32), (64, 64)]);
        let cases = calls(r#""columns": {"min": 2048}"#, TRANSPOSED, 3);
        let all = lengths(&cases, ("columns", "rows"), false);
        let rests: BTreeSet<u32> = all.iter().map(|(c, _)| c % 8).collect();
        let rows = all.iter().filter(|(_, r)| *r > 4).count();
        assert!(rests.len() == 8 && rows > 1, "{all:?}");
        let cases = calls(
            r#""columns": {"min": 128}, "rows": {"min": 128}"#,
            TRANSPOSED,
            3,
        );
        let all = lengths(&cases, ("columns", "rows"), false);
        assert_eq!(all.len(), 8);
    }
}
