//! Which calls the sequences of a module make.

use super::{ends, kept, varied};
use crate::conform::{
    placement::{self, Anchor, Listed},
    subject::{Prepared, Subject},
};
use crate::machine;
use fastrand::Rng;
use kernel_abi::Status;
use kernel_cases::{
    case::{Case, Entry},
    near,
    vary::Variation,
};
use runtime_call::Part;

/// What the names of sequences begin with.
pub const PREFIX: &str = "sequence:";
/// Calls of the longest sequence, at least, unless asked otherwise.
const CALLS: usize = 256;
/// The same where a deep run was asked for.
const DEEP_CALLS: usize = 3000;
/// Calls of each shorter sequence.
const SHORT_CALLS: usize = 24;
/// Calls of one case after the other that nothing is looked at between; ten times as many where a deep run was asked for.
const MANY_CALLS: usize = 1024;
/// Tensors of a call that is made so often and is not the smallest one, about.
const REPEATED_BYTES: usize = 1 << 10;
/// The same of one that is made an eighth as often, by engines that compile.
const LARGE_REPEATED_BYTES: usize = 96 << 10;
/// Rounds of calls at one place.
const ROUNDS: usize = 16;
/// Tensors of a case that is called once only, at the end of the longest sequence.
pub(super) const LARGE_BYTES: usize = 128 << 10;
/// Small calls behind each large one.
const AFTER_LARGE: usize = 2;
/// Tensors of a case that is tried at each place.
const PLACED_BYTES: usize = 16 << 10;
/// The same of one that is tried over the end of a page, where larger tensors often lie.
const ACROSS_BYTES: usize = 1 << 10;
/// What arenas align their tensors by: pages of most machines, and of WebAssembly.
const ALIGNMENTS: [u32; 2] = [0x1000, 0x1_0000];
/// Memory from which on it is large: 8 MiB.
const MANY_PAGES: u32 = 128;

/// A sequence of calls.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// `sequence:` and a number or a word.
    pub name: String,
    pub(super) init: Init,
    pub(super) steps: Vec<Step>,
    /// How many of them engines that interpret are asked.
    pub(super) interpreted: usize,
    /// What follows from it is after which steps memory is compared as a whole.
    pub(super) checks: u64,
}

/// What `kernel_init` is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Init {
    /// No parameters.
    None,
    /// Those of a case.
    Of(usize),
    /// Each step has an instance of its own.
    Each,
}

/// A call, or what happens between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A case at the drawn place of one that has the same sizes, most often itself, with other bytes around and in its regions.
    Case { index: usize, of: usize, seed: u64 },
    /// A case at its drawn place so many times, one call right after the other.
    Many {
        index: usize,
        seed: u64,
        count: usize,
    },
    /// A case at a place that every run has.
    Listed { index: usize, listed: Listed },
    /// A case in a memory of so many pages.
    Far {
        index: usize,
        listed: Listed,
        pages: u32,
    },
    /// So many calls that differ from a case, or from a made one, in numbers alone, on an instance of their own, and once more in another order on another one.
    Varied {
        entry: Entry,
        index: Option<usize>,
        seed: u64,
        variation: Variation,
        count: u32,
    },
    /// Calls of a case and of some that differ from it, at one place and on one instance, where output and scratch stay as the last call left
    /// them; then by turns with calls of another entry, which lie over the same inputs.
    Kept { base: kept::Base, seed: u64 },
    /// Calls in which one axis grows, on an instance of their own, and in the other order on another one.
    Growing { axis: usize, seed: u64 },
    /// Calls of each rest that an axis leaves, with each region last in memory.
    Ends {
        entry: Entry,
        axis: usize,
        seed: u64,
    },
    /// `kernel_info`, so many bytes above the heap base.
    Info { above: u32 },
    /// The host grows memory by a page.
    Grow,
}

