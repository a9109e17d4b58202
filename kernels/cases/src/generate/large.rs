//! Large calls of kernels that the harness knows by heart, whose sizes are what code counts wrongly: a rest of each length behind long rows, rows and tensors
//! of exact powers of two, products of dimensions that no tensor has and 32 bits do not hold, and gradients of such sizes.

mod also;

use super::{
    build,
    draft::{Angles, Draft, Family, RopeTensor},
};
use crate::{
    case::{Case, Source},
    draw::{pick, random},
    edge,
};

/// The start of their names.
pub const PREFIX: &str = "large:";

/// Lengths of rows behind which a rest of each length is asked. Halves of them are multiples of 32 too.
const LONG_ROWS: [u32; 2] = [2048, 1216];
/// As many elements as the widest unrolled loops take at once.
const RESTS: u32 = 32;
/// The same of rows of two matrices at once.
const RESTS_OF_MATRICES: u32 = 8;
/// The same in blocks of 32.
const RESTS_OF_BLOCKS: u32 = 4;
/// What 16 bits do not count.
const BEYOND_16_BITS: u32 = 1 << 16;

/// The calls, named `large:`, what is large, and the dimensions: `rest`, `row`, `whole`, `product`, `signed`, `one-less`, `model`, `specials`, and of
/// gradients `backward-rest`, `backward-product`, `backward-signed`, `backward-specials`, `gradient`. Behind them the edge cases of zeros that meet what is no
/// number, once more and longer, under their own names. Empty for a kernel that this harness has no contract for.
pub fn large(kernel: &str, seed: u64) -> Vec<Case> {
    let Some((kernel, family)) = Family::known(kernel) else {
        return Vec::new();
    };
    let salt: u64 = kernel.bytes().map(u64::from).sum();
    let seed = random(seed, salt + 9);
    let kinds = [
        ("rest", rests(family, seed)),
        ("row", rows(family)),
        ("whole", whole(family, seed)),
        ("product", products(family, seed)),
        ("backward-rest", gradients_with_rests(family, seed)),
        ("backward-product", gradient_of_product(family)),
        ("gradient", gradients(family, seed)),
        ("signed", also::signed(family)),
        ("backward-signed", also::gradient_of_signed(family)),
        ("one-less", also::one_less(family, seed)),
        ("model", also::models(family)),
        ("specials", also::specials(family)),
        ("backward-specials", also::gradients_with_specials(family)),
    ];
    let calls = kinds
        .into_iter()
        .flat_map(|(what, shapes)| shapes.into_iter().map(move |shape| (what, shape)));
    let zeros = edge::long_zeros(kernel).into_iter().map(|case| Case {
        source: Source::Drawn,
        name: case.name.replacen("edge:", PREFIX, 1),
        ..case
    });
    (0..)
        .zip(calls)
        .map(|(number, (what, dimensions))| {
            let seed = random(seed, 1000 + number);
            let mut draft = Draft {
                angles: pick(seed, 1, &[Angles::Computed, Angles::Given, Angles::Tables]),
                layout: pick(seed, 2, &[0, 1]),
                backward: what == "gradient" || what.starts_with("backward"),
                ..Draft::plain(family, dimensions, seed)
            };
            if what.ends_with("specials") {
                also::strew(family, &mut draft);
            }
            let used = &dimensions[..family.dimensions()];
            let shape: Vec<String> = used.iter().map(u32::to_string).collect();
            Case {
                source: Source::Drawn,
                name: format!("{PREFIX}{what}-{}", shape.join("x")),
                ..build::case(kernel, family, 0, &draft)
            }
        })
        .chain(zeros)
        .collect()
}

