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
        observe::{Ended, same_size},
        placement::{self, Place},
        subject::{self, Placed, Prepared},
    },
    machine,
};
use assay_worker::InstanceChoice;
use fastrand::Rng;
use kernel_abi::{Status, export};
use kernel_cases::{
    case::Entry,
    generate::TOGETHER,
    near, truth,
    vary::{Variation, varied},
};
use runtime_call::{Arrangement, Fill, Invocation};

/// Calls that differ in numbers alone.
const VARIED_CALLS: u32 = 512;
/// Tensors of one of them that is not the smallest one, about.
const VARIED_BYTES: usize = 512;
/// The same where they have ordinary values, at most.
const MUCH_VARIED_BYTES: usize = 3 << 10;
/// Memory that all of the calls have together, about.
const MOST_BYTES: u32 = 1 << 19;

/// What a call of many left.
struct Left {
    status: i32,
    frame: Vec<u8>,
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
        // An input without an element varies in nothing.
        let fit = |index: &usize| {
            let case = &cases[*index].case;
            case.entry == entry && is_plain(case) && !case.a.is_empty()
        };
        let fitting = (0..cases.len()).filter(fit);
        // Where all values are ordinary, each change of one shows.
        let index = fitting.min_by_key(|&index| {
            let case = &cases[index].case;
            let is_ordinary = [near::PREFIX, TOGETHER].map(|prefix| case.name.starts_with(prefix));
            let fits = (bytes(case) + case.scratch_size as usize).abs_diff(size);
            (
                !(is_ordinary.contains(&true) && fits <= MUCH_VARIED_BYTES),
                fits,
            )
        });
        steps.extend(index.map(|index| Step::Varied {
            index,
            seed: random.u64(..),
            variation,
            count: few(count),
        }));
    }
    steps
}

/// What a step is called.
pub(super) fn name(variation: Variation, count: u32, case: &str) -> String {
    let what = match variation {
        Variation::Numbers => "numbers",
        Variation::Element => "one element",
    };
    format!("{count} calls that differ from {case} in {what}")
}

impl Living<'_> {
    /// Makes the calls in a drawn order on one instance and in another one on another, each at a place of its own.
    pub(super) fn varied(
        &mut self,
        index: usize,
        seed: u64,
        (variation, count): (Variation, u32),
    ) -> Result<(), Why> {
        let case = &self.cases[index].case;
        if !matches!(&self.alone[index], Some(alone) if alone.status == 0) {
            return Ok(());
        }
        let subject = self.exchange.subject;
        // Without one the kernel is unjudged, which is said elsewhere, and has no cases.
        let Ok(contract) = &subject.standard.contract else {
            return Ok(());
        };
        let mut placed: Vec<Placed> = Vec::new();
        let mut start = subject.heap_base;
        let mut last = None;
        for number in 0..count {
            let other = varied(case, contract, variation, number);
            if last.as_ref() == Some(&other) {
                break;
            }
            let place = Place {
                arrangement: Arrangement {
                    gaps: [0; 7],
                    ..Arrangement::ordinary(start, Fill::FIRST)
                },
                pages: 0,
            };
            // As many as there is room for, in memory and in a message to the worker.
            if start - subject.heap_base > MOST_BYTES {
                break;
            }
            let Ok(one) = subject::place(&other, subject, &place) else {
                break;
            };
            last = Some(other);
            match u32::try_from(one.frame.end()) {
                Ok(end) => start = end,
                Err(_) => break,
            }
            placed.push(one);
        }
        if placed.len() < 2 {
            return Ok(());
        }
        let mut random = Rng::with_seed(seed);
        let mut order: Vec<usize> = match variation {
            Variation::Numbers => (0..placed.len()).collect(),
            Variation::Element => (1..placed.len()).collect(),
        };
        placement::shuffle(&mut random, &mut order);
        // What is updated in place is another input in its second call.
        let repeats = variation == Variation::Element && case.base.is_none();
        let one: Vec<usize> = match variation {
            Variation::Numbers => order.clone(),
            // What was answered to the case itself comes right before each of those that differ from it, and in the other order after all of them.
            Variation::Element if repeats => order.iter().flat_map(|number| [0, *number]).collect(),
            Variation::Element => [0].into_iter().chain(order.iter().copied()).collect(),
        };
        order.reverse();
        if variation == Variation::Element {
            order.push(0);
        }
        let one = self.in_order(index, &placed, &one)?;
        let other = self.in_order(index, &placed, &order)?;
        for (number, (one, other)) in one.iter().zip(&other).enumerate() {
            let wrong = |layer, what: String| {
                let count = placed.len();
                let what = format!("number {number} of {count}: {what}");
                Err(Why::Wrong(layer, what))
            };
            if one.status != other.status {
                let (one, other) = (Status(one.status), Status(other.status));
                return wrong(
                    Layer::L1,
                    format!("status {one}, and {other} where the others came in another order"),
                );
            }
            let frame = &placed[number].frame;
            if one.status == 0
                && let Some(mismatch) =
                    truth::bits_differ(case, frame.output(&one.frame), frame.output(&other.frame))
            {
                return wrong(
                    Layer::L6,
                    format!(
                        "the output is another one where the others came in another order: {mismatch}"
                    ),
                );
            }
        }
        Ok(())
    }

    /// Makes the calls in an order on an instance of their own, and returns what each left, in the order of `placed`.
    fn in_order(
        &mut self,
        index: usize,
        placed: &[Placed],
        order: &[usize],
    ) -> Result<Vec<Left>, Why> {
        let pages = placed.last().map_or(0, |last| last.pages);
        let (writes, reads) = there_and_back(placed.iter().flat_map(|one| one.frame.pieces()));
        let entry = self.exchange.subject.export(self.cases[index].case.entry);
        let entry = entry.to_owned();
        let mut calls = vec![self.exchange.call(export::INIT, vec![0, 0])];
        calls.extend(order.iter().map(|number| {
            let address = placed[*number].frame.descriptor_address();
            self.exchange.call(&entry, vec![address])
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
        let missing = || {
            let what = "the worker made or read less than it was asked";
            Why::Ended(Ended::Lost(what.to_owned()))
        };
        if returned.len() != order.len() + 1 {
            return Err(missing());
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
                frame.extend(reads.next().ok_or_else(missing)?.0);
            }
            one.frame
                .check(&frame, status == 0)
                .map_err(|violation| Why::Wrong(Layer::L6, violation.to_string()))?;
            left.push(Left { status, frame });
        }
        Ok(left)
    }
}