/// The sequences of a module with these cases.
pub fn plan(cases: &[Prepared], subject: &Subject, seed: u64, deep: bool) -> Vec<Sequence> {
    if !cases.iter().any(|prepared| prepared.case.expects_output()) {
        return Vec::new();
    }
    let mut random = placement::random(seed, &[&subject.kernel, "sequences"]);
    let small: Vec<usize> = (0..cases.len())
        .filter(|&index| room(&cases[index].case) <= LARGE_BYTES)
        .collect();
    let init = initial(cases, &mut random);
    let (steps, round) = all(cases, &small, deep, &mut random);
    let for_interpreters = if deep { steps.len() } else { round };
    let mut sequences = vec![("0", init, steps)];
    let inits = [
        ("1", Init::None),
        ("2", initial(cases, &mut random)),
        ("3", initial(cases, &mut random)),
    ];
    for (name, init) in inits {
        let mut steps = Vec::new();
        while steps.len() < SHORT_CALLS && !small.is_empty() {
            let index = one_of(&small, &mut random);
            step(&mut steps, index, &mut random);
        }
        sequences.push((name, init, steps));
    }
    let across = placed(cases, ACROSS_BYTES, &mut random);
    let placed = placed(cases, PLACED_BYTES, &mut random);
    sequences.extend([
        (
            "places",
            Init::None,
            places(cases, &placed, &across, &mut random),
        ),
        ("same-place", Init::None, same_place(cases, &mut random)),
        ("neighbours", Init::None, neighbours(cases, &mut random)),
        (
            "many",
            initial(cases, &mut random),
            many(cases, &small, deep, &mut random),
        ),
        ("far", Init::Each, far(&placed, subject, &mut random)),
        ("varied", Init::Each, varied::plan(cases, &mut random)),
        ("kept", Init::Each, kept::plan(cases, subject, &mut random)),
        ("growing", Init::Each, varied::growing(subject, &mut random)),
        ("ends", Init::Each, ends::plan(subject, &mut random)),
    ]);
    sequences.retain(|(_, _, steps)| !steps.is_empty());
    let named = sequences.into_iter().map(|(name, init, steps)| Sequence {
        interpreted: match name {
            "0" => for_interpreters,
            _ => steps.len(),
        },
        name: format!("{PREFIX}{name}"),
        init,
        steps,
        checks: random.u64(..),
    });
    named.collect()
}

/// Bytes of a case's tensors.
pub(in crate::conform) fn bytes(case: &Case) -> usize {
    case.a.len() + case.b.len() + case.output_size as usize
}

/// The same with scratch, which takes as long to move.
pub(super) fn room(case: &Case) -> usize {
    bytes(case) + case.scratch_size as usize
}

pub(super) fn one_of(indices: &[usize], random: &mut Rng) -> usize {
    indices[placement::index(random, indices.len())]
}

/// Whether the kernel takes a case, and its descriptor is what the host placed.
pub(super) fn is_plain(case: &Case) -> bool {
    case.expects_output() && case.tweaks.is_empty()
}

/// The parameters of a case that is taken, if there is one.
fn initial(cases: &[Prepared], random: &mut Rng) -> Init {
    let plain: Vec<usize> = (0..cases.len())
        .filter(|&index| is_plain(&cases[index].case) && !cases[index].case.params.is_empty())
        .collect();
    match plain.len() {
        0 => Init::None,
        _ => Init::Of(one_of(&plain, random)),
    }
}

/// A case at its own place, and now and then something before it.
pub(super) fn step(steps: &mut Vec<Step>, index: usize, random: &mut Rng) {
    match random.u32(..32) {
        0 => steps.push(Step::Info {
            above: random.u32(..1024) * 4,
        }),
        1 => steps.push(Step::Grow),
        _ => {}
    }
    steps.push(at_place_of(index, index, random));
}

fn at_place_of(of: usize, index: usize, random: &mut Rng) -> Step {
    Step::Case {
        index,
        of,
        seed: random.u64(..),
    }
}

/// All small cases in a drawn order, again in another one, and so on; then the large ones, because memory does not shrink again, with small
/// ones behind each. Also as many of the steps as call each small case once, but no fewer than are asked.
fn all(cases: &[Prepared], small: &[usize], deep: bool, random: &mut Rng) -> (Vec<Step>, usize) {
    let calls = if deep { DEEP_CALLS } else { CALLS };
    let mut steps = Vec::new();
    let mut round = small.to_vec();
    let mut once = 0;
    for number in 0.. {
        if number == 1 {
            once = steps.len();
        }
        if small.is_empty() || number >= 2 && steps.len() >= calls {
            break;
        }
        placement::shuffle(random, &mut round);
        for &index in &round {
            step(&mut steps, index, random);
        }
    }
    let mut large: Vec<usize> = (0..cases.len())
        .filter(|index| !small.contains(index))
        .collect();
    placement::shuffle(random, &mut large);
    for index in large {
        step(&mut steps, index, random);
        for _ in 0..AFTER_LARGE.min(small.len()) {
            step(&mut steps, one_of(small, random), random);
        }
    }
    let once = once.max(calls).min(steps.len());
    (steps, once)
}

