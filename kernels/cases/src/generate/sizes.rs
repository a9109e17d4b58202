//! Calls in which all elements of a tensor are of one size, of kernels that the harness knows by heart. Each run has every part of the range of exponents.

use super::{
    build,
    draft::{Angles, Draft, Family, RopeTensor},
    spread::PREFIX,
    values::Class,
};
use crate::{
    case::{Case, Source},
    draw::{pick, random},
};

/// Exponents of f32 above 0, as they are stored: those of infinities left out.
const EXPONENTS: u64 = 252;
/// Parts of that range, of each of which the first tensor has one, and of each of which the second one has.
const PARTS: [u64; 2] = [12, 6];

/// The calls, named `values:size-`, the tensor and the exponent of f32.
pub(super) fn sizes(kernel: &'static str, family: Family, seed: u64) -> Vec<Case> {
    let mut cases = Vec::new();
    for (tensor, parts) in PARTS.into_iter().enumerate() {
        let length = EXPONENTS / parts;
        for part in 0..parts {
            let seed = random(seed, 3000 + 100 * tensor as u64 + part);
            let exponent = 1 + part * length + random(seed, 0) % length;
            let mut draft = Draft {
                angles: pick(seed, 1, &[Angles::Computed, Angles::Given, Angles::Tables]),
                layout: pick(seed, 2, &[0, 1]),
                backward: pick(seed, 3, &[false, false, false, true]),
                ..Draft::plain(family, dimensions(family, seed), random(seed, 4))
            };
            draft.tensors[tensor].class = Class::OneSize(exponent as u8);
            cases.push(Case {
                source: Source::Drawn,
                name: format!("{PREFIX}size-{tensor}-{exponent}"),
                ..build::case(kernel, family, 0, &draft)
            });
        }
    }
    cases
}

/// More than one row, and more than 64 elements in a tensor of them.
fn dimensions(family: Family, seed: u64) -> [u32; 4] {
    let from =
        |number: u64, least: u64, count: u64| (least + random(seed, 10 + number) % count) as u32;
    match family {
        Family::Rope(RopeTensor::Float(_)) => [1, from(0, 2, 3), from(1, 1, 3), from(2, 17, 24)],
        Family::Rope(RopeTensor::Q8) => [1, from(0, 2, 3), from(1, 1, 3), 1],
        Family::RmsNorm(_) | Family::Swiglu(_) => [from(0, 2, 3), from(1, 33, 60), 1, 1],
        Family::Pack(_) | Family::Unpack(_) => [from(0, 2, 3), from(1, 2, 3), 1, 1],
        Family::Lora(_) => [
            from(0, 2, 3),
            from(1, 33, 32),
            from(2, 2, 9),
            from(3, 33, 32),
        ],
    }
}
