//! Very many calls that differ in numbers alone. Nobody says what they answer, but each answers the same whichever came before.

use super::{
    Living, Why,
    calls::there_and_back,
    plan::{Step, bytes, is_plain},
    returned_zero,
};
use crate::{
    conform::{
        judge::Layer,
        observe::same_size,
        placement::{self, Place},
        subject::{self, Placed, Prepared, Subject},
    },
    machine,
};
use assay_worker::InstanceChoice;
use fastrand::Rng;
use kernel_abi::{Status, export};
use kernel_cases::{
    case::{Case, Entry},
    generate::{self, TOGETHER},
    near, open, truth,
    vary::{Variation, varied},
};
use runtime_call::{Arrangement, Fill, Invocation};

/// Calls that differ in numbers alone.
const VARIED_CALLS: u32 = 512;
/// Tensors of one of them that is not the smallest one, about.
const VARIED_BYTES: usize = 512;
/// The same where they have ordinary values, at most.
const MUCH_VARIED_BYTES: usize = 3 << 10;
/// Inputs of a call, at most.
pub(super) const INPUTS: u32 = 8;
/// The case itself among the calls.
const FIRST: usize = 1;
/// What an axis grows over: powers of two, and half as much more; as much of it at once as has room.
const ROOMS: [&[u32]; 4] = [
    &[8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512],
    &[768, 1024, 2048],
    &[3072, 4096],
    &[8192],
];
/// The same of engines that interpret, at most.
const FEW_ROOMS: u32 = 257;
/// Memory that all of the calls have together, about.
const MOST_BYTES: u32 = 1 << 19;

/// What a call of many left.
pub(super) struct Left {
    pub(super) status: i32,
    pub(super) frame: Vec<u8>,
}

/// Whether a call left the same where others came before it.
pub(super) fn same(case: &Case, placed: &Placed, (one, other): (&Left, &Left)) -> Result<(), Why> {
    let answers = [one, other].map(|left| (left.status, placed.frame.output(&left.frame)));
    same_answers(case, answers, "where others came before")
}

/// Whether two answers to a call are the same: a status, and the output.
pub(super) fn same_answers(
    case: &Case,
    [one, other]: [(i32, &[u8]); 2],
    wherever: &str,
) -> Result<(), Why> {
    if one.0 != other.0 {
        let (one, other) = (Status(one.0), Status(other.0));
        return Err(Why::Wrong(
            Layer::L1,
            format!("status {one}, and {other} {wherever}"),
        ));
    }
    match truth::bits_differ(case, one.1, other.1) {
        Some(mismatch) if one.0 == 0 => Err(Why::Wrong(
            Layer::L6,
            format!("the output is another one {wherever}: {mismatch}"),
        )),
        _ => Ok(()),
    }
}

/// Small calls of each kind in very many variations: a kernel that keeps something for each of them runs out of room.
pub(super) fn plan(cases: &[Prepared], random: &mut Rng) -> Vec<Step> {
    let few = |count: u32| match machine::emulated() {
        Some(_) => count / 16,
        None => count,
    };
    let kinds = [
        (Entry::Forward, 0, Variation::Numbers, VARIED_CALLS),
        (
            Entry::Forward,
            VARIED_BYTES,
            Variation::Numbers,
            VARIED_CALLS / 4,
        ),
        (
            Entry::Forward,
            VARIED_BYTES,
            Variation::Element,
            VARIED_CALLS,
        ),
        (Entry::Backward, 0, Variation::Numbers, VARIED_CALLS / 2),
        (
            Entry::Backward,
            VARIED_BYTES,
            Variation::Element,
            VARIED_CALLS,
        ),
    ];
    let mut steps: Vec<Step> = Vec::new();
    for (entry, size, variation, count) in kinds {
        // Where one element is another, all of the answer has to be a number, or the change would not show.
        let index = match variation {
            Variation::Numbers => {
                let index = ordinary(cases, entry, (size, MUCH_VARIED_BYTES), |_| true);
                if index.is_none() {
                    continue;
                }
                index
            }
            _ => None,
        };
        steps.push(Step::Varied {
            entry,
            index,
            seed: random.u64(..),
            variation,
            count: few(count),
        });
    }
    steps
}

