//! Instances that live: many calls of one instance, each compared with the same call of a fresh one. A kernel is a function of its
//! declared inputs, whatever was called before, with whatever parameters it was initialised, wherever the tensors lie, and whatever
//! memory holds; and it leaves nothing of one caller to the next.
//!
//! A sequence follows from the run's own seed. The harness knows every byte that memory has to hold at and above the heap base: it
//! compares the regions of each call, and the rest of memory now and then and at the end.

mod calls;
mod changed;
mod ends;
mod kept;
mod plan;
pub(super) mod planted;
mod stop;
#[cfg(test)]
mod tests;
mod varied;

pub use plan::{PREFIX, Sequence, plan};
pub(super) use stop::{Stop, Why};

use super::{
    exports::Identity,
    judge::{Judgement, Layer, Layers},
    observe::{Alone, Ended, Exchange, same_size},
    placement::Place,
    subject::Prepared,
};
use crate::outcome::Outcome;
use assay_worker::InstanceChoice;
use fastrand::Rng;
use kernel_abi::{KernelInfo, PAGE_BYTES, export};
pub(super) use plan::bytes;
use plan::{Init, LARGE_BYTES, Step, room};
use runtime_call::{Call, Digest, Form, Invocation, Read, Write};
use std::time::{Duration, Instant};

/// Tensors of a case that engines which interpret are asked for once, and not in sequences.
pub(super) const LARGE_FOR_INTERPRETERS: usize = 8 << 10;
/// Pages of a memory that engines which interpret are not asked for: many of them fill all of it first.
const MANY_PAGES_FOR_INTERPRETERS: u32 = 1024;
/// Memory is compared as a whole after one step of so many.
const NOW_AND_THEN: u32 = 16;
/// Memory that a sequence adds to what its calls need, at most.
const MORE_PAGES: u32 = 4;

/// What came of a sequence.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The layers.
    pub layers: Layers,
    /// Calls of cases that were made.
    pub calls: u64,
    /// Calls that were left to engines that compile, and to machines with more memory.
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