/// Long rows with each rest: in every run each of 16 behind either length, and each of 32 behind one of them. Rows of blocks have few.
fn rests(family: Family, seed: u64) -> Vec<[u32; 4]> {
    let [long, shorter] = LONG_ROWS;
    let flip = random(seed, 0) as u32 & 1;
    let lengths = |unit: u32| {
        (0..RESTS).map(move |rest| match (rest / (RESTS / 2)) ^ flip {
            0 => long / unit + rest,
            _ => shorter / unit + rest,
        })
    };
    let blocks = || {
        let few = (0..RESTS_OF_BLOCKS).map(move |rest| long / 32 + rest);
        few.chain([shorter / 32 + flip])
    };
    match family {
        Family::Rope(RopeTensor::Float(_)) => lengths(2).map(|pairs| [1, 1, 1, pairs]).collect(),
        Family::Rope(RopeTensor::Q8) => blocks().map(|blocks| [1, 1, 1, blocks]).collect(),
        Family::RmsNorm(_) | Family::Swiglu(_) => lengths(1).map(|row| [1, row, 1, 1]).collect(),
        Family::Pack(_) | Family::Unpack(_) => blocks().map(|row| [1, row, 1, 1]).collect(),
        // Rows of x and of the output at once, of each of eight rests.
        Family::Lora(_) => (0..RESTS_OF_MATRICES)
            .map(|rest| {
                let upper = |number: u64| random(seed, number + u64::from(rest)) as u32 & 8;
                let input = long + rest + upper(10);
                let output = shorter + (5 * rest + flip) % 8 + upper(20);
                match flip {
                    0 => [1, input, 2, output],
                    _ => [1, output, 2, input],
                }
            })
            .collect(),
    }
}

/// The same of gradients: each rest of a division by 16 behind one of the lengths, which the seed says, or of matrices behind two.
fn gradients_with_rests(family: Family, seed: u64) -> Vec<[u32; 4]> {
    match family {
        Family::RmsNorm(_) | Family::Swiglu(_) => {
            let long = pick(seed, 400, &LONG_ROWS);
            (0..RESTS / 2).map(|rest| [1, long + rest, 1, 1]).collect()
        }
        Family::Lora(_) => rests(family, random(seed, 400)),
        Family::Rope(_) | Family::Pack(_) | Family::Unpack(_) => Vec::new(),
    }
}

/// Two rows of every power of two, of the longest one.
fn rows(family: Family) -> Vec<[u32; 4]> {
    match family {
        Family::Rope(RopeTensor::Float(_)) => (5..=10).map(|bits| [1, 1, 2, 1 << bits]).collect(),
        Family::Rope(RopeTensor::Q8) => (1..=6).map(|bits| [1, 1, 2, 1 << bits]).collect(),
        Family::RmsNorm(_) | Family::Swiglu(_) => {
            let two = (6..=13).map(|bits| [2, 1 << bits, 1, 1]);
            two.chain([[1, 1 << 14, 1, 1]]).collect()
        }
        Family::Pack(_) | Family::Unpack(_) => (1..=7).map(|bits| [2, 1 << bits, 1, 1]).collect(),
        Family::Lora(_) => (6..=11)
            .map(|bits| [2, 1 << bits, 2, 1 << (17 - bits)])
            .collect(),
    }
}

/// As many elements as 2^16, or in one run of four as 2^17, in rows of any power of two. Of blocks, which take little time, always 2^17: they are counted
/// in 32.
fn whole(family: Family, seed: u64) -> Vec<[u32; 4]> {
    let bits = match family {
        Family::Pack(_) | Family::Unpack(_) => 17,
        _ => pick(seed, 100, &[16, 16, 16, 17]),
    };
    let part = |number: u64, from: u32, to: u32| {
        from + (random(seed, 101 + number) % u64::from(to - from + 1)) as u32
    };
    let four = |unit: u32, [units, heads]: [u32; 2]| {
        let left = bits - unit - units - heads;
        let batch = part(2, 0, 1);
        vec![[1 << batch, 1 << (left - batch), 1 << heads, 1 << units]]
    };
    let two = |unit: u32, row: u32| vec![[1 << (bits - unit - row), 1 << row, 1, 1]];
    match family {
        Family::Rope(RopeTensor::Float(_)) => four(1, [part(0, 5, 7), part(1, 0, 5)]),
        Family::Rope(RopeTensor::Q8) => four(5, [part(0, 1, 3), part(1, 0, 4)]),
        Family::RmsNorm(_) | Family::Swiglu(_) => two(0, part(0, 6, 12)),
        Family::Pack(_) | Family::Unpack(_) => two(5, part(0, 1, 7)),
        // Those whose product is 2^32 have such tensors.
        Family::Lora(_) => Vec::new(),
    }
}

