//! Shapes of large calls besides exact ones: products with the sign bit, sizes that are one less than a power of two, several dimensions of models at once,
//! and tensors in which values of every kind are strewn.

use super::super::{
    draft::{Draft, Family, RopeTensor},
    values::Class,
};
use crate::draw::random;

/// One less than what counters of 8, 12 and 16 bits hold.
const ONE_LESS: [u32; 3] = [(1 << 8) - 1, (1 << 12) - 1, (1 << 16) - 1];

/// A product between 2^31 and 2^32, which a signed number takes for negative: of all dimensions and of two.
pub(super) fn signed(family: Family) -> Vec<[u32; 4]> {
    match family {
        Family::Lora(_) => vec![[1, 50_000, 1, 50_000]],
        _ => Vec::new(),
    }
}

/// The same of all dimensions alone.
pub(super) fn gradient_of_signed(family: Family) -> Vec<[u32; 4]> {
    match family {
        Family::Lora(_) => vec![[2, 30_000, 1, 40_000]],
        _ => Vec::new(),
    }
}

/// Each dimension at one less than 2^8 and 2^12, of several tensors of an adapter in one call; of blocks of 32 one dimension alone is so long, and of rope
/// of blocks none. One dimension at one less than 2^16, as the run's own seed says, but for blocks. Numbers of elements come with them.
pub(super) fn one_less(family: Family, seed: u64) -> Vec<[u32; 4]> {
    let [byte, twelve, word] = ONE_LESS;
    let drawn = |dimensions: usize| random(seed, 500) as usize % dimensions;
    match family {
        Family::Rope(RopeTensor::Float(_)) => {
            let alone = |axis: usize, length: u32| with([1; 4], axis, length);
            let mut shapes: Vec<_> = (0..4).map(|axis| with([2; 4], axis, byte)).collect();
            shapes.extend((0..4).map(|axis| alone(axis, twelve)));
            shapes.push(alone(drawn(4), word));
            shapes
        }
        Family::Rope(RopeTensor::Q8) => (0..4).map(|axis| with([1; 4], axis, byte)).collect(),
        Family::RmsNorm(_) | Family::Swiglu(_) => {
            let mut shapes = vec![
                [1, byte, 1, 1],
                [byte, 64, 1, 1],
                [1, twelve, 1, 1],
                [twelve, 3, 1, 1],
                [1, word, 1, 1],
            ];
            // In one run of four: it takes as long as all others.
            if drawn(4) == 0 {
                shapes.push([word, 1, 1, 1]);
            }
            shapes
        }
        Family::Pack(_) | Family::Unpack(_) => vec![
            [1, byte, 1, 1],
            [byte, 1, 1, 1],
            with([1; 4], drawn(2), twelve),
        ],
        Family::Lora(_) => {
            let longest = [[word, 1, 1, 1], [1, word, 1, word], [1, 1, word, 1]];
            vec![
                [byte, 3, 2, 5],
                [2, byte, 2, byte],
                [1, 2, byte, 3],
                [twelve, 1, 1, 2],
                [1, twelve, 1, twelve],
                [1, 1, twelve, 2],
                longest[drawn(longest.len())],
            ]
        }
    }
}

fn with(mut dimensions: [u32; 4], axis: usize, length: u32) -> [u32; 4] {
    dimensions[axis] = length;
    dimensions
}

/// Several dimensions of a model at once: a few texts at a time, numbers of heads that are no multiple of 4, the adapter of a hidden size of 4096, a rank of 128.
pub(super) fn models(family: Family) -> Vec<[u32; 4]> {
    match family {
        Family::Rope(RopeTensor::Float(_)) => {
            vec![[4, 2, 8, 32], [8, 1, 8, 32], [1, 2, 14, 32], [2, 4, 8, 64]]
        }
        Family::Rope(RopeTensor::Q8) => {
            vec![[4, 2, 8, 2], [8, 1, 8, 2], [1, 2, 14, 2], [2, 4, 8, 4]]
        }
        Family::RmsNorm(_) | Family::Swiglu(_) => vec![[4, 8192, 1, 1]],
        Family::Lora(_) => vec![[1, 4096, 16, 4096], [4, 256, 128, 256]],
        Family::Pack(_) | Family::Unpack(_) => Vec::new(),
    }
}

