//! Calls right beside each other, of kernels that the harness knows by heart.

use super::{
    build,
    draft::{Angles, Draft, Family, RopeTensor},
};
use crate::{
    case::{Case, Source},
    draw::random,
    near::{Change, PREFIX},
};
use kernel_abi::block::{Q4_BYTES, Q8_BYTES};

/// A few small calls, and beside each what differs in one thing: an element, a tensor, a parameter, two dimensions that are exchanged. Named `near:` and
/// a number, and what differs. Empty for a kernel that this harness has no contract for.
pub fn near(kernel: &str, seed: u64) -> Vec<Case> {
    let Some((kernel, family)) = Family::known(kernel) else {
        return Vec::new();
    };
    let seed = seed.wrapping_add(kernel.bytes().map(u64::from).sum());
    let bases = (0..).zip(bases(family, seed));
    bases
        .flat_map(|(number, base)| beside(kernel, family, (number, &base), seed))
        .collect()
}

/// Forward, where angles are computed too, and the gradient.
fn bases(family: Family, seed: u64) -> Vec<Draft> {
    let drawn =
        |index: u64, from: u32, to: u32| from + (random(seed, index) % u64::from(to - from)) as u32;
    let dimensions = match family {
        Family::Rope(RopeTensor::Float(_)) => [2, drawn(1, 3, 6), drawn(2, 2, 4), drawn(3, 8, 17)],
        Family::Rope(RopeTensor::Q8) => [1, drawn(1, 3, 6), drawn(2, 2, 4), 2],
        Family::RmsNorm(_) | Family::Swiglu(_) => [drawn(1, 3, 8), drawn(2, 33, 80), 1, 1],
        Family::Pack(_) | Family::Unpack(_) => [drawn(1, 3, 6), drawn(2, 2, 3), 1, 1],
        Family::Lora(_) => [
            drawn(1, 3, 6),
            drawn(2, 17, 40),
            drawn(3, 2, 7),
            drawn(4, 17, 40),
        ],
    };
    let plain = Draft {
        // Such that the answer depends on it, in f16 too.
        scalar: match family {
            Family::Rope(_) => 100.0,
            Family::RmsNorm(_) => 0.25,
            _ => 1.0,
        },
        ..Draft::plain(family, dimensions, random(seed, 5))
    };
    let more = match family {
        Family::Rope(_) => Some(Draft {
            angles: Angles::Computed,
            ..plain.clone()
        }),
        Family::Pack(_) | Family::Unpack(_) => None,
        Family::RmsNorm(_) | Family::Swiglu(_) | Family::Lora(_) => Some(Draft {
            backward: true,
            ..plain.clone()
        }),
    };
    [plain].into_iter().chain(more).collect()
}

fn beside(kernel: &str, family: Family, (number, base): (u32, &Draft), seed: u64) -> Vec<Case> {
    let made = |draft: &Draft, name: String| Case {
        source: Source::Drawn,
        name: format!("{PREFIX}{number}{name}"),
        ..build::case(kernel, family, 0, draft)
    };
    let first = made(base, String::new());
    let mut cases = vec![first.clone()];
    for (index, name) in (0..).zip([
        "scalar", "layout", "tensor-0", "tensor-1", "tensor-2", "tensor-3",
    ]) {
        let mut draft = base.clone();
        match index {
            0 => draft.scalar *= 4.0,
            1 => draft.layout ^= 1,
            tensor => draft.tensors[tensor - 2].seed ^= 1 << 40,
        }
        cases.push(made(&draft, format!(":{name}")));
    }
    for (one, other) in [(0, 1), (1, 2), (1, 3)] {
        let mut dimensions = base.dimensions;
        dimensions.swap(one, other);
        let traded = made(
            &Draft {
                dimensions,
                ..base.clone()
            },
            format!(":traded-{one}-{other}"),
        );
        let same = |own: Vec<u8>, first: &Vec<u8>| {
            if own.len() == first.len() {
                first.clone()
            } else {
                own
            }
        };
        cases.push(Case {
            a: same(traded.a, &first.a),
            b: same(traded.b, &first.b),
            base: traded
                .base
                .zip(first.base.as_ref())
                .map(|(own, first)| same(own, first)),
            ..traded
        });
    }
    let (a, b) = units(family);
    for (index, change) in (6..).zip(Change::ALL) {
        let named = |region: &str| format!("{}:{}-{region}", first.name, change.name());
        let of = |tensor: &[u8], unit| change.of(tensor, unit, random(seed, index));
        cases.extend(of(&first.a, a).map(|a| Case {
            a,
            name: named("a"),
            ..first.clone()
        }));
        cases.extend(of(&first.b, b).map(|b| Case {
            b,
            name: named("b"),
            ..first.clone()
        }));
        let base = first.base.as_ref().and_then(|base| of(base, b));
        cases.extend(base.map(|base| Case {
            base: Some(base),
            name: named("base"),
            ..first.clone()
        }));
    }
    // Not every kernel has what was changed, and two dimensions may be alike.
    let (first, others) = cases.split_at(1);
    let differs = |case: &&Case| {
        let of = |case: &Case| {
            (
                case.params.clone(),
                case.a.clone(),
                case.b.clone(),
                case.base.clone(),
            )
        };
        of(case) != of(&first[0])
    };
    first
        .iter()
        .chain(others.iter().filter(differs))
        .cloned()
        .collect()
}

/// Bytes of an element, or a block, of a and of b.
fn units(family: Family) -> (usize, usize) {
    match family {
        Family::Rope(RopeTensor::Float(float)) => (float.size(), 4),
        Family::Rope(RopeTensor::Q8) => (Q8_BYTES, 4),
        Family::RmsNorm(float) | Family::Swiglu(float) | Family::Lora(float) => {
            (float.size(), float.size())
        }
        Family::Pack(_) => (4, 4),
        Family::Unpack(format) if format.code_bytes + 2 == Q4_BYTES => (Q4_BYTES, 4),
        Family::Unpack(_) => (Q8_BYTES, 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::near::beside;
    use std::collections::BTreeSet;

    #[test]
    fn each_kernel_has_calls_that_differ_in_one_thing() {
        for kernel in &kernel_core::KERNELS {
            let cases = near(kernel.id, 9);
            assert_eq!(cases, near(kernel.id, 9));
            let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
            assert_eq!(names.len(), cases.len(), "{}", kernel.id);
            let has = |what: &str| names.contains(format!("near:0:{what}").as_str());
            assert!(
                has("late-a") && has("middle-a") && has("swapped-a"),
                "{}",
                kernel.id
            );
            assert!(has("traded-0-1"), "{}", kernel.id);
            for case in &cases {
                let Some(base) = beside(&case.name) else {
                    continue;
                };
                let base = cases.iter().find(|one| one.name == base).unwrap();
                let tensors = |case: &Case| {
                    [
                        case.a.clone(),
                        case.b.clone(),
                        case.base.clone().unwrap_or_default(),
                    ]
                };
                let changed = tensors(case)
                    .iter()
                    .zip(&tensors(base))
                    .filter(|(one, other)| one != other)
                    .count();
                let params = usize::from(case.params != base.params);
                let traded = case.name.contains("traded");
                assert!(
                    changed + params == 1 || traded,
                    "{} {}",
                    kernel.id,
                    case.name
                );
            }
        }
    }
}
