//! Instances that live: many calls of one instance, each compared with the same call of a fresh one. A kernel is a function of its
//! declared inputs, whatever was called before, with whatever parameters it was initialised, wherever the tensors lie, and whatever
//! memory holds; and it leaves nothing of one caller to the next.
//!
//! A sequence follows from the run's own seed. The harness knows every byte that memory has to hold at and above the heap base: it
//! compares the regions of each call, and the rest of memory now and then and at the end.

use super::{
    judge::{Judgement, Layer, Layers},
    observe::{Alone, Ended, Exchange, describe, same_size},
    placement::{self, Anchor, Listed, Place},
    subject::{self, Prepared, Subject},
};
use crate::outcome::Outcome;
use assay_worker::InstanceChoice;
use fastrand::Rng;
use kernel_abi::{KernelInfo, PAGE_BYTES, Status, export};
use kernel_cases::{
    case::{Case, Entry},
    truth,
};
use runtime_api::Kind;
use runtime_host::{Call, Form, Invocation, Read, Write};
use sha2::{Digest, Sha256};
use std::{
    fmt,
    time::{Duration, Instant},
};

pub(super) mod planted;

/// What the names of sequences begin with.
pub const PREFIX: &str = "sequence:";
/// Calls of the longest sequence, at least, unless asked otherwise.
const CALLS: usize = 256;
/// The same where a deep run was asked for.
const DEEP_CALLS: usize = 3000;
/// Calls of each shorter sequence.
const SHORT_CALLS: usize = 64;
/// Tensors of a case that is called once only, at the end of the longest sequence.
const LARGE_BYTES: usize = 128 << 10;
/// Tensors of a case that engines which interpret are not asked for in sequences.
const LARGE_FOR_INTERPRETERS: usize = 32 << 10;
/// Tensors of a case that is tried at each place.
const PLACED_BYTES: usize = 16 << 10;
/// Memory is compared as a whole each so many calls.
const NOW_AND_THEN: usize = 16;
/// Memory that a sequence adds to what its calls need, at most.
const MORE_PAGES: u32 = 4;

/// A sequence of calls.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// `sequence:` and a number or a word.
    pub name: String,
    init: Init,
    steps: Vec<Step>,
}

/// What `kernel_init` is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Init {
    /// No parameters.
    None,
    /// Those of a case.
    Of(usize),
}

/// A call, or what happens between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A case at its drawn place, with other bytes around and in its regions.
    Case { index: usize, seed: u64 },
    /// A case at a place that every run has.
    Listed { index: usize, listed: Listed },
    /// `kernel_info`, so many bytes above the heap base.
    Info { above: u32 },
    /// The host grows memory by a page.
    Grow,
}

/// The sequences of a module with these cases.
pub fn plan(cases: &[Prepared], subject: &Subject, seed: u64, deep: bool) -> Vec<Sequence> {
    let taken = |prepared: &&Prepared| prepared.case.expects_output();
    if !cases.iter().any(|prepared| taken(&prepared)) {
        return Vec::new();
    }
    let mut random = placement::random(seed, &[&subject.kernel, "sequences"]);
    let small: Vec<usize> = (0..cases.len())
        .filter(|&index| bytes(&cases[index].case) <= LARGE_BYTES)
        .collect();
    let initial = |random: &mut Rng| {
        let forward: Vec<usize> = (0..cases.len())
            .filter(|&index| {
                let case = &cases[index].case;
                case.expects_output() && case.tweaks.is_empty() && !case.params.is_empty()
            })
            .collect();
        match forward.len() {
            0 => Init::None,
            count => Init::Of(forward[placement::index(random, count)]),
        }
    };
    let mut sequences = Vec::new();

    // All cases in a drawn order, again in another one, and so on; then the large ones, because memory does not shrink again.
    let calls = if deep { DEEP_CALLS } else { CALLS };
    let init = initial(&mut random);
    let mut steps = Vec::new();
    let mut round = small.clone();
    for number in 0.. {
        if small.is_empty() || number >= 2 && steps.len() >= calls {
            break;
        }
        placement::shuffle(&mut random, &mut round);
        for &index in &round {
            step(&mut steps, index, &mut random);
        }
    }
    let mut large: Vec<usize> = (0..cases.len())
        .filter(|index| !small.contains(index))
        .collect();
    placement::shuffle(&mut random, &mut large);
    for index in large {
        step(&mut steps, index, &mut random);
    }
    sequences.push((init, steps));

    // Short ones: without parameters for `kernel_init`, and with those of another case.
    for init in [Init::None, initial(&mut random), initial(&mut random)] {
        let mut steps = Vec::new();
        while steps.len() < SHORT_CALLS && !small.is_empty() {
            let index = small[placement::index(&mut random, small.len())];
            step(&mut steps, index, &mut random);
        }
        sequences.push((init, steps));
    }
    let numbered = (0..)
        .zip(sequences)
        .map(|(number, (init, steps))| Sequence {
            name: format!("{PREFIX}{number}"),
            init,
            steps,
        });
    numbered.chain(places(cases, &mut random)).collect()
}

