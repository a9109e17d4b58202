//! Calls of a host that keeps its buffers: the next inputs lie where the last ones did, and nobody clears output or scratch in between. A kernel
//! that takes what it finds there for its own work, or knows inputs by their address or by some of their elements, answers wrongly.

use super::{
    LARGE_FOR_INTERPRETERS, Living, Why,
    calls::there_and_back,
    plan::{Step, bytes},
    returned_zero,
    varied::{Left, axes, ordinary, same, with_axis},
};
use crate::conform::{
    judge::Layer,
    placement::Place,
    subject::{self, Placed, Prepared, Subject},
};
use assay_worker::InstanceChoice;
use fastrand::Rng;
use kernel_abi::export;
use kernel_cases::{
    case::{Case, Entry},
    vary::{Variation, varied},
};
use runtime_call::{Arrangement, Fill, Invocation, Part, Write};

/// Tensors of calls, about.
const SMALL_BYTES: usize = 1 << 10;
const LARGE_BYTES: usize = 24 << 10;
/// Tensors of calls, at most: what engines that interpret take too.
const MOST_BYTES: usize = LARGE_FOR_INTERPRETERS;
/// Calls that differ in one element.
const ELEMENTS: usize = 4;
/// Elements among which those are drawn.
const MOST_ELEMENTS: u32 = 1 << 13;
/// Lengths that an axis of models has, the first of which the tensors fit.
const LENGTHS: [u32; 6] = [2048, 1024, 512, 256, 128, 64];
/// The length of an axis of calls by turns with gradients.
const GRADIENT: u32 = 64;

/// What the calls are that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// A case.
    Case(usize),
    /// A call in which this axis is long.
    Axis(usize),
    /// A call and a gradient of the same sizes by turns.
    Gradient,
}

/// Calls of an entry of about so many bytes, of which this is true.
type Kind<'a> = (Entry, usize, &'a dyn Fn(&Case) -> bool);

/// One step for small and for larger calls of each entry, for calls without a second input and with scratch, where kernels may keep tables, for
/// each axis, and for gradients.
pub(super) fn plan(cases: &[Prepared], subject: &Subject, random: &mut Rng) -> Vec<Step> {
    let large_scratch = |case: &Case| case.scratch_size as usize > bytes(case);
    let without_b = |case: &Case| case.b.is_empty();
    let kinds: [Kind<'_>; 7] = [
        (Entry::Forward, SMALL_BYTES, &|_| true),
        (Entry::Forward, LARGE_BYTES, &|_| true),
        (Entry::Forward, SMALL_BYTES, &without_b),
        (Entry::Forward, SMALL_BYTES, &large_scratch),
        (Entry::Forward, SMALL_BYTES, &|case| {
            large_scratch(case) && without_b(case)
        }),
        (Entry::Backward, SMALL_BYTES, &|_| true),
        (Entry::Backward, LARGE_BYTES, &|_| true),
    ];
    let mut bases: Vec<Base> = Vec::new();
    for (entry, size, fits) in kinds {
        let within = |case: &Case| fits(case) && bytes(case) <= MOST_BYTES;
        let Some(index) = ordinary(cases, entry, (size, MOST_BYTES), within) else {
            continue;
        };
        if !bases.contains(&Base::Case(index)) {
            bases.push(Base::Case(index));
        }
    }
    bases.extend((0..axes(subject)).map(Base::Axis));
    bases.extend(subject.has_backward.then_some(Base::Gradient));
    let steps = bases.into_iter().map(|base| Step::Kept {
        base,
        seed: random.u64(..),
    });
    steps.collect()
}

/// In which order the parts of two calls lie, so that they share a place of an input that is as large in both; `None` where there is none.
fn order_over(one: &Case, other: &Case) -> Option<[Part; 6]> {
    if one.params.len() != other.params.len() {
        return None;
    }
    let [d, p, a, b, output, scratch] = Part::ALL;
    if one.b.len() == other.b.len() && !one.b.is_empty() {
        Some([d, p, b, a, output, scratch])
    } else if one.a.len() == other.a.len() {
        Some(Part::ALL)
    } else {
        None
    }
}

/// A call at the place of all, and what it leaves on a fresh instance.
struct One {
    case: Case,
    placed: Placed,
    due: Left,
}