/// 65536 elements, in rows of 4096 where rows are long.
pub(super) fn specials(family: Family) -> Vec<[u32; 4]> {
    match family {
        Family::Rope(RopeTensor::Float(_)) => vec![[1, 16, 32, 64]],
        Family::Rope(RopeTensor::Q8) => vec![[1, 16, 32, 4]],
        Family::RmsNorm(_) | Family::Swiglu(_) => vec![[16, 4096, 1, 1]],
        Family::Pack(_) | Family::Unpack(_) => vec![[16, 128, 1, 1]],
        Family::Lora(_) => vec![[16, 64, 2, 4096]],
    }
}

/// 16384 elements of x.
pub(super) fn gradients_with_specials(family: Family) -> Vec<[u32; 4]> {
    match family {
        Family::RmsNorm(_) => vec![[16, 1024, 1, 1]],
        Family::Swiglu(_) => vec![[4, 4096, 1, 1]],
        Family::Lora(_) => vec![[16, 1024, 2, 32]],
        Family::Rope(_) | Family::Pack(_) | Family::Unpack(_) => Vec::new(),
    }
}

/// Strews special values and exponents into tensors, 32 elements at a time. Where one NaN makes a row NaN, each row has one kind, so that others tell something,
/// and only one tensor has them.
pub(super) fn strew(family: Family, draft: &mut Draft) {
    let [_, row, ..] = draft.dimensions;
    let (tensors, length): (&[usize], u32) = match family {
        Family::Swiglu(_) => (&[0, 1], 32),
        Family::RmsNorm(_) => (&[0], row),
        // x of gradients; otherwise the base, which nothing is multiplied with.
        Family::Lora(_) if draft.backward => (&[0], row),
        Family::Lora(_) => (&[3], 32),
        Family::Rope(RopeTensor::Float(_)) | Family::Pack(_) => (&[0], 32),
        // Scales of blocks.
        Family::Rope(RopeTensor::Q8) | Family::Unpack(_) => (&[0], 1),
    };
    for tensor in tensors {
        draft.tensors[*tensor].class = Class::Strewn(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn signed_products_have_the_sign_bit() {
        for kernel in &kernel_core::KERNELS {
            let (_, family) = Family::known(kernel.id).unwrap();
            let shapes = [signed(family), gradient_of_signed(family)].concat();
            let is_lora = matches!(family, Family::Lora(_));
            assert_eq!(!shapes.is_empty(), is_lora, "{}", kernel.id);
            for shape in shapes {
                let product: u64 = shape.iter().copied().map(u64::from).product();
                assert!((1 << 31..1 << 32).contains(&product), "{shape:?}");
            }
        }
    }

    /// In each run the shortest ones, over runs all that the family has.
    #[test]
    fn each_dimension_is_one_less() {
        for kernel in &kernel_core::KERNELS {
            let (_, family) = Family::known(kernel.id).unwrap();
            let lengths = match family {
                Family::Rope(RopeTensor::Q8) => 1,
                Family::Pack(_) | Family::Unpack(_) => 2,
                _ => 3,
            };
            let mut over_runs = BTreeSet::new();
            for seed in 0..64 {
                let shapes = one_less(family, seed);
                for axis in 0..family.dimensions() {
                    let has = |length: u32| shapes.iter().any(|shape| shape[axis] == length);
                    assert!(has(ONE_LESS[0]), "{} {axis}", kernel.id);
                    let found = ONE_LESS.into_iter().filter(|length| has(*length));
                    over_runs.extend(found.map(|length| (axis, length)));
                }
            }
            assert_eq!(
                over_runs.len(),
                lengths * family.dimensions(),
                "{}",
                kernel.id
            );
        }
    }
}