/// A case, and now and then something before it.
fn step(steps: &mut Vec<Step>, index: usize, random: &mut Rng) {
    match random.u32(..32) {
        0 => steps.push(Step::Info {
            above: random.u32(..1024) * 4,
        }),
        1 => steps.push(Step::Grow),
        _ => {}
    }
    steps.push(Step::Case {
        index,
        seed: random.u64(..),
    });
}

/// One forward and one backward case at each of the places that every run has.
fn places(cases: &[Prepared], random: &mut Rng) -> Option<Sequence> {
    let mut steps = Vec::new();
    for entry in [Entry::Forward, Entry::Backward] {
        let fit = |case: &Case| {
            case.entry == entry
                && case.expects_output()
                && case.tweaks.is_empty()
                && bytes(case) <= PLACED_BYTES
        };
        // Sizes that are multiples of 16 end where the next region begins.
        let whole = |case: &Case| {
            let sizes = [case.a.len(), case.b.len(), case.output_size as usize];
            sizes.iter().filter(|size| **size % 16 == 0).count()
        };
        let present =
            |case: &Case| usize::from(!case.b.is_empty()) + usize::from(case.scratch_size > 0);
        let chosen = (0..cases.len())
            .filter(|&index| fit(&cases[index].case))
            .max_by_key(|&index| {
                let case = &cases[index].case;
                (whole(case) + 2 * present(case), random.u32(..))
            });
        let Some(index) = chosen else { continue };
        for order in 0..Listed::ORDERS {
            let above = 0x1_0000 + 16 * random.u32(..4096);
            for anchor in [Anchor::HeapBase, Anchor::MemoryEnd, Anchor::Above(above)] {
                let listed = Listed {
                    order,
                    anchor,
                    seed: random.u64(..),
                };
                steps.push(Step::Listed { index, listed });
            }
        }
    }
    (!steps.is_empty()).then(|| Sequence {
        name: format!("{PREFIX}places"),
        init: Init::None,
        steps,
    })
}

/// Bytes of a case's tensors.
pub(super) fn bytes(case: &Case) -> usize {
    case.a.len() + case.b.len() + case.output_size as usize
}

/// Why a sequence ended early.
#[derive(Debug)]
pub(super) struct Stop {
    /// Which step, from 1.
    pub(super) step: usize,
    what: String,
    pub(super) why: Why,
}

#[derive(Debug)]
pub(super) enum Why {
    /// A layer does not hold.
    Wrong(Layer, String),
    /// A call did not return.
    Ended(Ended),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {} of one instance, {}: ", self.step, self.what)?;
        match &self.why {
            Why::Wrong(_, what) => f.write_str(what),
            Why::Ended(ended) => write!(f, "the call did not return: {}", describe(ended)),
        }
    }
}

/// What came of a sequence.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The layers.
    pub layers: Layers,
    /// Calls of cases that were made.
    pub calls: u64,
    /// Calls that were left to engines that compile.
    pub left_out: u64,
    /// Whether it was run at all.
    pub ran: bool,
    /// Whether the worker is lost.
    pub lost: bool,
}

impl Ran {
    /// A sequence that nobody ran, for this reason.
    pub(super) fn not_run(reason: String) -> Self {
        let layers = Layers::from([(Layer::L1, Judgement::of(Outcome::Error, reason))]);
        Self {
            layers,
            calls: 0,
            left_out: 0,
            ran: false,
            lost: false,
        }
    }
}

