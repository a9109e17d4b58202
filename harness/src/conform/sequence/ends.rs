//! Calls whose regions end with memory, of each rest that vectors and unrolled loops leave: what is read or written beyond the end traps.

use super::{
    Living, Why,
    plan::Step,
    varied::{axes, same_answers},
};
use crate::conform::{
    placement::{Anchor, Listed, Place},
    subject::{self, Placed, Subject},
};
use fastrand::Rng;
use kernel_abi::REGION_ALIGNMENT;
use kernel_cases::{
    case::{Case, Entry},
    generate, open,
};
use runtime_call::{Arrangement, Fill, Part};

/// Lengths of an axis: each rest of a division by 16, and two vectors and one more.
const LENGTHS: std::ops::RangeInclusive<u32> = 1..=17;
const LONGER: u32 = 33;
/// Lengths of the other axes, of which that one is taken with which a region ends nearest to the end of memory.
const OTHERS: u32 = 3;
/// Elements of a call of a contract that is data.
const MOST_ELEMENTS: u64 = 1 << 15;

/// One step for each entry and axis.
pub(super) fn plan(subject: &Subject, random: &mut Rng) -> Vec<Step> {
    let entries = [Entry::Forward, Entry::Backward].into_iter();
    let entries = entries.filter(|entry| *entry == Entry::Forward || subject.has_backward);
    let seed = random.u64(..);
    entries
        .flat_map(|entry| (0..axes(subject)).map(move |axis| Step::Ends { entry, axis, seed }))
        .collect()
}

/// Bytes of a region behind which there are some up to the next multiple of 16.
fn rest(length: usize) -> usize {
    length.next_multiple_of(REGION_ALIGNMENT as usize) - length
}

impl Living<'_> {
    /// Makes each call where ordinary calls lie, and with each of its regions last in memory; each on an instance of its own.
    pub(super) fn ends(&mut self, entry: Entry, axis: usize, seed: u64) -> Result<(), Why> {
        let subject = self.exchange.subject;
        let parts = [Part::A, Part::B, Part::Output, Part::Scratch];
        let lengths = LENGTHS.chain([LONGER]);
        if self.exchange.interprets() {
            self.left_out += lengths.count() * parts.len();
            return Ok(());
        }
        for length in lengths {
            let others = 1..=OTHERS;
            let cases: Vec<Case> = others
                .filter_map(|others| call(subject, entry, (axis, length), others, seed))
                .collect();
            for part in parts {
                let of = |case: &Case| size(case, part);
                let ending = cases.iter().filter(|case| of(case) > 0);
                if let Some(case) = ending.min_by_key(|case| rest(of(case))) {
                    self.ending(case, part, seed)?;
                }
            }
        }
        Ok(())
    }

    fn ending(&mut self, case: &Case, part: Part, seed: u64) -> Result<(), Why> {
        let subject = self.exchange.subject;
        let ordinary = Place {
            arrangement: Arrangement::ordinary(subject.heap_base, Fill::FIRST),
            pages: 0,
        };
        let last = Listed {
            order: Listed::last(part),
            anchor: Anchor::MemoryEnd,
            seed,
        };
        let last = Place::listed(case, subject, last, subject.minimum_pages);
        let at = |place: &Place| subject::place(case, subject, place).ok();
        let (Some(ordinary), Some(last)) = (at(&ordinary), last.as_ref().and_then(at)) else {
            return Ok(());
        };
        let entry = subject.export(case.entry).to_owned();
        let mut left = |placed: &Placed| {
            let left = self.in_order(&entry, std::slice::from_ref(placed), &[0])?;
            left.into_iter().next().ok_or_else(Why::missing)
        };
        let (one, other) = (left(&ordinary)?, left(&last)?);
        let answers = [
            (one.status, ordinary.frame.output(&one.frame)),
            (other.status, last.frame.output(&other.frame)),
        ];
        let wherever = format!("with {part:?} last in memory");
        same_answers(case, answers, &wherever).map_err(|why| why.of(&case.name))
    }
}

/// A call in which an axis has this length and the others are short: as long as said, or by a contract that is data drawn.
fn call(
    subject: &Subject,
    entry: Entry,
    (axis, length): (usize, u32),
    others: u32,
    seed: u64,
) -> Option<Case> {
    let seed = seed.wrapping_add(others.into());
    match (&subject.standard.definition, &subject.standard.contract) {
        (Some(kernel), _) => {
            let axes = generate::dimensions(kernel.id)?;
            let of = |other: usize| match other {
                _ if other == axis => length,
                _ if other < axes => others,
                _ => 1,
            };
            generate::shaped(kernel.id, entry, std::array::from_fn(of), seed)
        }
        (None, Ok(contract)) if entry == Entry::Forward => {
            let name = format!("axis-{axis}-of-{length}");
            open::with_axes(contract, &[(axis, length)], MOST_ELEMENTS, seed, name)
        }
        (None, _) => None,
    }
}

fn size(case: &Case, part: Part) -> usize {
    match part {
        Part::A => case.a.len(),
        Part::B => case.b.len(),
        Part::Output => case.output_size as usize,
        Part::Scratch => case.scratch_size as usize,
        Part::Descriptor | Part::Params => 0,
    }
}
