//! Generated cases: shapes, parameters and values drawn from a seed, one in ten with a mistake whose status is known.
//!
//! Case number `index` of a kernel depends on the seed, the kernel and the index only. What proptest draws and shrinks is a
//! `Draft`: dimensions, and per tensor a class of values and a seed. The elements follow from those, so that
//! a tree is small whatever the tensors' size, and shrinking makes shapes smaller and classes simpler.

mod alike;
mod build;
mod corner;
mod draft;
mod envelope;
pub(crate) mod kinds;
mod large;
mod near;
mod sizes;
mod spread;
mod together;
pub(crate) mod values;

pub use alike::{PREFIX as ALIKE, alike};
pub use corner::{PREFIX as CORNER, corner};
pub use large::{PREFIX as LARGE, large};
pub use near::near;
pub use spread::{PREFIX as SPREAD, spread};
pub use together::{PREFIX as TOGETHER, together};

use super::{
    case::{Case, Entry, Source},
    draw::pick,
};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use sha2::{Digest, Sha256};

/// Generated case number `index` of a kernel, named `generated:` and the index; `None` for a kernel that this harness has no
/// contract for.
pub fn case(kernel: &str, seed: u64, index: u32) -> Option<Case> {
    tree(kernel, seed, index).map(|tree| tree.current())
}

/// A forward call of these dimensions with ordinary values, for measuring: `sized:` and the dimensions that the kernel has.
/// Dimensions are in the family's own order and units: rope batch, seq, heads, then pairs (q8: blocks) of a head; rmsnorm and
/// swiglu rows, hidden; kv rows, blocks of 32; lora rows, in, rank, out. Rope takes tables of cosines and sines, as hosts that
/// cache them do. `None` for a kernel that this harness has no contract for.
pub fn sized(kernel: &str, dimensions: [u32; 4], seed: u64) -> Option<Case> {
    let (kernel, family) = draft::Family::known(kernel)?;
    let draft = draft::Draft::plain(family, dimensions, seed);
    let used = family.dimensions();
    let shape: Vec<_> = dimensions[..used].iter().map(u32::to_string).collect();
    Some(Case {
        name: format!("sized:{}", shape.join("x")),
        ..build::case(kernel, family, 0, &draft)
    })
}

/// A call of an entry with these dimensions, counted as [`sized`] does, and ordinary values. Rope computes its angles, or takes tables. `None` for a
/// kernel that this harness has no contract for, or none for that entry.
pub fn shaped(kernel: &str, entry: Entry, dimensions: [u32; 4], seed: u64) -> Option<Case> {
    let (kernel, family) = draft::Family::known(kernel)?;
    let draft = draft::Draft {
        angles: pick(seed, 1, &[draft::Angles::Computed, draft::Angles::Tables]),
        layout: pick(seed, 2, &[0, 1]),
        backward: entry == Entry::Backward,
        ..draft::Draft::plain(family, dimensions, seed)
    };
    let case = build::case(kernel, family, 0, &draft);
    (case.entry == entry).then_some(case)
}

/// A call of small dimensions but one, counted as [`sized`] does. Rope computes its angles. `None` for a kernel that this harness has no contract
/// for, and where it has no such dimension.
pub fn with_dimension(
    kernel: &str,
    entry: Entry,
    (dimension, length): (usize, u32),
    seed: u64,
) -> Option<Case> {
    let (kernel, family) = draft::Family::known(kernel)?;
    let mut dimensions = [2; 4];
    *dimensions[..family.dimensions()].get_mut(dimension)? = length;
    let draft = draft::Draft {
        angles: draft::Angles::Computed,
        backward: entry == Entry::Backward,
        ..draft::Draft::plain(family, dimensions, seed)
    };
    Some(Case {
        name: format!("dimension-{dimension}-of-{length}"),
        ..build::case(kernel, family, 0, &draft)
    })
}

/// How many dimensions a kernel has, as [`sized`] counts them; `None` for a kernel that this harness has no contract for.
pub fn dimensions(kernel: &str) -> Option<usize> {
    Some(draft::Family::known(kernel)?.1.dimensions())
}

/// Case number `index` of those that a run draws for itself, of the shapes and parameters of real models, named `drawn:` and the index.
pub fn drawn(kernel: &str, seed: u64, index: u32) -> Option<Case> {
    drawn_tree(kernel, seed, index).map(|tree| tree.current())
}

/// A case with its simplifications.
pub type Tree = Box<dyn ValueTree<Value = Case>>;

/// The same case as [`case`] with its simplifications.
pub fn tree(kernel: &str, seed: u64, index: u32) -> Option<Tree> {
    let (kernel, family) = draft::Family::known(kernel)?;
    let mut runner = runner("", kernel, seed, index);
    let tree = draft::drafts(family)
        .prop_map(move |draft| build::case(kernel, family, index, &draft))
        .new_tree(&mut runner)
        .ok()?;
    Some(Box::new(tree))
}

/// The same case as [`drawn`] with its simplifications.
pub fn drawn_tree(kernel: &str, seed: u64, index: u32) -> Option<Tree> {
    let (kernel, family) = draft::Family::known(kernel)?;
    let mut runner = runner("drawn", kernel, seed, index);
    // One kernel in four: what is large takes time, and the next run has others.
    let large = digest("large", kernel, seed, 0)[0].is_multiple_of(4);
    let tree = envelope::drafts(family, index, large)
        .prop_map(move |draft| Case {
            source: Source::Drawn,
            name: format!("drawn:{index}"),
            ..build::case(kernel, family, index, &draft)
        })
        .new_tree(&mut runner)
        .ok()?;
    Some(Box::new(tree))
}

/// `domain` is empty for the cases of the fixed seed, which others compare with.
fn digest(domain: &str, kernel: &str, seed: u64, index: u32) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(domain);
    hasher.update(seed.to_le_bytes());
    hasher.update(index.to_le_bytes());
    hasher.update(kernel);
    hasher.finalize().into()
}

fn runner(domain: &str, kernel: &str, seed: u64, index: u32) -> TestRunner {
    let digest = digest(domain, kernel, seed, index);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &digest);
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, rng)
}

#[cfg(test)]
mod tests;