/// The case of an entry whose tensors have about so many bytes, with ordinary values if one has them within so many: there each change of an
/// element shows. An input without an element varies in nothing.
pub(super) fn ordinary(
    cases: &[Prepared],
    entry: Entry,
    (size, most): (usize, usize),
    fits: impl Fn(&Case) -> bool,
) -> Option<usize> {
    let fitting = (0..cases.len()).filter(|&index| {
        let case = &cases[index].case;
        case.entry == entry && is_plain(case) && !case.a.is_empty() && fits(case)
    });
    fitting.min_by_key(|&index| {
        let case = &cases[index].case;
        let is_ordinary = [near::PREFIX, TOGETHER].map(|prefix| case.name.starts_with(prefix));
        let fits = bytes(case) + case.scratch_size as usize <= most;
        (
            !(is_ordinary.contains(&true) && fits),
            bytes(case).abs_diff(size),
        )
    })
}

/// Calls in which an axis grows, for each axis of a kernel.
pub(super) fn growing(subject: &Subject, random: &mut Rng) -> Vec<Step> {
    let seed = random.u64(..);
    let axes = 0..axes(subject);
    axes.map(|axis| Step::Growing { axis, seed }).collect()
}

/// How many axes [`with_axis`] knows.
pub(super) fn axes(subject: &Subject) -> usize {
    match (&subject.standard.definition, &subject.standard.contract) {
        (Some(kernel), _) => generate::dimensions(kernel.id).unwrap_or_default(),
        (None, Ok(contract)) => contract.axes.len(),
        (None, Err(_)) => 0,
    }
}

/// A call of small axes but one. `None` where there is no such axis or entry, or nothing of the kernel is judged.
pub(super) fn with_axis(
    subject: &Subject,
    entry: Entry,
    (axis, length): (usize, u32),
    seed: u64,
) -> Option<Case> {
    match (&subject.standard.definition, &subject.standard.contract) {
        (Some(kernel), _) => generate::with_dimension(kernel.id, entry, (axis, length), seed)
            .filter(|_| entry == Entry::Forward || subject.has_backward),
        (None, Ok(contract)) if entry == Entry::Forward => {
            open::with_axis(contract, axis, length, seed)
        }
        (None, _) => None,
    }
}

/// A call of ordinary values with some elements, of which others are made: another axis of it is long from run to run.
fn of_some_elements(subject: &Subject, entry: Entry, seed: u64) -> Option<Case> {
    let axes = axes(subject);
    let rotated = (0..axes).map(|axis| (axis + seed as usize % axes) % axes);
    let mut cases = rotated.flat_map(|axis| {
        let lengths = [8, 16, 32, 64, 128, 256].into_iter();
        lengths.filter_map(move |length| with_axis(subject, entry, (axis, length), seed))
    });
    cases.find(|case| (VARIED_BYTES..=MUCH_VARIED_BYTES).contains(&bytes(case)))
}

/// What a step is called.
pub(super) fn name(variation: Variation, count: u32, case: &str) -> String {
    let what = match variation {
        Variation::Numbers => "numbers",
        Variation::Element => "one element",
        Variation::Tensor => "an input",
        Variation::Nans => "NaNs",
        Variation::Exchanged => "two elements that are exchanged",
    };
    format!("{count} calls that differ from {case} in {what}")
}