/// Dimensions whose product is 2^32, or right above that, where no tensor has all of them: an adapter's alone. Of the first two all tensors have 2^16
/// elements, or two of them 2^17; of the first one the product of some dimensions is 2^32 too, of the other one only that of all or of three. A product of
/// rows, rank and one more is as many multiplications, which nobody waits for.
fn products(family: Family, seed: u64) -> Vec<[u32; 4]> {
    let Family::Lora(_) = family else {
        return Vec::new();
    };
    let (large, half) = (BEYOND_16_BITS, BEYOND_16_BITS / 2);
    let exact = [[2, half, 2, half], [4, half, 1, half], [1, half, 4, half]];
    let mut products = vec![[1, large, 1, large], pick(seed, 200, &exact)];
    // In every second run.
    if pick(seed, 204, &[false, true]) {
        let [rows, rank] = [201, 202].map(|number| pick(seed, number, &[1, 2]));
        let input = large / rows.max(rank) - random(seed, 203) as u32 % 1000;
        let output = ((1 << 32) / u64::from(rows * input * rank)) as u32 + 1;
        products.push([rows, input, rank, output]);
    }
    products
}

/// The first of these products.
fn gradient_of_product(family: Family) -> Vec<[u32; 4]> {
    match family {
        Family::Lora(_) => vec![[1, BEYOND_16_BITS, 1, BEYOND_16_BITS]],
        _ => Vec::new(),
    }
}