/// One forward and one backward case of so many bytes at most that show much wherever they lie.
fn placed(cases: &[Prepared], most_bytes: usize, random: &mut Rng) -> Vec<usize> {
    let chosen = |entry: Entry, random: &mut Rng| {
        let fit = |case: &Case| case.entry == entry && is_plain(case) && room(case) <= most_bytes;
        // Sizes that are multiples of 16 end where the next region begins.
        let whole = |case: &Case| {
            let sizes = [case.a.len(), case.b.len(), case.output_size as usize];
            sizes.iter().filter(|size| **size % 16 == 0).count()
        };
        let present =
            |case: &Case| usize::from(!case.b.is_empty()) + usize::from(case.scratch_size > 0);
        let fitting = (0..cases.len()).filter(|&index| fit(&cases[index].case));
        fitting.max_by_key(|&index| {
            let case = &cases[index].case;
            (whole(case) + 2 * present(case), random.u32(..))
        })
    };
    let entries = [Entry::Forward, Entry::Backward];
    entries
        .into_iter()
        .filter_map(|entry| chosen(entry, random))
        .collect()
}

/// Cases at each of the places that every run has. Those that take more memory come last, because all of memory is compared after each.
fn places(cases: &[Prepared], placed: &[usize], across: &[usize], random: &mut Rng) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut beyond = Vec::new();
    for &index in placed {
        let entry = cases[index].case.entry;
        let mut smaller = across.iter().copied();
        let smaller = smaller.find(|&other| cases[other].case.entry == entry);
        for order in 0..Listed::ORDERS {
            let [above, by] = [(); 2].map(|()| 0x1_0000 + 16 * random.u32(..512));
            // Each part is over the end of a page once.
            let across = Anchor::AcrossPages(Part::ALL[order % Part::ALL.len()]);
            let apart = Listed::apart(order, above, by);
            let smaller = smaller.unwrap_or(index);
            for (index, anchor) in [
                (index, Anchor::HeapBase),
                (index, Anchor::MemoryEnd),
                (smaller, across),
                (index, apart),
            ] {
                let listed = Listed {
                    order,
                    anchor,
                    seed: random.u64(..),
                };
                let steps = if anchor == apart {
                    &mut beyond
                } else {
                    &mut steps
                };
                steps.push(Step::Listed { index, listed });
            }
        }
        for to in ALIGNMENTS {
            let listed = Listed {
                order: placement::index(random, Listed::ORDERS),
                anchor: Anchor::Aligned(to),
                seed: random.u64(..),
            };
            beyond.push(Step::Listed { index, listed });
        }
    }
    steps.extend(beyond);
    steps
}

