//! Calls of a host that keeps its buffers: the next inputs lie where the last ones did, and nobody clears output or scratch in between. A kernel
//! that takes what it finds there for its own work, or knows inputs by their address or by some of their elements, answers wrongly.

use super::{
    LARGE_FOR_INTERPRETERS, Living, Why,
    calls::{in_one_piece, there_and_back},
    plan::{Step, bytes},
    returned_zero,
    varied::{INPUTS, Left, axes, ordinary, same, with_axis},
};
use crate::conform::{
    judge::Layer,
    subject::{Placed, Prepared, Subject},
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
/// Tensors of calls, at most.
const MOST_BYTES: usize = 32 << 10;
/// Calls that differ in one element.
const ELEMENTS: usize = 4;
/// Elements among which those are drawn.
const MOST_ELEMENTS: u32 = 1 << 13;
/// Lengths that an axis of models has, the first of which the tensors fit.
const LENGTHS: [u32; 6] = [2048, 1024, 512, 256, 128, 64];
/// The same of a large call, and its tensors, at most.
const LARGE_LENGTHS: [u32; 4] = [8192, 4096, 2048, 1024];
const MUCH_BYTES: usize = 256 << 10;
/// The length of an axis of calls by turns with gradients.
const GRADIENT: u32 = 64;

/// What the calls are that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// A case; the first one of its entry is asked most.
    Case {
        /// Which.
        index: usize,
        /// Whether it is the first one.
        first: bool,
    },
    /// A call in which this axis is long.
    Axis(usize),
    /// A call and a gradient of the same sizes by turns.
    Gradient,
    /// A call in which this axis is as long as tables are that are worth being kept.
    Large(usize),
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
        let of_entry = |base: &Base| matches!(base, Base::Case { index, .. } if cases[*index].case.entry == entry);
        let is_it =
            |base: &Base| matches!(base, Base::Case { index: other, .. } if *other == index);
        if !bases.iter().any(is_it) {
            let first = !bases.iter().any(of_entry);
            bases.push(Base::Case { index, first });
        }
    }
    bases.extend((0..axes(subject)).map(Base::Axis));
    bases.extend(subject.has_backward.then_some(Base::Gradient));
    bases.extend((0..axes(subject)).map(Base::Large));
    let steps = bases.into_iter().map(|base| Step::Kept {
        base,
        seed: random.u64(..),
    });
    steps.collect()
}

/// In which order the parts of two calls lie, so that they share scratch and the place of an input that is as large in both; `None` where there is none.
fn order_over(one: &Case, other: &Case) -> Option<[Part; 6]> {
    if one.params.len() != other.params.len() {
        return None;
    }
    let [d, p, a, b, output, scratch] = Part::ALL;
    if one.b.len() == other.b.len() && !one.b.is_empty() {
        Some([d, p, scratch, b, a, output])
    } else if one.a.len() == other.a.len() {
        Some([d, p, scratch, a, b, output])
    } else {
        None
    }
}

/// A call at the place of all, and what it leaves on a fresh instance.
pub(super) struct One {
    pub(super) case: Case,
    pub(super) placed: Placed,
    pub(super) due: Left,
}