/// Runs a sequence on one instance. `alone` is what fresh instances gave; a case that did not return there is left out.
pub(super) fn run(
    exchange: Exchange<'_>,
    cases: &[Prepared],
    alone: &[Option<Alone>],
    sequence: &Sequence,
) -> Ran {
    let mut living = Living::new(exchange, cases, alone);
    let stop = living.run(sequence);
    let judgement = |outcome, detail: &str| Judgement::of(outcome, detail);
    let (layers, lost) = match stop {
        Ok(()) if living.calls == 0 => {
            let why = "no case returned on a fresh instance: nothing to compare with";
            let layers = [Layer::L1, Layer::L6];
            let layers = layers.map(|layer| (layer, judgement(Outcome::Unsupported, why)));
            (Layers::from(layers), false)
        }
        Ok(()) => {
            let mut what = format!("{} calls of one instance", living.calls);
            if living.left_out > 0 {
                what += &format!(
                    "; {} with large tensors are left to engines that compile",
                    living.left_out
                );
            }
            let layers = [Layer::L1, Layer::L6];
            let layers = layers.map(|layer| (layer, judgement(Outcome::Pass, &what)));
            (Layers::from(layers), false)
        }
        Err(stop) => {
            let what = stop.to_string();
            let (layers, lost): (Vec<_>, bool) = match &stop.why {
                Why::Wrong(Layer::L1, _) | Why::Ended(Ended::Stopped(_) | Ended::Status { .. }) => {
                    (vec![(Layer::L1, judgement(Outcome::Fail, &what))], false)
                }
                Why::Wrong(layer, _) => {
                    let pass = judgement(Outcome::Pass, "");
                    let fail = judgement(Outcome::Fail, &what);
                    (vec![(Layer::L1, pass), (*layer, fail)], false)
                }
                Why::Ended(Ended::Lost(_)) => {
                    (vec![(Layer::L1, judgement(Outcome::Error, &what))], true)
                }
            };
            (layers.into_iter().collect(), lost)
        }
    };
    Ran {
        layers,
        calls: living.calls as u64,
        left_out: living.left_out as u64,
        ran: true,
        lost,
    }
}

/// An instance that lives, and what its memory has to hold.
struct Living<'a> {
    exchange: Exchange<'a>,
    cases: &'a [Prepared],
    alone: &'a [Option<Alone>],
    /// From the heap base on.
    memory: Vec<u8>,
    pages: u32,
    /// What `kernel_info` said first.
    info: Option<Vec<u8>>,
    calls: usize,
    left_out: usize,
    /// Bytes of the largest tensors that are passed.
    largest: usize,
    /// What was planted in the module, if something was.
    planted: Option<planted::Planted>,
    /// Calls of the entry point.
    entered: u32,
    /// Pages that the call which comes now adds.
    growing: u32,
    /// How long the last exchange took.
    took: Duration,
}

impl<'a> Living<'a> {
    fn new(exchange: Exchange<'a>, cases: &'a [Prepared], alone: &'a [Option<Alone>]) -> Self {
        let interprets = exchange.worker.info().kind == Kind::Interpreter;
        Self {
            memory: Vec::new(),
            pages: exchange.subject.minimum_pages,
            info: None,
            exchange,
            cases,
            alone,
            calls: 0,
            left_out: 0,
            largest: if interprets {
                LARGE_FOR_INTERPRETERS
            } else {
                usize::MAX
            },
            planted: None,
            entered: 0,
            growing: 0,
            took: Duration::ZERO,
        }
    }
}