/// Gradients of 2^16 elements, and of some more, in few rows and in many.
fn gradients(family: Family, seed: u64) -> Vec<[u32; 4]> {
    let row = 6 + random(seed, 300) as u32 % 7;
    let rest = 1 + random(seed, 301) as u32 % 63;
    let rows = pick(seed, 302, &[1, 3, 17]);
    let large = BEYOND_16_BITS;
    let more = pick(seed, 303, &[0, rest]);
    match family {
        Family::RmsNorm(_) | Family::Swiglu(_) => {
            let long = pick(
                seed,
                304,
                &[
                    [large >> row, 1 << row, 1, 1],
                    [rows, (large + rest) / rows + 1, 1, 1],
                ],
            );
            vec![long, [large + rest, 1, 1, 1]]
        }
        Family::Lora(_) => vec![
            [1, large + more, 1, 1 + rest],
            [1, 1 + rest, 1, large + rest - more],
        ],
        Family::Rope(_) | Family::Pack(_) | Family::Unpack(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        case::Entry,
        edge::native,
        generate::tests::{answered_rightly, shapes_of},
        truth::{self, Verdict},
    };
    use std::collections::BTreeSet;

    /// The dimensions of calls in which this is large.
    fn shapes(cases: &[Case], what: &str) -> Vec<Vec<u64>> {
        shapes_of(cases, &format!("{PREFIX}{what}-"))
    }

    #[test]
    fn the_kernels_answer_them_rightly() {
        for kernel in &kernel_core::KERNELS {
            for seed in 0..4 {
                let cases = large(kernel.id, seed);
                assert_eq!(cases, large(kernel.id, seed));
                let (_, others): (Vec<Case>, Vec<Case>) = cases
                    .into_iter()
                    .partition(|case| case.name.contains("specials-"));
                answered_rightly(&others, seed);
            }
        }
        assert!(large("softmax_f32", 1).is_empty());
    }

    /// Beside each other some values have no truth, which leaves all others.
    #[test]
    fn the_kernels_answer_strewn_specials_rightly_whatever_the_seed() {
        for kernel in &kernel_core::KERNELS {
            for seed in 0..16 {
                let mut cases = large(kernel.id, seed);
                cases.retain(|case| case.name.contains("specials-"));
                let gradient = cases.iter().any(|case| case.entry == Entry::Backward);
                assert_eq!(gradient, kernel.has_backward, "{}", kernel.id);
                for case in cases {
                    let ran = native::run(&case);
                    let of = format!("{} {} {seed}", kernel.id, case.name);
                    assert_eq!((ran.status, ran.violation), (0, None), "{of}");
                    match truth::judge(&case, &ran.output) {
                        Verdict::Pass { .. } => {}
                        Verdict::NotApplicable(why) if why.ends_with("all others pass") => {}
                        verdict => panic!("{of}: {verdict:?}"),
                    }
                }
            }
        }
    }

    #[test]
    fn long_rows_have_each_rest_in_every_run() {
        for kernel in &kernel_core::KERNELS {
            for seed in 0..8 {
                let rests = shapes(&large(kernel.id, seed), "rest");
                let (unit, every, count) = match kernel.id {
                    "rope_f32" | "rope_f16" => (2, 32, 16),
                    id if id.starts_with("kv") || id == "rope_q8" => (32, 4, 1),
                    id if id.starts_with("lora") => (1, 8, 8),
                    _ => (1, 32, 16),
                };
                let of = |long: &[u32], by: u64| -> usize {
                    let lengths = rests.iter().flatten().copied();
                    let behind = |length: u64| {
                        let starts = long.iter().map(|long| u64::from(long / unit));
                        let rest = starts.filter_map(|start| length.checked_sub(start)).min()?;
                        (rest < 32).then_some(length % by)
                    };
                    lengths.filter_map(behind).collect::<BTreeSet<u64>>().len()
                };
                assert_eq!(of(&LONG_ROWS, every), every as usize, "{}", kernel.id);
                for long in LONG_ROWS {
                    assert!(of(&[long], every) >= count, "{}: {long}", kernel.id);
                }
            }
        }
    }

    #[test]
    fn tensors_are_exact_multiples_of_large_powers_of_two() {
        for kernel in &kernel_core::KERNELS {
            let mut elements = BTreeSet::new();
            for seed in 0..32 {
                let cases = large(kernel.id, seed);
                let (what, number) = match kernel.id.starts_with("lora") {
                    true => ("product", 1),
                    false => ("whole", 0),
                };
                let start = format!("{PREFIX}{what}");
                let mut whole = cases.iter().filter(|case| case.name.starts_with(&start));
                let bytes = whole.nth(number).unwrap().a.len();
                elements.insert(match kernel.id {
                    "rope_q8" | "kv_unpack_q8" => bytes / 34 * 32,
                    "kv_unpack_q4" => bytes / 18 * 32,
                    id if id.ends_with("f16") => bytes / 2,
                    _ => bytes / 4,
                });
            }
            elements.remove(&(1 << 15));
            if kernel.id.starts_with("kv") {
                elements.insert(1 << 16);
            }
            assert_eq!(
                elements,
                BTreeSet::from([1 << 16, 1 << 17]),
                "{}",
                kernel.id
            );
        }
    }

    /// Every definition whose axes are not all those of one tensor.
    #[test]
    fn dimensions_that_share_no_tensor_have_products_beyond_32_bits() {
        for definition in kernel_pack::contract::definitions() {
            let contract = definition.contract().unwrap();
            let arrays = contract.inputs.iter().chain(&contract.outputs);
            let tensors: Vec<String> = arrays.map(|array| format!("{:?}", array.shape)).collect();
            let of_tensor = |shape: &String| contract.axes.keys().all(|axis| shape.contains(axis));
            let shared = tensors.iter().any(of_tensor);
            let mut above = 0;
            for seed in 0..16 {
                let products = shapes(&large(&definition.kernel, seed), "product");
                assert_eq!(products.is_empty(), shared, "{}", definition.kernel);
                let mut products = products.iter().map(|shape| shape.iter().product::<u64>());
                let exact: Vec<u64> = products.by_ref().take(2).collect();
                assert!(exact.iter().all(|exact| *exact == 1 << 32));
                for product in products {
                    let right_above = (1 << 32) + 1..(1 << 32) + (1 << 19);
                    assert!(right_above.contains(&product), "{product}");
                    above += 1;
                }
            }
            assert_eq!(above == 0, shared, "{}", definition.kernel);
        }
    }

    #[test]
    fn gradients_are_beyond_16_bits_with_a_rest_or_without() {
        for kernel in &kernel_core::KERNELS {
            let mut rests = BTreeSet::new();
            for seed in 0..16 {
                let cases = large(kernel.id, seed);
                let is_gradient = |case: &&Case| case.entry == Entry::Backward;
                let gradients = cases.iter().filter(is_gradient).count();
                let others = ["rest", "product", "signed", "specials"]
                    .map(|what| shapes(&cases, &format!("backward-{what}")).len());
                let lora = kernel.id.starts_with("lora");
                let size = |shape: &Vec<u64>| match lora {
                    true => shape[1].max(shape[3]),
                    false => shape.iter().product(),
                };
                let sizes: Vec<u64> = shapes(&cases, "gradient").iter().map(size).collect();
                let zeros = edge::long_zeros(kernel.id);
                let others =
                    others.iter().sum::<usize>() + zeros.iter().filter(is_gradient).count();
                assert_eq!(gradients, sizes.len() + others);
                assert!(sizes.iter().all(|size| *size >= 1 << 16), "{}", kernel.id);
                rests.extend(sizes.into_iter().map(|size| size & 0xffff > 0));
            }
            let kinds = if kernel.has_backward { 2 } else { 0 };
            assert_eq!(rests.len(), kinds, "{}", kernel.id);
        }
    }
}