/// Calls as hosts make them that keep their buffers: the same once more, then others of the same sizes at the same place; and refused
/// calls several times.
fn same_place(cases: &[Prepared], random: &mut Rng) -> Vec<Step> {
    let is_small = |index: &usize| room(&cases[*index].case) <= PLACED_BYTES;
    let sizes = |index: usize| {
        let case = &cases[index].case;
        let lengths = [case.params.len(), case.a.len(), case.b.len()];
        (case.entry, lengths, case.output_size, case.scratch_size)
    };
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for index in (0..cases.len()).filter(is_small) {
        if !is_plain(&cases[index].case) {
            continue;
        }
        match groups
            .iter_mut()
            .find(|group| sizes(group[0]) == sizes(index))
        {
            Some(group) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    // Whatever the sizes, what they share is a place; of cases without such others only the calls once more say something.
    groups.sort_by_key(|group| std::cmp::Reverse(group.len().min(2)));
    let with_others = groups.iter().filter(|group| group.len() > 1).count();
    let choices = if with_others > 0 {
        with_others
    } else {
        groups.len()
    };
    let refused: Vec<usize> = (0..cases.len())
        .filter(is_small)
        .filter(|&index| cases[index].case.expect != Status::OK.0)
        .collect();
    let mut steps = Vec::new();
    for _ in 0..ROUNDS.min(choices * ROUNDS) {
        let group = &groups[placement::index(random, choices)];
        let [first, second, third] = [(); 3].map(|()| one_of(group, random));
        for index in [first, first, second, first, third] {
            steps.push(at_place_of(first, index, random));
        }
        if !refused.is_empty() {
            let refused = one_of(&refused, random);
            for index in [refused, refused, refused, first] {
                steps.push(at_place_of(index, index, random));
            }
        }
    }
    steps
}

/// A call and one right beside it by turns, at one place; and the same call at another.
fn neighbours(cases: &[Prepared], random: &mut Rng) -> Vec<Step> {
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for (index, prepared) in cases.iter().enumerate() {
        let base = near::beside(&prepared.case.name);
        let base = base.and_then(|base| cases.iter().position(|one| one.case.name == base));
        pairs.extend(base.map(|base| (base, index)));
    }
    placement::shuffle(random, &mut pairs);
    let mut steps = Vec::new();
    for (base, other) in pairs {
        for index in [base, other, base] {
            steps.push(at_place_of(base, index, random));
        }
        if random.u8(..4) > 0 {
            continue;
        }
        let listed = Listed {
            order: placement::index(random, Listed::ORDERS),
            anchor: Anchor::HeapBase,
            seed: random.u64(..),
        };
        let index = if random.bool() { base } else { other };
        steps.push(Step::Listed { index, listed });
    }
    steps
}

/// The smallest calls of each kind very often, with others between; and some that go through the loops of a kernel many times.
fn many(cases: &[Prepared], small: &[usize], deep: bool, random: &mut Rng) -> Vec<Step> {
    let count = match deep {
        true => 10 * MANY_CALLS,
        // What takes a machine no time takes its emulator minutes.
        false if machine::emulated().is_some() => MANY_CALLS / 16,
        false => MANY_CALLS,
    };
    // What is updated in place is another input in the second call, unless nothing is added.
    let stays = |prepared: &Prepared| match (&prepared.case.base, &prepared.native) {
        (None, _) => true,
        (Some(base), Some(native)) => native.output == *base,
        (Some(_), None) => false,
    };
    // What counts may count only calls of some size, and what never frees memory runs out of it the sooner.
    let kinds = [
        (Entry::Forward, true, 0, count),
        (Entry::Forward, true, REPEATED_BYTES, count),
        (Entry::Forward, true, LARGE_REPEATED_BYTES, count / 8),
        (Entry::Backward, true, 0, count),
        (Entry::Backward, true, REPEATED_BYTES, count),
        (Entry::Forward, false, 0, count),
    ];
    let mut steps = Vec::new();
    for (entry, taken, size, count) in kinds {
        let fit = |index: &usize| {
            let prepared = &cases[*index];
            let case = &prepared.case;
            let kind = case.entry == entry && case.expects_output() == taken;
            kind && case.tweaks.is_empty() && (!taken || stays(prepared))
        };
        let fitting = (0..cases.len()).filter(fit);
        let Some(index) = fitting.min_by_key(|&index| room(&cases[index].case).abs_diff(size))
        else {
            continue;
        };
        steps.push(Step::Many {
            index,
            seed: random.u64(..),
            count,
        });
        for _ in 0..ROUNDS.min(small.len()) {
            step(&mut steps, one_of(small, random), random);
        }
    }
    steps
}

/// Cases at the end of a large memory, and of the largest that the manifest allows.
fn far(placed: &[usize], subject: &Subject, random: &mut Rng) -> Vec<Step> {
    let most = subject.max_pages;
    if most <= MANY_PAGES {
        return Vec::new();
    }
    let mut steps = Vec::new();
    for &index in placed {
        // Each doubling is as likely; one of them is what engines that interpret are asked too.
        let doublings = (most / MANY_PAGES).ilog2() + 1;
        let drawn = [0, random.u32(..doublings)].map(|doubling| {
            let from = MANY_PAGES << doubling;
            from.saturating_add(random.u32(..from)).min(most)
        });
        let [near, any] = drawn;
        for (pages, anchor) in [
            (near, Anchor::MemoryEnd),
            (any, Anchor::Scattered),
            (most, Anchor::MemoryEnd),
        ] {
            let listed = Listed {
                order: placement::index(random, Listed::ORDERS),
                anchor,
                seed: random.u64(..),
            };
            steps.push(Step::Far {
                index,
                listed,
                pages,
            });
        }
    }
    steps
}