/// Runs a sequence on one instance. `alone` is what fresh instances gave, and `identity` what they say that they are; a case that did not return
/// there is left out.
pub(super) fn run(
    exchange: Exchange<'_>,
    cases: &[Prepared],
    (alone, identity): (&[Option<Alone>], Option<&Identity>),
    sequence: &Sequence,
) -> Ran {
    let mut living = Living::new(exchange, cases, alone);
    living.identity = identity;
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
                    "; {} with large tensors or much memory were left out, which are for engines that compile and machines that have it",
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
                    let fail = (*layer, judgement(Outcome::Fail, &what));
                    // Answers were right as far as there were any.
                    let pass =
                        (living.calls > 0).then(|| (Layer::L1, judgement(Outcome::Pass, "")));
                    (pass.into_iter().chain([fail]).collect(), false)
                }
                Why::Ended(Ended::Lost(_) | Ended::NotAsked(_)) => {
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
    /// What `kernel_info` says on a fresh instance, where that is known.
    identity: Option<&'a Identity>,
    calls: usize,
    left_out: usize,
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
        Self {
            memory: Vec::new(),
            pages: exchange.subject.minimum_pages,
            identity: None,
            exchange,
            cases,
            alone,
            calls: 0,
            left_out: 0,
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
        let mut checks = Rng::with_seed(sequence.checks);
        let asked = match self.exchange.interprets() {
            true => sequence.interpreted,
            false => sequence.steps.len(),
        };
        let left = &sequence.steps[asked..];
        let is_call = |step: &&Step| !matches!(step, Step::Info { .. } | Step::Grow);
        self.left_out += left.iter().filter(is_call).count();
        for (number, step) in (1..).zip(&sequence.steps[..asked]) {
            // Drawn, so that no call can know that nobody looks.
            let whole = checks.u32(..NOW_AND_THEN) == 0;
            self.step(*step, whole).map_err(|why| Stop {
                step: number,
                what: self.name(*step),
                why,
            })?;
        }
        if sequence.init == Init::Each {
            return Ok(());
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
            Step::Many { index, count, .. } => {
                format!("{} called {count} times", self.cases[index].case.name)
            }
            Step::Far {
                index,
                listed,
                pages,
            } => {
                let name = &self.cases[index].case.name;
                format!(
                    "{name} in a memory of {pages} pages, {:?}, on an instance of its own",
                    listed.anchor
                )
            }
            Step::Varied {
                index,
                variation,
                count,
                ..
            } => {
                let case = index.map_or("one call", |index| &self.cases[index].case.name);
                varied::name(variation, count, case)
            }
            Step::Kept { .. } => "calls over what the last one left".to_owned(),
            Step::Growing { axis, .. } => format!("calls in which axis {} grows", axis + 1),
            Step::Ends { axis, .. } => format!("calls at the end of memory, by axis {}", axis + 1),
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

    fn digest(&self, read: &Read) -> Vec<u8> {
        let from = (read.at - self.heap_base()) as usize;
        Digest::of(read.form, &self.memory[from..from + read.length as usize])
    }

    /// Writes pieces, makes the calls and reads spans (addresses and lengths, in order), one after the other; where `whole`, compares all the
    /// rest of memory at and above the heap base.
    fn exchange(
        &mut self,
        instance: InstanceChoice,
        written: &[(u32, &[u8])],
        calls: Vec<Call>,
        spans: &[(u32, u32)],
        whole: bool,
    ) -> Result<(Vec<i32>, Vec<u8>), Why> {
        let mut writes = Vec::new();
        for &(at, bytes) in written {
            self.keep(at, bytes);
            writes.push(Write::Bytes {
                at,
                bytes: bytes.to_vec(),
            });
        }
        let bytes = spans.iter().map(|&(at, length)| Read {
            at,
            length,
            form: Form::Bytes,
        });
        let mut reads: Vec<Read> = bytes.collect();
        if whole {
            reads.extend(self.beside(spans));
        }
        let invocation = Invocation {
            pages: self.pages,
            writes,
            calls,
            reads: reads.clone(),
        };
        let start = Instant::now();
        let ran = self.exchange.run(instance, invocation);
        self.took = start.elapsed();
        let (returned, observation) = ran.map_err(Why::Ended)?;
        let wrong = |what| Why::Wrong(Layer::L6, what);
        same_size(self.pages + self.growing, observation.pages).map_err(wrong)?;
        let mut found = observation.reads.into_iter();
        let bytes = found.by_ref().take(spans.len()).map(|read| read.0);
        let bytes = bytes.collect::<Vec<_>>().concat();
        for (read, digest) in reads[spans.len()..].iter().zip(found) {
            if digest.0 != self.digest(read) {
                return Err(wrong(format!(
                    "memory beside the call's regions is not what the host left there (from address {} on, {} bytes)",
                    read.at, read.length
                )));
            }
        }
        Ok((returned, bytes))
    }

    /// All memory at and above the heap base but these spans.
    fn beside(&self, spans: &[(u32, u32)]) -> Vec<Read> {
        let mut spans = spans.to_vec();
        spans.sort_unstable();
        let mut from = u64::from(self.heap_base());
        let memory_end = from + self.memory.len() as u64;
        let ends = spans
            .into_iter()
            .map(|(at, length)| (u64::from(at), u64::from(at) + u64::from(length)));
        let mut reads = Vec::new();
        let form = self.exchange.worker.digest_form();
        for (at, end) in ends.chain([(memory_end, memory_end)]) {
            if at > from {
                reads.push(Read {
                    at: from as u32,
                    length: (at - from) as u32,
                    form,
                });
            }
            from = from.max(end);
        }
        reads
    }

    fn init(&mut self, init: Init) -> Result<(), Why> {
        let at = self.heap_base().next_multiple_of(16);
        let cases = self.cases;
        let params: &[u8] = match init {
            Init::Each => return Ok(()),
            Init::None => &[],
            Init::Of(index) => &cases[index].case.params,
        };
        let needed = (u64::from(at) + params.len() as u64).div_ceil(PAGE_BYTES);
        self.grow(needed as u32);
        let arguments = match init {
            Init::Of(_) => vec![at, params.len() as u32],
            Init::None | Init::Each => vec![0, 0],
        };
        let call = self.exchange.call(export::INIT, arguments);
        let written = [(at, params)];
        let written = &written[..usize::from(!params.is_empty())];
        let (status, _) = self.exchange(InstanceChoice::Fresh, written, vec![call], &[], true)?;
        returned_zero(export::INIT, status.first().copied())
    }

    fn step(&mut self, step: Step, whole: bool) -> Result<(), Why> {
        match step {
            Step::Case { index, of, seed } => {
                let place = self.cases[of].second.again(seed);
                self.case((index, 1), Some(place), index == of, whole)
            }
            Step::Many { index, seed, count } => {
                let place = self.cases[index].second.again(seed);
                self.case((index, count), Some(place), true, true)
            }
            Step::Listed { index, listed } => {
                let case = &self.cases[index].case;
                let place = Place::listed(case, self.exchange.subject, listed, self.pages);
                self.case((index, 1), place, false, true)
            }
            Step::Far {
                index,
                listed,
                pages,
            } => self.far(index, listed, pages),
            Step::Varied {
                entry,
                index,
                seed,
                variation,
                count,
            } => self.varied((entry, index), seed, (variation, count)),
            Step::Kept { base, seed } => self.kept(base, seed),
            Step::Growing { axis, seed } => self.growing(axis, seed),
            Step::Ends { entry, axis, seed } => self.ends(entry, axis, seed),
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
            .filter(|one| room(&one.case) <= LARGE_BYTES);
        small
            .map(|one| one.first.pages)
            .max()
            .unwrap_or_default()
            .max(self.exchange.subject.minimum_pages)
    }

    fn info(&mut self, above: u32) -> Result<(), Why> {
        self.says(self.heap_base().next_multiple_of(4) + above, None)
    }

    fn cleanup(&mut self) -> Result<(), Why> {
        // What it says in the end, after all calls of a sequence.
        let out = self.heap_base().next_multiple_of(4);
        self.says(out, Some(export::CLEANUP))
    }

    /// Calls `kernel_info` where it fits, and then this export; what it says has to be what a fresh instance says.
    fn says(&mut self, out: u32, then: Option<&str>) -> Result<(), Why> {
        let size = KernelInfo::SIZE as u32;
        let end = u64::from(out) + u64::from(size);
        let fits = end <= u64::from(self.pages) * PAGE_BYTES;
        let info = fits.then_some((export::INFO, vec![out]));
        let made = info.into_iter().chain(then.map(|name| (name, Vec::new())));
        let (names, calls): (Vec<_>, Vec<_>) = made
            .map(|(name, arguments)| (name, self.exchange.call(name, arguments)))
            .unzip();
        if calls.is_empty() {
            return Ok(());
        }
        let identity = self.identity.filter(|_| fits);
        let spans = identity.map(|identity| identity.name_span());
        let spans: Vec<_> = fits
            .then_some((out, size))
            .into_iter()
            .chain(spans)
            .collect();
        let (statuses, bytes) = self.exchange(InstanceChoice::Same, &[], calls, &spans, true)?;
        for (name, status) in names.into_iter().zip(statuses) {
            returned_zero(name, Some(status))?;
        }
        if fits {
            let (info, name) = bytes.split_at(bytes.len().min(KernelInfo::SIZE));
            if identity.is_some_and(|identity| !identity.is(info, name)) {
                return Err(Why::Wrong(
                    Layer::L6,
                    format!(
                        "`{}` states something else than on a fresh instance",
                        export::INFO
                    ),
                ));
            }
            self.keep(out, info);
        }
        Ok(())
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
