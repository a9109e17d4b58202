//! Small calls of kernels that the harness knows by heart in which a rest of one dimension meets a rest of another, and in which two dimensions are equal.

use super::{
    build,
    draft::{Angles, Draft, Family, RopeTensor},
};
use crate::{
    case::{Case, Source},
    draw::{pick, random},
    rests::{Calls, EQUAL, RESTS, Rests, drawn_size},
};

/// The start of their names.
pub const PREFIX: &str = "corner:";

/// What all dimensions are equal at.
const ALL_EQUAL: u32 = 5;

/// The calls: `corner:`, the number and the dimensions, the same of gradients with `gradient-`, then `corner:square-`, what is equal, and the dimensions.
/// Empty for a kernel that this harness has no contract for.
pub fn corner(kernel: &str, seed: u64) -> Vec<Case> {
    let Some((kernel, family)) = Family::known(kernel) else {
        return Vec::new();
    };
    let salt: u64 = kernel.bytes().map(u64::from).sum();
    let seed = random(seed, salt + 13);
    let mut calls: Vec<(String, [u32; 4], bool)> = Vec::new();
    for backward in [false, true] {
        if backward && !has_gradient(family) {
            continue;
        }
        let rests = Rests {
            calls: match family {
                Family::Lora(_) => Calls::Many,
                Family::RmsNorm(_) | Family::Swiglu(_) => Calls::Both,
                _ => Calls::Few,
            },
            seed: random(seed, backward.into()),
        };
        let what = if backward { "gradient-" } else { "" };
        for number in 0..rests.calls.count() {
            calls.push((
                format!("{what}{number}"),
                dimensions(family, rests, number),
                backward,
            ));
        }
        let squares = squares(family, random(seed, 2)).into_iter();
        calls.extend(
            squares
                .filter(|(_, _, of_gradients)| *of_gradients || !backward)
                .map(|(names, dimensions, _)| {
                    (format!("square-{what}{names}"), dimensions, backward)
                }),
        );
    }
    let made = (0..)
        .zip(calls)
        .map(|(number, (what, dimensions, backward))| {
            let seed = random(seed, 1000 + number);
            let draft = Draft {
                angles: pick(seed, 1, &[Angles::Computed, Angles::Given, Angles::Tables]),
                layout: pick(seed, 2, &[0, 1]),
                backward,
                ..Draft::plain(family, dimensions, seed)
            };
            let used = &dimensions[..family.dimensions()];
            let shape: Vec<String> = used.iter().map(u32::to_string).collect();
            Case {
                source: Source::Drawn,
                name: format!("{PREFIX}{what}-{}", shape.join("x")),
                ..build::case(kernel, family, 0, &draft)
            }
        });
    made.collect()
}

fn has_gradient(family: Family) -> bool {
    matches!(
        family,
        Family::RmsNorm(_) | Family::Swiglu(_) | Family::Lora(_)
    )
}

/// Dimensions of a call: 17 to 48 of the innermost one, or fewer of blocks; of others 9 to 16, or fewer where there are many.
fn dimensions(family: Family, rests: Rests, number: u32) -> [u32; 4] {
    let rest = |axis: u32| rests.rest(number, axis) + 1;
    let long = 2 * RESTS + RESTS * rests.part(number) + rest(0);
    match family {
        Family::Rope(RopeTensor::Float(_)) => [1 + rest(3) % 2, rest(1), RESTS + rest(2), long],
        Family::Rope(RopeTensor::Q8) => [1 + rest(3) % 2, rest(1), rest(2), rest(0)],
        Family::RmsNorm(_) | Family::Swiglu(_) => [RESTS + rest(1), long, 1, 1],
        Family::Pack(_) | Family::Unpack(_) => [RESTS + rest(1), RESTS / 2 + rest(0), 1, 1],
        Family::Lora(_) => [RESTS + rest(1), RESTS + rest(2), rest(3), long],
    }
}