impl Living<'_> {
    /// Makes the calls.
    pub(super) fn kept(&mut self, base: Base, seed: u64) -> Result<(), Why> {
        let mut random = Rng::with_seed(seed);
        let (case, gradient) = match base {
            Base::Case(index) => (Some(self.cases[index].case.clone()), None),
            Base::Axis(axis) => (self.long(Entry::Forward, axis, &LENGTHS, seed), None),
            Base::Gradient => {
                let both = [Entry::Forward, Entry::Backward];
                let [case, gradient] = both.map(|entry| self.long(entry, 0, &[GRADIENT], seed));
                // Without one, there is nothing that the others do not ask.
                (case.filter(|_| gradient.is_some()), gradient)
            }
        };
        let Some(case) = case else {
            return Ok(());
        };
        let gradient = gradient.as_ref();
        let order = gradient.and_then(|gradient| order_over(&case, gradient));
        let order = order.unwrap_or(Part::ALL);
        let calls = self.ones(&case, order, &mut random)?;
        if calls.len() < 2 {
            return Ok(());
        }
        let gradients = match gradient {
            Some(gradient) => self.ones(gradient, order, &mut random)?,
            None => Vec::new(),
        };
        // What was answered to the case itself comes right before each of those that differ from it.
        let mut turns: Vec<&One> = Vec::new();
        for other in &calls[1..] {
            turns.extend([&calls[0], other]);
        }
        turns.extend([other_end(&calls), &calls[0], &calls[0]]);
        // The inputs of one call under the gradient of another.
        let others = gradients.iter().chain(gradients.iter().rev()).cycle();
        for (one, gradient) in calls.iter().chain(&calls).zip(others) {
            turns.extend([one, gradient]);
        }
        self.over_each_other(&turns)?;
        self.nothing_in_nans(&calls[0], other_end(&calls), order)
    }

    /// A call in which an axis has the first of these lengths that fits, with room for whatever a kernel may keep.
    fn long(&self, entry: Entry, axis: usize, lengths: &[u32], seed: u64) -> Option<Case> {
        let subject = self.exchange.subject;
        let lengths = lengths.iter();
        let mut cases =
            lengths.filter_map(|length| with_axis(subject, entry, (axis, *length), seed));
        let case = cases.find(|case| bytes(case) <= MOST_BYTES)?;
        let scratch = (bytes(&case) / 2).next_multiple_of(16) as u32;
        Some(Case {
            scratch_size: case.scratch_size.max(scratch),
            ..case
        })
    }

    /// A case, and calls of its sizes that differ from it: each with what a fresh instance answers.
    fn ones(&mut self, case: &Case, order: [Part; 6], random: &mut Rng) -> Result<Vec<One>, Why> {
        let subject = self.exchange.subject;
        let Ok(contract) = &subject.standard.contract else {
            return Ok(Vec::new());
        };
        let elements = (bytes(case) as u32 / 2).clamp(1, MOST_ELEMENTS);
        let drawn = (0..ELEMENTS).map(|_| (Variation::Element, 1 + random.u32(..elements)));
        let kinds = [
            (Variation::Numbers, 0),
            (Variation::Numbers, 1),
            (Variation::Tensor, 2),
            (Variation::Tensor, 3),
        ];
        let kinds = kinds.into_iter().chain(drawn);
        let mut cases = vec![case.clone()];
        for (variation, number) in kinds.chain([(Variation::Tensor, 1)]) {
            let other = varied(case, contract, variation, number);
            if !cases.contains(&other) {
                cases.push(other);
            }
        }
        let mut ones = Vec::new();
        for case in cases {
            let Some(placed) = self.at_the_place(&case, order) else {
                break;
            };
            let entry = subject.export(case.entry).to_owned();
            let mut due = self.in_order(&entry, std::slice::from_ref(&placed), &[0])?;
            // One that is refused is no call to compare with, and keeps none of the others away.
            if let Some(due) = due.pop().filter(|due| due.status == 0) {
                ones.push(One { case, placed, due });
            }
        }
        Ok(ones)
    }

    fn at_the_place(&self, case: &Case, order: [Part; 6]) -> Option<Placed> {
        let subject = self.exchange.subject;
        let place = Place {
            arrangement: Arrangement {
                order,
                ..Arrangement::ordinary(subject.heap_base, Fill::SECOND)
            },
            pages: self.pages,
        };
        subject::place(case, subject, &place).ok()
    }

    /// Makes calls in this order on one instance; where the last one was of the same entry, only what the host passes is written.
    fn over_each_other(&mut self, order: &[&One]) -> Result<(), Why> {
        let mut last: Option<&One> = None;
        for one in order {
            let over = last.is_some_and(|last| last.case.entry == one.case.entry);
            let left = self.call_over(one, last.is_none(), over)?;
            let checked = one.placed.frame.check(&left.frame, true);
            checked.map_err(|violation| Why::Wrong(Layer::L6, violation.to_string()))?;
            let pair = (&one.due, &left);
            let before =
                last.map_or_else(String::new, |last| format!(", after {}", last.case.name));
            same(&one.case, &one.placed, pair)
                .map_err(|why| why.of(&format!("{}{before}", one.case.name)))?;
            last = Some(one);
        }
        Ok(())
    }

    /// One call: with all of its frame written, or over what the last one left.
    fn call_over(&mut self, one: &One, first: bool, over: bool) -> Result<Left, Why> {
        let frame = &one.placed.frame;
        let (mut writes, reads) = there_and_back(frame.pieces());
        if over {
            writes = passed(one);
        }
        let entry = self.exchange.subject.export(one.case.entry).to_owned();
        let call = self.exchange.call(&entry, vec![frame.descriptor_address()]);
        let init = first.then(|| self.exchange.call(export::INIT, vec![0, 0]));
        let instance = match first {
            true => InstanceChoice::Fresh,
            false => InstanceChoice::Same,
        };
        let invocation = Invocation {
            pages: one.placed.pages,
            writes,
            calls: init.into_iter().chain([call]).collect(),
            reads,
        };
        self.calls += 1;
        let (returned, observation) = self
            .exchange
            .run(instance, invocation)
            .map_err(Why::Ended)?;
        if first {
            returned_zero(export::INIT, returned.first().copied())?;
        }
        let status = *returned.last().ok_or_else(Why::missing)?;
        let frame: Vec<u8> = observation
            .reads
            .into_iter()
            .flat_map(|read| read.0)
            .collect();
        if frame.len() != one.placed.frame.image().len() {
            return Err(Why::missing());
        }
        Ok(Left { status, frame })
    }

    /// Whether what was called before shows in the bits of NaNs, which no comparison of numbers sees: each of two calls comes before the same one,
    /// twice, each time on an instance of its own.
    fn nothing_in_nans(&mut self, one: &One, other: &One, order: [Part; 6]) -> Result<(), Why> {
        let subject = self.exchange.subject;
        let Ok(contract) = &subject.standard.contract else {
            return Ok(());
        };
        let case = varied(&one.case, contract, Variation::Nans, 1);
        let placed = self.at_the_place(&case, order);
        let Some(placed) = placed.filter(|_| case != one.case) else {
            return Ok(());
        };
        let entry = subject.export(case.entry).to_owned();
        let mut due = self.in_order(&entry, std::slice::from_ref(&placed), &[0])?;
        let Some(due) = due.pop().filter(|due| due.status == 0) else {
            return Ok(());
        };
        let nans = One { case, placed, due };
        let mut answers = Vec::new();
        for before in [one, other, one, other] {
            self.call_over(before, true, false)?;
            let left = self.call_over(&nans, false, false)?;
            answers.push(nans.placed.frame.output(&left.frame).to_vec());
        }
        let [first, second, third, fourth] = &answers[..] else {
            return Ok(());
        };
        // Engines may choose the bits of a NaN, and what they chose differently of the same calls says nothing.
        if first == third && second == fourth && first != second {
            return Err(Why::Wrong(
                Layer::L6,
                "the bits of NaNs follow from what was called before".to_owned(),
            ));
        }
        Ok(())
    }
}

/// The call that differs most from the first one.
fn other_end(calls: &[One]) -> &One {
    &calls[calls.len() - 1]
}

/// What a host writes that passes a call: not scratch, and not an output that is written only.
fn passed(one: &One) -> Vec<Write> {
    let frame = &one.placed.frame;
    let start = frame.start();
    let parts = Part::ALL.into_iter().filter(|part| match part {
        Part::Scratch => false,
        Part::Output => one.case.base.is_some(),
        _ => true,
    });
    let regions = parts.map(|part| frame.region(part));
    let writes = regions.filter(|region| region.size > 0).map(|region| {
        let from = (region.offset - start) as usize;
        Write::Bytes {
            at: region.offset,
            bytes: frame.image()[from..from + region.size as usize].to_vec(),
        }
    });
    writes.collect()
}
