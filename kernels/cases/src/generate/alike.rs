//! Calls whose tensors hold what real ones often do, of kernels that the harness knows by heart: weights that are all 1, one sign, the numbers of a model
//! that was converted from 16 bits, rows that begin and end as another does, and a parameter that is as small as a tensor is large.

use super::{
    build,
    draft::{Angles, Draft, Family, RopeTensor},
    values::{Class, Float, Values},
};
use crate::{
    case::{Case, Entry, Source},
    draw::{pick, random},
};

/// The start of their names.
pub const PREFIX: &str = "alike:";

/// Seeds of [`Class::Constant`] that are 1, 1.5 and 2.75.
const ONE: u64 = 20;
const ONE_AND_A_HALF: u64 = 22;
const OTHER: u64 = 27;
/// The exponent of gates whose sigmoid is 0 or 1: 2^43, and 2^5 or near it in f16.
const LARGE_GATE: u8 = 170;

/// Parts of the range of exponents, from each of which a parameter is taken.
const PARTS: u64 = 8;

/// The calls: `alike:`, the entry, and what is alike. Empty for a kernel that this harness has no contract for.
pub fn alike(kernel: &str, seed: u64) -> Vec<Case> {
    let Some((kernel, family)) = Family::known(kernel) else {
        return Vec::new();
    };
    let salt: u64 = kernel.bytes().map(u64::from).sum();
    let seed = random(seed, salt + 11);
    let mut cases = Vec::new();
    for entry in [Entry::Forward, Entry::Backward] {
        let calls = [
            constants(family),
            classes(),
            against(family, entry, seed),
            halfway(family),
        ]
        .concat();
        for (number, (what, change)) in (0..).zip(calls) {
            let seed = random(seed, 100 + number);
            let mut draft = Draft {
                angles: pick(seed, 1, &[Angles::Given, Angles::Tables]),
                layout: pick(seed, 2, &[0, 1]),
                backward: entry == Entry::Backward,
                ..Draft::plain(family, dimensions(family, seed), random(seed, 3))
            };
            change.make(&mut draft);
            let case = build::case(kernel, family, 0, &draft);
            if case.entry == entry {
                cases.push(named(case, &what));
            }
        }
    }
    cases.extend(rows_alike(kernel, family, seed));
    cases
}

fn named(case: Case, what: &str) -> Case {
    let entry = match case.entry {
        Entry::Forward => "",
        Entry::Backward => "gradient-",
    };
    Case {
        source: Source::Drawn,
        name: format!("{PREFIX}{entry}{what}"),
        ..case
    }
}

/// What is changed in a draft.
#[derive(Clone, Copy)]
enum Change {
    /// One tensor has one value everywhere: of [`Class::Constant`].
    Constant { tensor: usize, value: u64 },
    /// All tensors are of a class.
    All(Class),
    /// The parameter is this power of two, and a tensor holds values of an exponent, as f32 stores it.
    Against {
        scalar: f32,
        tensor: usize,
        exponent: u8,
    },
    /// Of swiglu: gates so large that their sigmoid is 0 or 1, and all others 1.5. Half of such products lie halfway between two numbers with as many
    /// bits, and say to which of them each place of the code rounds.
    Halfway,
}

impl Change {
    fn make(self, draft: &mut Draft) {
        match self {
            Change::Constant { tensor, value } => {
                draft.tensors[tensor] = Values {
                    class: Class::Constant,
                    seed: value,
                };
            }
            Change::All(class) => draft
                .tensors
                .iter_mut()
                .for_each(|tensor| tensor.class = class),
            Change::Against {
                scalar,
                tensor,
                exponent,
            } => {
                draft.scalar = scalar;
                draft.tensors[tensor].class = Class::OneSize(exponent);
            }
            Change::Halfway => {
                draft.scalar = 1.0;
                draft.tensors[1].class = Class::OneSize(LARGE_GATE);
                Change::Constant {
                    tensor: 0,
                    value: ONE_AND_A_HALF,
                }
                .make(draft);
            }
        }
    }
}

type Calls = Vec<(String, Change)>;

/// What lies halfway between two numbers in a family that multiplies two tensors.
fn halfway(family: Family) -> Calls {
    match family {
        Family::Swiglu(_) => vec![("halfway".to_owned(), Change::Halfway)],
        _ => Vec::new(),
    }
}

/// Each tensor all 1, and all 2.75.
fn constants(family: Family) -> Calls {
    let tensors = match family {
        Family::Rope(_) | Family::Pack(_) | Family::Unpack(_) => 1,
        Family::RmsNorm(_) | Family::Swiglu(_) => 3,
        Family::Lora(_) => 4,
    };
    let values = [("one", ONE), ("constant", OTHER)];
    (0..tensors)
        .flat_map(|tensor| values.map(|(what, value)| (what, tensor, value)))
        .map(|(what, tensor, value)| {
            (
                format!("{what}-{tensor}"),
                Change::Constant { tensor, value },
            )
        })
        .collect()
}

/// All tensors of one sign, or with numbers that a format of 16 bits has.
fn classes() -> Calls {
    [
        ("positive", Class::Positive),
        ("negative", Class::Negative),
        ("f16", Class::OfHalf),
        ("bf16", Class::OfBfloat),
    ]
    .map(|(what, class)| (what.to_owned(), Change::All(class)))
    .into()
}