/// Names of what is equal, dimensions, and whether gradients are asked too.
fn squares(family: Family, seed: u64) -> Vec<(String, [u32; 4], bool)> {
    // Of what a dimension counts, the length of the tensor is a multiple.
    let multiple = match family {
        Family::Rope(RopeTensor::Float(_)) => 2,
        Family::Rope(RopeTensor::Q8) | Family::Pack(_) | Family::Unpack(_) => 32,
        _ => 1,
    };
    let count = family.dimensions();
    let innermost = count - 1;
    let drawn = drawn_size(seed);
    let mut squares = Vec::new();
    let mut add = |what: String, equal: [(usize, u32); 2], of_gradients: bool| {
        // Others are no longer than 3 and not equal.
        let mut dimensions = [3, 2, 1, 2].map(|size| size.min(1 + innermost as u32));
        for (place, size) in equal {
            dimensions[place] = size;
        }
        squares.push((what, dimensions, of_gradients));
    };
    for one in 0..count {
        for other in one + 1..count {
            for size in EQUAL.into_iter().chain([drawn]) {
                let is_last = size == drawn;
                add(
                    format!("{one}-{other}-{size}"),
                    [(one, size), (other, size)],
                    is_last,
                );
            }
        }
        if multiple > 1 && one != innermost {
            for units in [1, 2, 3] {
                let units = if multiple > 2 { units } else { 2 * units + 1 };
                let size = units * multiple;
                add(
                    format!("{one}-elements-{size}"),
                    [(one, size), (innermost, units)],
                    false,
                );
            }
        }
    }
    squares.push(("all".to_owned(), [ALL_EQUAL; 4], true));
    squares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        case::Entry,
        generate::tests::{answered_rightly, shapes_of},
    };
    use std::collections::BTreeSet;

    fn shapes(cases: &[Case], start: &str) -> Vec<Vec<u64>> {
        shapes_of(cases, &format!("{PREFIX}{start}"))
    }

    #[test]
    fn the_kernels_answer_them_rightly() {
        for kernel in &kernel_core::KERNELS {
            for seed in 0..4 {
                let cases = corner(kernel.id, seed);
                assert_eq!(cases, corner(kernel.id, seed));
                answered_rightly(&cases, seed);
            }
        }
        assert!(corner("softmax_f32", 1).is_empty());
    }

    #[test]
    fn rests_of_rows_meet_rests_of_columns_in_every_run() {
        for seed in 0..16 {
            for kernel in ["swiglu_f32", "rmsnorm_f16", "kv_pack_q8", "kv_unpack_q4"] {
                let shapes = shapes(&corner(kernel, seed), "");
                let met = |rows: u64, columns: u64| {
                    let of = |shape: &Vec<u64>| (shape[0] % rows, shape[1] % columns);
                    shapes.iter().map(of).collect::<BTreeSet<_>>().len()
                };
                assert_eq!(met(4, 8), 32, "{kernel}");
            }
            let shapes = shapes(&corner("lora_apply_f32", seed), "");
            for one in 0..4 {
                for other in one + 1..4 {
                    let of = |shape: &Vec<u64>| (shape[one] % 8, shape[other] % 8);
                    let met: BTreeSet<(u64, u64)> = shapes.iter().map(of).collect();
                    assert_eq!(met.len(), 64, "{one} {other}");
                }
            }
        }
    }

    #[test]
    fn what_is_wrong_in_the_last_rest_of_both_is_seen_in_every_run() {
        for seed in 0..16 {
            for (start, rows, columns) in [("", (4, 3), (32, 29)), ("gradient-", (8, 5), (16, 9))] {
                let wrong = |shape: &Vec<u64>| {
                    shape[0] % rows.0 == rows.1 && shape[1] % columns.0 == columns.1
                };
                let cases = corner("swiglu_f32", seed);
                assert!(shapes(&cases, start).iter().any(wrong), "{start}{seed}");
            }
        }
    }

    #[test]
    fn each_two_dimensions_are_equal() {
        for kernel in &kernel_core::KERNELS {
            let cases = corner(kernel.id, 3);
            let squares = shapes(&cases, "square-");
            let dimensions = squares[0].len();
            for one in 0..dimensions {
                for other in one + 1..dimensions {
                    let equal = |size: u64| {
                        let is = |shape: &Vec<u64>| shape[one] == size && shape[other] == size;
                        squares.iter().any(is)
                    };
                    assert!(EQUAL.into_iter().map(u64::from).all(equal), "{}", kernel.id);
                }
            }
            let gradients = cases.iter().filter(|case| case.entry == Entry::Backward);
            assert_eq!(gradients.count() > 0, kernel.has_backward, "{}", kernel.id);
        }
    }
}