impl Living<'_> {
    /// Makes the calls in a drawn order on one instance and in another one on another, each at a place of its own.
    pub(super) fn varied(
        &mut self,
        (entry, index): (Entry, Option<usize>),
        seed: u64,
        (variation, count): (Variation, u32),
    ) -> Result<(), Why> {
        let subject = self.exchange.subject;
        let taken = |index: &usize| matches!(&self.alone[*index], Some(alone) if alone.status == 0);
        let case = match index {
            Some(index) => Some(self.cases[index].case.clone()).filter(|_| taken(&index)),
            None => of_some_elements(subject, entry, seed),
        };
        let Some(case) = &case else {
            return Ok(());
        };
        // Without one the kernel is unjudged, which is said elsewhere, and has no cases.
        let Ok(contract) = &subject.standard.contract else {
            return Ok(());
        };
        let mut last = None;
        let others = (0..count).map_while(|number| {
            let other = varied(case, contract, variation, number);
            let changed = last.as_ref() != Some(&other);
            last = Some(other.clone());
            changed.then_some(other)
        });
        // What has no input in common with them stands before them.
        let far = (1..=INPUTS).fold(case.clone(), |far, input| {
            varied(&far, contract, Variation::Tensor, input)
        });
        let placed = self.side_by_side(std::iter::once(far).chain(others));
        if placed.len() <= FIRST + 1 {
            return Ok(());
        }
        let mut random = Rng::with_seed(seed);
        let mut one: Vec<usize> = (FIRST..placed.len()).collect();
        placement::shuffle(&mut random, &mut one);
        let mut other = one.clone();
        other.reverse();
        // What is updated in place is another input in its second call.
        if variation == Variation::Element && case.base.is_none() {
            // What was answered to the case itself comes right before each of those that differ from it; and on the other instance one that has
            // no input in common with them.
            let before = |number: usize, order: &[usize]| -> Vec<usize> {
                order.iter().flat_map(|one| [number, *one]).collect()
            };
            (one, other) = (before(FIRST, &one), before(0, &other));
        }
        let entry = self.exchange.subject.export(case.entry).to_owned();
        let one = self.in_order(&entry, &placed, &one)?;
        let other = self.in_order(&entry, &placed, &other)?;
        let pairs = one.iter().zip(&other).enumerate();
        for (number, pair) in pairs.skip(FIRST) {
            let of = format!("number {number} of {}", placed.len() - FIRST);
            same(case, &placed[number], pair).map_err(|why| why.of(&of))?;
        }
        Ok(())
    }

    /// Makes the calls in which an axis grows as they come on one instance and the largest first on another.
    pub(super) fn growing(&mut self, axis: usize, seed: u64) -> Result<(), Why> {
        // As what is decoded grows: from nothing, and from a drawn length to twice as much; and over each size that room is made for at once.
        let drawn = 8 + (seed % 41) as u32;
        let decoded = vec![
            1,
            2,
            3,
            4,
            drawn,
            drawn + 1,
            drawn + 2,
            2 * drawn,
            2 * drawn + 1,
        ];
        self.growing_by(axis, seed, &decoded)?;
        for rooms in ROOMS {
            let rooms = rooms.iter().flat_map(|room| [*room, room + 1]);
            let asked = |room: &u32| !self.exchange.interprets() || *room <= FEW_ROOMS;
            let rooms: Vec<u32> = rooms.filter(asked).collect();
            self.growing_by(axis, seed, &rooms)?;
        }
        // What was kept of a longer call is no longer than the last one, which had other numbers.
        let [long, short, other] = [2 * drawn, drawn, seed as u32 % drawn + 1];
        self.shorter_between(axis, seed, [long, short])?;
        self.shorter_between(axis, seed, [long, other])
    }

    /// A long call, a short one with other numbers, and the long one with those.
    fn shorter_between(
        &mut self,
        axis: usize,
        seed: u64,
        [long, short]: [u32; 2],
    ) -> Result<(), Why> {
        let subject = self.exchange.subject;
        let Ok(contract) = &subject.standard.contract else {
            return Ok(());
        };
        for entry in [Entry::Forward, Entry::Backward] {
            let of = |length: u32| with_axis(subject, entry, (axis, length), seed);
            let (Some(first), Some(short)) = (of(long), of(short)) else {
                continue;
            };
            let other = |case: &Case| varied(case, contract, Variation::Numbers, 1);
            let cases = [first.clone(), other(&short), other(&first)];
            let placed = self.side_by_side(cases.iter().cloned());
            if placed.len() < cases.len() {
                continue;
            }
            let entry = subject.export(entry).to_owned();
            let one = self.in_order(&entry, &placed, &[0, 1, 2])?;
            let other = self.in_order(&entry, &placed, &[2])?;
            let pair = (&one[2], &other[2]);
            same(&cases[2], &placed[2], pair).map_err(|why| why.of(&cases[2].name))?;
        }
        Ok(())
    }

    fn growing_by(&mut self, axis: usize, seed: u64, lengths: &[u32]) -> Result<(), Why> {
        let subject = self.exchange.subject;
        let grown = |length: &u32| with_axis(subject, Entry::Forward, (axis, *length), seed);
        let mut cases: Vec<Case> = lengths.iter().filter_map(grown).collect();
        cases.dedup();
        let placed = self.side_by_side(cases.iter().cloned());
        if placed.len() < 2 {
            return Ok(());
        }
        let mut order: Vec<usize> = (0..placed.len()).collect();
        let entry = self.exchange.subject.export(Entry::Forward).to_owned();
        let one = self.in_order(&entry, &placed, &order)?;
        order.reverse();
        let other = self.in_order(&entry, &placed, &order)?;
        let pairs = one.iter().zip(&other);
        for ((case, placed), pair) in cases.iter().zip(&placed).zip(pairs) {
            same(case, placed, pair).map_err(|why| why.of(&case.name))?;
        }
        Ok(())
    }

    /// Places calls behind each other, as many as there is room for, in memory and in a message to the worker.
    pub(super) fn side_by_side(&self, cases: impl Iterator<Item = Case>) -> Vec<Placed> {
        let subject = self.exchange.subject;
        let mut placed: Vec<Placed> = Vec::new();
        let mut start = subject.heap_base;
        for case in cases {
            let place = Place {
                arrangement: Arrangement {
                    gaps: [0; 7],
                    ..Arrangement::ordinary(start, Fill::FIRST)
                },
                pages: 0,
            };
            if start - subject.heap_base > MOST_BYTES {
                break;
            }
            let Ok(one) = subject::place(&case, subject, &place) else {
                break;
            };
            match u32::try_from(one.frame.end()) {
                Ok(end) => start = end,
                Err(_) => break,
            }
            placed.push(one);
        }
        placed
    }

    /// Makes the calls in an order on an instance of their own, and returns what each left, in the order of `placed`.
    pub(super) fn in_order(
        &mut self,
        entry: &str,
        placed: &[Placed],
        order: &[usize],
    ) -> Result<Vec<Left>, Why> {
        let pages = placed.last().map_or(0, |last| last.pages);
        let (writes, reads) = there_and_back(placed.iter().flat_map(|one| one.frame.pieces()));
        let mut calls = vec![self.exchange.call(export::INIT, vec![0, 0])];
        calls.extend(order.iter().map(|number| {
            let address = placed[*number].frame.descriptor_address();
            self.exchange.call(entry, vec![address])
        }));
        let invocation = Invocation {
            pages,
            writes,
            calls,
            reads,
        };
        self.calls += order.len();
        let (returned, observation) = self
            .exchange
            .run(InstanceChoice::Fresh, invocation)
            .map_err(Why::Ended)?;
        returned_zero(export::INIT, returned.first().copied())?;
        same_size(pages, observation.pages).map_err(|what| Why::Wrong(Layer::L6, what))?;
        if returned.len() != order.len() + 1 {
            return Err(Why::missing());
        }
        let mut statuses = vec![0; placed.len()];
        for (number, status) in order.iter().zip(&returned[1..]) {
            statuses[*number] = *status;
        }
        let mut reads = observation.reads.into_iter();
        let mut left = Vec::new();
        for (one, status) in placed.iter().zip(statuses) {
            let mut frame = Vec::new();
            for _ in one.frame.pieces() {
                frame.extend(reads.next().ok_or_else(Why::missing)?.0);
            }
            one.frame
                .check(&frame, status == 0)
                .map_err(|violation| Why::Wrong(Layer::L6, violation.to_string()))?;
            left.push(Left { status, frame });
        }
        Ok(left)
    }
}