/// A parameter and a tensor whose product is of ordinary size, from the smallest parameter to the largest: what takes a small one for 0 or cuts a large
/// one off is seen. Of gradients every second part.
fn against(family: Family, entry: Entry, seed: u64) -> Calls {
    let (float, tensor, least, largest) = match family {
        Family::Swiglu(float) => (float, 1, 1, 1),
        // Its product is with x and A too.
        Family::Lora(float) => (float, 2, 4, 4),
        _ => return Vec::new(),
    };
    let (from, to) = match float {
        Float::F32 => (-100 + least, 100 - largest),
        Float::F16 => (-14 + least, 14 - largest),
    };
    let length = (to - from) as u64;
    let step = match entry {
        Entry::Forward => 1,
        Entry::Backward => 2,
    };
    let first = random(seed, 50) % step;
    (first..PARTS)
        .step_by(step as usize)
        .map(|part| {
            let drawn = random(seed, 60 + part);
            let power = from + (part * length / PARTS + drawn % (length / PARTS)) as i32;
            let sign = [1.0, -1.0][(drawn >> 32) as usize & 1];
            let exponent = match float {
                Float::F32 => (127 - power) as u8,
                // The least one that stands for this exponent of f16.
                Float::F16 => ((14 - power) as u32 * 256).div_ceil(30).min(254) as u8,
            };
            let change = Change::Against {
                scalar: sign * f32::powi(2.0, power),
                tensor,
                exponent,
            };
            (format!("against-{power}"), change)
        })
        .collect()
}

/// Rows that are as the first one but for an element in the middle, in all tensors of rows.
fn rows_alike(kernel: &'static str, family: Family, seed: u64) -> Option<Case> {
    let (Family::RmsNorm(float) | Family::Swiglu(float)) = family else {
        return None;
    };
    let (rows, hidden) = (3, 513 + random(seed, 70) as usize % 32);
    let draft = Draft::plain(family, [rows as u32, hidden as u32, 1, 1], random(seed, 71));
    let mut case = build::case(kernel, family, 0, &draft);
    let length = hidden * float.size();
    for tensor in [&mut case.a, &mut case.b] {
        // The weights are one row.
        let (first, others) = tensor.split_at_mut(length);
        for row in others.chunks_exact_mut(length) {
            let middle = hidden / 2 * float.size()..(hidden / 2 + 1) * float.size();
            let own = row[middle.clone()].to_vec();
            row.copy_from_slice(first);
            row[middle].copy_from_slice(&own);
        }
    }
    Some(named(case, "rows"))
}

/// More than one row, and more elements in each than unrolled loops and small tiles take at once.
fn dimensions(family: Family, seed: u64) -> [u32; 4] {
    let from =
        |number: u64, least: u64, count: u64| (least + random(seed, 10 + number) % count) as u32;
    match family {
        Family::Rope(RopeTensor::Float(_)) => [1, from(0, 2, 3), from(1, 1, 3), from(2, 33, 8)],
        Family::Rope(RopeTensor::Q8) => [1, from(0, 2, 3), from(1, 1, 3), 1],
        Family::RmsNorm(_) | Family::Swiglu(_) => [from(0, 2, 2), from(1, 513, 40), 1, 1],
        Family::Pack(_) | Family::Unpack(_) => [from(0, 2, 3), from(1, 2, 3), 1, 1],
        Family::Lora(_) => [from(0, 2, 3), from(1, 65, 8), from(2, 2, 6), from(3, 65, 8)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        edge::native,
        generate::tests::answered_rightly,
        truth::{self, Verdict},
    };
    use half::f16;

    #[test]
    fn the_kernels_answer_them_rightly() {
        for kernel in &kernel_core::KERNELS {
            for seed in 0..16 {
                let cases = alike(kernel.id, seed);
                let gradients = cases.iter().any(|case| case.entry == Entry::Backward);
                assert_eq!(gradients, kernel.has_backward, "{}", kernel.id);
                answered_rightly(&cases, seed);
            }
        }
        assert!(alike("softmax_f32", 1).is_empty());
    }

    /// Half of the answers that are not 0 lie halfway, so that rounding them up where they go down is seen at each place.
    #[test]
    fn rounding_the_wrong_way_is_seen() {
        let cases = alike("swiglu_f16", 3);
        let case = cases.iter().find(|case| case.name.ends_with("halfway"));
        let case = case.unwrap();
        let answer = native::run(case).output;
        let exact = |at: usize| {
            let gate = f16::from_le_bytes([case.b[at], case.b[at + 1]]).to_f32();
            (gate > 0.0).then_some(gate * 1.5)
        };
        let places = (0..answer.len()).step_by(2);
        let between = places.filter(|&at| {
            let rounded = f16::from_le_bytes([answer[at], answer[at + 1]]);
            exact(at).is_some_and(|exact| {
                (exact - rounded.to_f32()).abs() * 2.0 == exact.log2().floor().exp2() / 1024.0
            })
        });
        assert!(between.count() * 10 > answer.len() / 2, "{}", answer.len());
    }

    /// Taking a small parameter for 0 changes the answers.
    #[test]
    fn a_small_parameter_is_seen() {
        for (kernel, at) in [("swiglu_f32", 8), ("lora_apply_f32", 16)] {
            for seed in 0..8 {
                let cases = alike(kernel, seed);
                let small = cases.iter().filter(|case| case.name.contains("against--"));
                let seen = small.filter(|case| {
                    let mut without = (*case).clone();
                    without.params[at..at + 4].fill(0);
                    let answer = native::run(&without).output;
                    !matches!(truth::judge(case, &answer), Verdict::Pass { .. })
                });
                assert!(seen.count() >= 3, "{kernel}");
            }
        }
    }
}