impl Living<'_> {
    fn run(&mut self, sequence: &Sequence) -> Result<(), Stop> {
        self.init(sequence.init).map_err(|why| Stop {
            step: 0,
            what: format!("`{}`", export::INIT),
            why,
        })?;
        for (number, step) in (1..).zip(&sequence.steps) {
            self.step(*step, number).map_err(|why| Stop {
                step: number,
                what: self.name(*step),
                why,
            })?;
        }
        self.cleanup().map_err(|why| Stop {
            step: sequence.steps.len() + 1,
            what: format!("`{}`", export::CLEANUP),
            why,
        })
    }

    fn name(&self, step: Step) -> String {
        match step {
            Step::Case { index, .. } => self.cases[index].case.name.clone(),
            Step::Listed { index, listed } => format!(
                "{} placed in order {}, {:?}",
                self.cases[index].case.name, listed.order, listed.anchor
            ),
            Step::Info { .. } => format!("`{}`", export::INFO),
            Step::Grow => "memory grown by the host".to_owned(),
        }
    }

    fn heap_base(&self) -> u32 {
        self.exchange.subject.heap_base
    }

    /// Memory of so many pages, if it has less.
    fn grow(&mut self, pages: u32) {
        self.pages = self.pages.max(pages);
        let length = u64::from(self.pages) * PAGE_BYTES;
        let length = length.saturating_sub(self.heap_base().into()) as usize;
        if self.memory.len() < length {
            self.memory.resize(length, 0);
        }
    }

    fn keep(&mut self, at: u32, bytes: &[u8]) {
        let from = (at - self.heap_base()) as usize;
        self.memory[from..from + bytes.len()].copy_from_slice(bytes);
    }

    fn digest(&self, read: &Read) -> [u8; 32] {
        let from = (read.at - self.heap_base()) as usize;
        Sha256::digest(&self.memory[from..from + read.length as usize]).into()
    }

    /// Writes, calls and reads `at`, `length`; where `whole`, compares all the rest of memory at and above the heap base.
    fn exchange(
        &mut self,
        instance: InstanceChoice,
        write: Option<(u32, &[u8])>,
        call: Option<Call>,
        (at, length): (u32, u32),
        whole: bool,
    ) -> Result<(Option<i32>, Vec<u8>), Why> {
        let mut writes = Vec::new();
        if let Some((at, bytes)) = write {
            self.keep(at, bytes);
            writes.push(Write::Bytes {
                at,
                bytes: bytes.to_vec(),
            });
        }
        let mut reads = vec![Read {
            at,
            length,
            form: Form::Bytes,
        }];
        if whole {
            let end = u64::from(at) + u64::from(length);
            let memory_end = u64::from(self.heap_base()) + self.memory.len() as u64;
            let digest = |at: u32, length: u64| Read {
                at,
                length: length as u32,
                form: Form::Sha256,
            };
            let before = digest(self.heap_base(), u64::from(at - self.heap_base()));
            let behind = digest(end as u32, memory_end - end);
            reads.extend([before, behind].into_iter().filter(|read| read.length > 0));
        }
        let invocation = Invocation {
            pages: self.pages,
            writes,
            calls: call.into_iter().collect(),
            reads: reads.clone(),
        };
        let start = Instant::now();
        let ran = self.exchange.run(instance, invocation);
        self.took = start.elapsed();
        let (returned, observation) = ran.map_err(Why::Ended)?;
        let wrong = |what| Why::Wrong(Layer::L6, what);
        same_size(self.pages + self.growing, observation.pages).map_err(wrong)?;
        let mut found = observation.reads.into_iter();
        let bytes = found.next().map(|read| read.0).unwrap_or_default();
        for (read, digest) in reads[1..].iter().zip(found) {
            if digest.0 != self.digest(read) {
                return Err(wrong(format!(
                    "memory beside the call's regions is not what the host left there (from address {} on, {} bytes)",
                    read.at, read.length
                )));
            }
        }
        Ok((returned.first().copied(), bytes))
    }

    fn init(&mut self, init: Init) -> Result<(), Why> {
        let at = self.heap_base().next_multiple_of(16);
        let cases = self.cases;
        let params: &[u8] = match init {
            Init::None => &[],
            Init::Of(index) => &cases[index].case.params,
        };
        let needed = (u64::from(at) + params.len() as u64).div_ceil(PAGE_BYTES);
        self.grow(needed as u32);
        let arguments = match init {
            Init::None => vec![0, 0],
            Init::Of(_) => vec![at, params.len() as u32],
        };
        let call = self.exchange.call(export::INIT, arguments);
        let written = (!params.is_empty()).then_some((at, params));
        let (status, _) = self.exchange(
            InstanceChoice::Fresh,
            written,
            Some(call),
            (self.heap_base(), 0),
            true,
        )?;
        returned_zero(export::INIT, status)
    }

    fn step(&mut self, step: Step, number: usize) -> Result<(), Why> {
        let whole = number.is_multiple_of(NOW_AND_THEN);
        match step {
            Step::Case { index, seed } => {
                let place = self.cases[index].second.again(seed);
                self.case(index, Some(place), true, whole)
            }
            Step::Listed { index, listed } => {
                let case = &self.cases[index].case;
                let place = Place::listed(case, self.exchange.subject, listed, self.pages);
                self.case(index, place, false, true)
            }
            Step::Info { above } => self.info(above),
            Step::Grow => {
                let limit = self.exchange.subject.max_pages;
                let most = self.needed_pages().saturating_add(MORE_PAGES).min(limit);
                if self.pages < most {
                    self.grow(self.pages + 1);
                }
                Ok(())
            }
        }
    }

    /// Pages that the calls of a sequence need without any that the host adds.
    fn needed_pages(&self) -> u32 {
        let small = self
            .cases
            .iter()
            .filter(|one| bytes(&one.case) <= LARGE_BYTES);
        small
            .map(|one| one.first.pages)
            .max()
            .unwrap_or_default()
            .max(self.exchange.subject.minimum_pages)
    }

    /// Calls a case at a place. Scratch is compared where the call alone had the same place, because what it holds may be addresses.
    fn case(
        &mut self,
        index: usize,
        place: Option<Place>,
        same_place: bool,
        whole: bool,
    ) -> Result<(), Why> {
        let (cases, alone) = (self.cases, self.alone);
        let case = &cases[index].case;
        let (Some(alone), Some(place)) = (&alone[index], place) else {
            return Ok(());
        };
        if bytes(case) > self.largest {
            self.left_out += 1;
            return Ok(());
        }
        let place = Place {
            pages: place.pages.max(self.pages),
            ..place
        };
        // It fitted alone, and memory is no larger than the limit.
        let Ok(placed) = subject::place(case, self.exchange.subject, &place) else {
            return Ok(());
        };
        self.calls += 1;
        self.grow(placed.pages);
        let frame = &placed.frame;
        let entry = self.exchange.subject.export(case.entry).to_owned();
        let call = self.exchange.call(&entry, vec![frame.descriptor_address()]);
        let span = (frame.start(), frame.image().len() as u32);
        let effect = self.entering(case.entry);
        self.expect(effect, frame);
        let (status, left) = self.exchange(
            InstanceChoice::Same,
            Some((frame.start(), frame.image())),
            Some(call),
            span,
            whole || effect != planted::Effect::Nothing,
        )?;
        let status = status.unwrap_or_default();
        if status != alone.status {
            return Err(Why::Wrong(
                Layer::L1,
                format!(
                    "status {} where a fresh instance answers {}",
                    Status(status),
                    Status(alone.status)
                ),
            ));
        }
        let wrong = |what: String| Why::Wrong(Layer::L6, what);
        let after = self.without(effect, frame, alone, &left)?;
        frame
            .check(&after, status == 0)
            .map_err(|violation| wrong(violation.to_string()))?;
        if status == 0
            && let Some(mismatch) = truth::bits_differ(case, &alone.output, frame.output(&after))
        {
            return Err(wrong(format!(
                "the output is another than that of a fresh instance: {mismatch}"
            )));
        }
        if same_place && let Some(at) = scratch_differs(&alone.scratch, frame.scratch(&after)) {
            return Err(wrong(format!(
                "scratch holds something else than after the same call of a fresh instance, from byte {at} of {} on",
                alone.scratch.len()
            )));
        }
        self.keep(frame.start(), &left);
        Ok(())
    }

    fn info(&mut self, above: u32) -> Result<(), Why> {
        let size = KernelInfo::SIZE as u32;
        let out = self.heap_base().next_multiple_of(4) + above;
        let end = u64::from(out) + u64::from(size);
        if end > u64::from(self.pages) * PAGE_BYTES {
            return Ok(());
        }
        let call = self.exchange.call(export::INFO, vec![out]);
        let (status, bytes) =
            self.exchange(InstanceChoice::Same, None, Some(call), (out, size), true)?;
        returned_zero(export::INFO, status)?;
        let first = self.info.get_or_insert_with(|| bytes.clone());
        if *first != bytes {
            return Err(Why::Wrong(
                Layer::L6,
                "it states something else than before".to_owned(),
            ));
        }
        self.keep(out, &bytes);
        Ok(())
    }

    fn cleanup(&mut self) -> Result<(), Why> {
        let call = self.exchange.call(export::CLEANUP, Vec::new());
        let nothing = (self.heap_base(), 0);
        let (status, _) = self.exchange(InstanceChoice::Same, None, Some(call), nothing, true)?;
        returned_zero(export::CLEANUP, status)
    }
}

fn returned_zero(name: &str, status: Option<i32>) -> Result<(), Why> {
    match status {
        Some(0) => Ok(()),
        other => Err(Why::Wrong(
            Layer::L1,
            format!(
                "`{name}` answered {} where 0 is due",
                other.unwrap_or_default()
            ),
        )),
    }
}

/// The first byte in which two contents of scratch differ, NaNs of f32 as a class: their bits may change when an engine compiles again.
fn scratch_differs(one: &[u8], other: &[u8]) -> Option<usize> {
    if one == other {
        return None;
    }
    if one.len() != other.len() {
        return Some(one.len().min(other.len()));
    }
    let is_nan = |word: &[u8]| match word.try_into() {
        Ok(bytes) => f32::from_le_bytes(bytes).is_nan(),
        Err(_) => false,
    };
    let words = one.chunks(4).zip(other.chunks(4)).enumerate();
    words
        .filter(|(_, (one, other))| one != other)
        .find(|(_, (one, other))| !(is_nan(one) && is_nan(other)))
        .map(|(index, _)| index * 4)
}

#[cfg(test)]
mod tests;