impl Living<'_> {
    /// Makes the calls.
    pub(super) fn kept(&mut self, base: Base, seed: u64) -> Result<(), Why> {
        let mut random = Rng::with_seed(seed);
        let (case, gradient) = match base {
            Base::Case { index, .. } => (Some(self.cases[index].case.clone()), None),
            Base::Axis(axis) => (self.long(Entry::Forward, axis, &LENGTHS, seed), None),
            Base::Large(axis) => return self.kept_large(axis, seed, &mut random),
            Base::Gradient => {
                let both = [Entry::Forward, Entry::Backward];
                let both = both.map(|entry| self.long(entry, 0, &[GRADIENT], seed));
                match both {
                    [Some(case), Some(gradient)] => {
                        // As much scratch, so that it begins and ends in one place.
                        let scratch_size = case.scratch_size.max(gradient.scratch_size);
                        let both = [case, gradient].map(|case| Case {
                            scratch_size,
                            ..case
                        });
                        let [case, gradient] = both.map(Some);
                        (case, gradient)
                    }
                    // Without one, there is nothing that the others do not ask.
                    _ => (None, None),
                }
            }
        };
        let Some(case) = case else {
            return Ok(());
        };
        if bytes(&case) > self.most_bytes() {
            self.left_out += 1;
            return Ok(());
        }
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
        let far = other_end(&calls);
        match &gradients[..] {
            [] => {
                let first = matches!(base, Base::Case { first: true, .. });
                self.changed(&calls, first, &mut random)?;
                self.nothing_in_nans(&calls[0].case, [&calls[0], far], order)
            }
            [first, .., last] => {
                let pair = [&calls[0], far];
                self.nothing_in_nans(&first.case, pair, order)?;
                self.nothing_in_nans(&calls[0].case, [first, last], order)?;
                // Each gradient over what a forward call of other inputs left in scratch, and each forward call over what a gradient left.
                let turns = [far, first, &calls[0], last, far, last, &calls[0], first];
                self.over_each_other(&turns)
            }
            [_] => Ok(()),
        }
    }

    /// A large call, and right after it some that differ from it in all of an input, in real parameters or in an element.
    fn kept_large(&mut self, axis: usize, seed: u64, random: &mut Rng) -> Result<(), Why> {
        let subject = self.exchange.subject;
        let variations = [
            (Variation::Tensor, 1),
            (Variation::Tensor, 2),
            (Variation::Numbers, 1),
            (Variation::Element, 1 + random.u32(..MOST_ELEMENTS)),
        ];
        if self.exchange.interprets() {
            self.left_out += 2 * variations.len();
            return Ok(());
        }
        let case = self.first_fitting(Entry::Forward, axis, (&LARGE_LENGTHS, MUCH_BYTES), seed);
        let (Some(case), Ok(contract)) = (case, &subject.standard.contract) else {
            return Ok(());
        };
        let others =
            variations.map(|(variation, number)| varied(&case, contract, variation, number));
        let calls = self.answered(different(&case, others), Part::ALL)?;
        let Some((first, others)) = calls.split_first() else {
            return Ok(());
        };
        let turns: Vec<&One> = others.iter().flat_map(|other| [first, other]).collect();
        self.over_each_other(&turns)
    }

    /// Tensors of calls on this engine, at most.
    fn most_bytes(&self) -> usize {
        match self.exchange.interprets() {
            true => LARGE_FOR_INTERPRETERS,
            false => MOST_BYTES,
        }
    }

    /// A call in which an axis has the first of these lengths that fits, with room for whatever a kernel may keep.
    fn long(&self, entry: Entry, axis: usize, lengths: &[u32], seed: u64) -> Option<Case> {
        let case = self.first_fitting(entry, axis, (lengths, self.most_bytes()), seed)?;
        let scratch = (bytes(&case) / 2).next_multiple_of(16) as u32;
        Some(Case {
            scratch_size: case.scratch_size.max(scratch),
            ..case
        })
    }

    /// A call in which an axis has the first of these lengths with which its tensors have so many bytes at most.
    fn first_fitting(
        &self,
        entry: Entry,
        axis: usize,
        (lengths, most): (&[u32], usize),
        seed: u64,
    ) -> Option<Case> {
        let subject = self.exchange.subject;
        let lengths = lengths.iter();
        let mut cases =
            lengths.filter_map(|length| with_axis(subject, entry, (axis, *length), seed));
        cases.find(|case| bytes(case) <= most)
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
        let kinds = kinds.chain([(Variation::Tensor, 1)]);
        let others = kinds.map(|(variation, number)| varied(case, contract, variation, number));
        // The last one has no input in common with the first.
        let far = (1..=INPUTS).fold(case.clone(), |far, input| {
            varied(&far, contract, Variation::Tensor, input)
        });
        self.answered(different(case, others.chain([far])), order)
    }

    /// Calls that are taken, each with what a fresh instance answers.
    pub(super) fn answered(&mut self, cases: Vec<Case>, order: [Part; 6]) -> Result<Vec<One>, Why> {
        let subject = self.exchange.subject;
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

    pub(super) fn at_the_place(&self, case: &Case, order: [Part; 6]) -> Option<Placed> {
        let arrangement = Arrangement {
            order,
            ..Arrangement::ordinary(self.heap_base(), Fill::SECOND)
        };
        self.arranged(case, arrangement)
    }

    /// Makes calls in this order on one instance; of all but the first only what a host passes is written.
    pub(super) fn over_each_other(&mut self, order: &[&One]) -> Result<(), Why> {
        let mut last: Option<&One> = None;
        for one in order {
            let left = self.call_over(one, last.is_none(), last.is_some())?;
            let checked = one.placed.frame.check(&left.frame, one.due.status == 0);
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
        let frame = in_one_piece(observation.reads);
        if frame.len() != one.placed.frame.image().len() {
            return Err(Why::missing());
        }
        Ok(Left { status, frame })
    }

    /// Whether what was called before shows in the bits of NaNs, which no comparison of numbers sees, in the answer to a call or in scratch: each of
    /// two calls of either entry comes before the same one, twice, each time on an instance of its own.
    fn nothing_in_nans(
        &mut self,
        case: &Case,
        [one, other]: [&One; 2],
        order: [Part; 6],
    ) -> Result<(), Why> {
        let subject = self.exchange.subject;
        let Ok(contract) = &subject.standard.contract else {
            return Ok(());
        };
        let with_nans = varied(case, contract, Variation::Nans, 1);
        if with_nans == *case {
            return Ok(());
        }
        let Some(nans) = self.answered(vec![with_nans], order)?.pop() else {
            return Ok(());
        };
        let mut answers = Vec::new();
        for before in [one, other, one, other] {
            self.call_over(before, true, false)?;
            let left = self.call_over(&nans, false, false)?.frame;
            let frame = &nans.placed.frame;
            answers.push([frame.output(&left), frame.scratch(&left)].concat());
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

/// A case, and those of others that are different, each once.
fn different(case: &Case, others: impl IntoIterator<Item = Case>) -> Vec<Case> {
    let mut cases = vec![case.clone()];
    for other in others {
        if !cases.contains(&other) {
            cases.push(other);
        }
    }
    cases
}

/// The call that differs most from the first one.
pub(super) fn other_end(calls: &[One]) -> &One {
    &calls[calls.len() - 1]
}

/// What a host writes that passes a call, and the guard bands: not scratch, and not an output that is written only, unless it has to stay.
fn passed(one: &One) -> Vec<Write> {
    let frame = &one.placed.frame;
    let image = frame.image();
    let kept = |part: &Part| match part {
        Part::Scratch => true,
        Part::Output => one.case.base.is_none() && one.due.status == 0,
        _ => false,
    };
    let kept = Part::ALL.into_iter().filter(kept);
    let mut kept: Vec<_> = kept.map(|part| frame.region(part)).collect();
    kept.retain(|region| region.size > 0);
    kept.sort_by_key(|region| region.offset);
    let mut writes = Vec::new();
    let mut from = 0;
    let ends = kept.iter().map(|region| {
        let begin = (region.offset - frame.start()) as usize;
        (begin, begin + region.size as usize)
    });
    for (begin, end) in ends.chain([(image.len(), image.len())]) {
        if begin > from {
            writes.push(Write::Bytes {
                at: frame.start() + from as u32,
                bytes: image[from..begin].to_vec(),
            });
        }
        from = end;
    }
    writes
}
