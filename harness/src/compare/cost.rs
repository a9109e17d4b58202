//! What a module costs on an engine: fuel of one call at a fixed shape and size of its code, which have no noise, and the time of two
//! modules beside each other. Everything that is counted or timed has its output checked.

use crate::{
    bench::reference_case,
    conform::subject::{self, Prepared, Subject},
    machine::emulated,
    statistics::{Processes, Ratio, paired},
};
use assay_worker::{InstanceChoice, Launch, RunError, Worker, protocol::Timed};
use fastrand::Rng;
use kernel_abi::export;
use kernel_cases::truth::{self, Verdict};
use runtime_api::{Budget, BudgetKind, Info, Limits, Options};
use runtime_host::{Call, Form, Invocation, Outcome, Read, Write};
use serde::Serialize;
use std::time::{Duration, Instant};

/// How long a request may take that counts or times.
const WITHIN: Duration = Duration::from_secs(120);
/// Fuel of a call: more than any burns.
const FUEL: u64 = 1 << 50;
/// Bytes of call stack that kernels get.
const STACK_BYTES: u32 = 512 * 1024;
/// Seed of the inputs; what a call costs hardly depends on them, and they must be the same in every run.
const SEED: u64 = 1;
/// Shortest batch.
const BATCH: Duration = Duration::from_micros(500);
/// Rounds of calls that are slow.
const FEWEST_ROUNDS: u32 = 4;
/// Rounds of calls that are fast.
const MOST_ROUNDS: u32 = 40;

/// A module with the call that it is measured by.
pub struct Measured {
    /// The module.
    pub subject: Subject,
    prepared: Prepared,
}

/// Two modules of the same kernel and variant.
pub struct Pair {
    /// Of the older pack.
    pub old: Measured,
    /// Of the newer pack.
    pub new: Measured,
}

/// A number without noise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Number {
    /// `fuel` or `code_bytes`.
    pub quantity: &'static str,
    /// The shape of the call, for fuel.
    pub case: String,
    /// The number.
    pub value: u64,
}

/// Something that has no number, and why.
#[derive(Clone, Debug, Serialize)]
pub struct NotMeasured {
    /// Engine id.
    pub runtime: String,
    /// Kernel id.
    pub kernel: String,
    /// Variant.
    pub variant: String,
    /// Why.
    pub reason: String,
    /// Whether the newer module alone is to blame: the older one was right.
    pub lost: bool,
}

/// Numbers of two modules on an engine.
#[derive(Clone, Debug, Serialize)]
pub struct Numbers {
    /// Engine id.
    pub runtime: String,
    /// Kernel id.
    pub kernel: String,
    /// Variant.
    pub variant: String,
    /// `fuel` or `code_bytes`.
    pub quantity: &'static str,
    /// The shape of the call, for fuel.
    pub case: String,
    /// Of the older module.
    pub old: u64,
    /// Of the newer one.
    pub new: u64,
}

/// Times of two modules on an engine.
#[derive(Clone, Debug, Serialize)]
pub struct Time {
    /// Engine id.
    pub runtime: String,
    /// Kernel id.
    pub kernel: String,
    /// Variant.
    pub variant: String,
    /// The shape of the call.
    pub case: String,
    /// New over old.
    pub ratio: Ratio,
}

/// What was found of all pairs on all engines.
#[derive(Debug, Default)]
pub struct Found {
    /// Numbers without noise, the same or not.
    pub numbers: Vec<Numbers>,
    /// Times.
    pub times: Vec<Time>,
    /// What has no number.
    pub not_measured: Vec<NotMeasured>,
}

/// How long pairs are timed.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Of batches per pair, engine and process; `None` times nothing.
    pub time: Option<Duration>,
    /// Processes per engine.
    pub processes: u32,
    /// Seed of the order and of the resamples.
    pub seed: u64,
}

/// Why there is no number.
struct Failed(String);

type Result<T> = std::result::Result<T, Failed>;

impl Measured {
    /// Places the call of a module; the reason if there is none.
    ///
    /// # Errors
    /// The reason.
    pub fn new(subject: Subject) -> std::result::Result<Self, String> {
        let none = || "this harness has no contract for it".to_owned();
        let kernel = kernel_core::variant(&subject.kernel, &subject.features).ok_or_else(none)?;
        let case = reference_case(&subject.kernel, SEED).ok_or_else(none)?;
        let prepared = subject::prepare(case, &subject, kernel, SEED)
            .map_err(|error| format!("failed to {error}"))?;
        Ok(Self { subject, prepared })
    }

    /// The shape of the call.
    pub fn case(&self) -> &str {
        self.prepared.case.name.trim_start_matches("sized:")
    }

    /// Size of the code, and fuel of the call on an engine that has fuel; what cannot be told is left out.
    ///
    /// # Errors
    /// The reason if the module does not run, or gives a wrong output.
    pub fn numbers(&self, worker: &mut Worker) -> std::result::Result<Vec<Number>, String> {
        self.count(worker).map_err(|failed| failed.0)
    }

    fn count(&self, worker: &mut Worker) -> Result<Vec<Number>> {
        let mut numbers = Vec::new();
        if !worker.has_operation("facts") {
            return Ok(numbers);
        }
        let module = self.load(worker, Budget::None)?;
        self.check(worker, module, Budget::None, true)?;
        if let Some(value) = facts(worker, module)?.code_bytes {
            numbers.push(Number {
                quantity: "code_bytes",
                case: String::new(),
                value,
            });
        }
        drop_module(worker, module)?;
        let has_fuel = worker
            .info()
            .capabilities
            .budgets
            .contains(&BudgetKind::Fuel);
        if has_fuel {
            let budget = Budget::Fuel(FUEL);
            let module = self.load(worker, budget)?;
            self.check(worker, module, budget, true)?;
            if let Some(left) = facts(worker, module)?.fuel_left {
                numbers.push(Number {
                    quantity: "fuel",
                    case: self.case().to_owned(),
                    value: FUEL.saturating_sub(left),
                });
            }
            drop_module(worker, module)?;
        }
        Ok(numbers)
    }

    /// Compiles, makes an instance and gives it its inputs.
    fn load(&self, worker: &mut Worker, budget: Budget) -> Result<u64> {
        let options = Options {
            limits: Limits {
                max_memory_pages: self.subject.max_pages,
                max_table_elements: self.subject.max_table_elements,
                max_stack_bytes: STACK_BYTES,
            },
            metering: budget.kind(),
        };
        let module = worker.load(&self.subject.wasm, &options)?;
        let params = self.prepared.first.frame.placed().params;
        let mut invocation = self.writing();
        invocation.calls.push(Call {
            export: export::INIT.to_owned(),
            arguments: vec![params.offset, params.size],
            budget,
        });
        let fresh = InstanceChoice::Fresh;
        let observation = worker.run_within(module, fresh, budget, invocation, WITHIN)?;
        returned_zero(export::INIT, observation.calls.first())?;
        Ok(module)
    }

    fn writing(&self) -> Invocation {
        let placed = &self.prepared.first;
        Invocation {
            pages: placed.pages,
            writes: vec![Write::Bytes {
                at: placed.frame.start(),
                bytes: placed.frame.image().to_vec(),
            }],
            calls: Vec::new(),
            reads: Vec::new(),
        }
    }

    fn call(&self, budget: Budget) -> Call {
        Call {
            export: self.subject.entry_point.clone(),
            arguments: vec![self.prepared.first.frame.descriptor_address()],
            budget,
        }
    }

    /// That memory holds what must come of the call; with `again`, inputs are written and the call is made first.
    fn check(&self, worker: &mut Worker, module: u64, budget: Budget, again: bool) -> Result<()> {
        let frame = &self.prepared.first.frame;
        let mut invocation = if again {
            self.writing()
        } else {
            Invocation {
                pages: 0,
                writes: Vec::new(),
                calls: Vec::new(),
                reads: Vec::new(),
            }
        };
        if again {
            invocation.calls.push(self.call(budget));
        }
        invocation.reads.push(Read {
            at: frame.start(),
            length: frame.image().len() as u32,
            form: Form::Bytes,
        });
        let same = InstanceChoice::Same;
        let observation = worker.run_within(module, same, budget, invocation, WITHIN)?;
        if again {
            returned_zero(&self.subject.entry_point, observation.calls.first())?;
        }
        let after = observation
            .reads
            .into_iter()
            .next()
            .map(|read| read.0)
            .unwrap_or_default();
        frame
            .check(&after, true)
            .map_err(|violation| wrong(violation.to_string()))?;
        let output = frame.output(&after);
        if output == self.prepared.native.output {
            return Ok(());
        }
        match truth::judge(&self.prepared.case, output) {
            Verdict::Pass { .. } => Ok(()),
            Verdict::Fail(mismatch) => Err(wrong(format!("its output is wrong: {mismatch}"))),
            Verdict::NotApplicable(reason) => Err(wrong(format!(
                "its output is not the native build's, and cannot be judged: {reason}"
            ))),
        }
    }

    /// One batch: nanoseconds per call, and how many calls there were.
    fn batch(&self, worker: &mut Worker, module: u64, iterations: u64) -> Result<(f64, u64)> {
        let budget = Budget::None;
        if self.prepared.case.base.is_some() {
            // The call starts from what the last one left.
            worker.run_within(module, InstanceChoice::Same, budget, self.writing(), WITHIN)?;
        }
        let what = Timed::Call {
            call: self.call(budget),
        };
        let times = worker.time(
            module,
            what,
            (iterations, BATCH.as_nanos() as u64, 1),
            WITHIN,
        )?;
        if times.returned != 0 {
            return Err(wrong(format!("a timed call returned {}", times.returned)));
        }
        let batch = times
            .series
            .first()
            .and_then(|series| series.batches.first());
        match batch {
            Some(batch) if batch.iterations > 0 && batch.nanoseconds > 0 => {
                let per_call = batch.nanoseconds as f64 / batch.iterations as f64;
                Ok((per_call, batch.iterations))
            }
            _ => Err(wrong("the worker answered no time".to_owned())),
        }
    }
}

impl Pair {
    /// Batches of both modules beside each other, in an order that changes: nanoseconds per call of the old and of the new one.
    fn time(
        &self,
        worker: &mut Worker,
        time: Duration,
        random: &mut Rng,
    ) -> std::result::Result<[Vec<f64>; 2], (Failed, bool)> {
        let both = [&self.old, &self.new];
        let blame = |index: usize| move |failed: Failed| (failed, index == 1);
        let mut modules = [0; 2];
        for (index, side) in both.iter().enumerate() {
            modules[index] = side.load(worker, Budget::None).map_err(blame(index))?;
        }
        let mut iterations = [0; 2];
        let mut values = [Vec::new(), Vec::new()];
        let mut spent = Duration::ZERO;
        let mut round = 0;
        while round <= FEWEST_ROUNDS || (round <= MOST_ROUNDS && spent < time * 2) {
            let start = Instant::now();
            let first = random.usize(..2);
            for index in [first, 1 - first] {
                let (value, calls) = both[index]
                    .batch(worker, modules[index], iterations[index])
                    .map_err(blame(index))?;
                iterations[index] = calls;
                // The first round is the warm-up.
                if round > 0 {
                    values[index].push(value);
                }
            }
            if round > 0 {
                spent += start.elapsed();
            }
            round += 1;
        }
        for (index, side) in both.iter().enumerate() {
            let module = modules[index];
            if side.prepared.case.base.is_none() {
                side.check(worker, module, Budget::None, false)
                    .map_err(blame(index))?;
            }
            side.check(worker, module, Budget::None, true)
                .and_then(|()| drop_module(worker, module))
                .map_err(blame(index))?;
        }
        Ok(values)
    }
}

/// Measures pairs on engines, one after the other. `allowed` says whether both packs let a pair run on an engine; what it refuses is
/// left to the comparison of outputs to tell.
pub fn measure(
    launches: &[Launch],
    pairs: &[Pair],
    effort: Effort,
    allowed: &dyn Fn(&Info, &Pair) -> bool,
    step: &dyn Fn(),
) -> Found {
    let mut found = Found::default();
    let mut random = Rng::with_seed(effort.seed);
    let mut times: Vec<Vec<[Processes; 2]>> = launches
        .iter()
        .map(|_| pairs.iter().map(|_| Default::default()).collect())
        .collect();
    let timing = effort.time.filter(|_| emulated().is_none());
    let processes = if timing.is_some() {
        effort.processes.max(1)
    } else {
        1
    };
    for process in 0..processes {
        let mut order: Vec<usize> = (0..launches.len()).collect();
        random.shuffle(&mut order);
        for index in order {
            let mut engine = Engine {
                launch: &launches[index],
                worker: None,
            };
            let mut order: Vec<usize> = (0..pairs.len()).collect();
            random.shuffle(&mut order);
            for pair_index in order {
                step();
                let pair = &pairs[pair_index];
                engine.pair(
                    pair,
                    allowed,
                    process == 0,
                    timing,
                    &mut random,
                    &mut found,
                    &mut times[index][pair_index],
                );
            }
        }
    }
    for (launch, times) in launches.iter().zip(&times) {
        for (pair, [old, new]) in pairs.iter().zip(times) {
            // A pair that failed in any process has no time.
            if old.len() as u32 == processes
                && let Some(ratio) = paired(new, old, effort.seed)
            {
                found.times.push(Time {
                    runtime: launch.id.clone(),
                    kernel: pair.new.subject.kernel.clone(),
                    variant: pair.new.subject.variant.clone(),
                    case: pair.new.case().to_owned(),
                    ratio,
                });
            }
        }
    }
    found
}

/// An engine, its worker started when it is needed and again when it was lost.
struct Engine<'a> {
    launch: &'a Launch,
    worker: Option<Worker>,
}

impl Engine<'_> {
    #[allow(clippy::too_many_arguments, reason = "what one step needs and fills")]
    fn pair(
        &mut self,
        pair: &Pair,
        allowed: &dyn Fn(&Info, &Pair) -> bool,
        count: bool,
        time: Option<Duration>,
        random: &mut Rng,
        found: &mut Found,
        times: &mut [Processes; 2],
    ) {
        let mut none = |reason: String, lost: bool| {
            let (kernel, variant) = (&pair.new.subject.kernel, &pair.new.subject.variant);
            let known = found.not_measured.iter().any(|cell| {
                (&cell.runtime, &cell.kernel, &cell.variant) == (&self.launch.id, kernel, variant)
            });
            // Processes fail alike.
            if !known {
                found.not_measured.push(NotMeasured {
                    runtime: self.launch.id.clone(),
                    kernel: kernel.clone(),
                    variant: variant.clone(),
                    reason,
                    lost,
                });
            }
        };
        if self.worker.is_none() {
            match Worker::start(self.launch) {
                Ok(worker) => self.worker = Some(worker),
                Err(error) => return none(format!("failed to {error}"), false),
            }
        }
        let Some(worker) = &mut self.worker else {
            return;
        };
        if !allowed(worker.info(), pair) {
            return;
        }
        let mut failed = None;
        if count {
            let counted = pair
                .old
                .count(worker)
                .map_err(|failed| (failed, false))
                .and_then(|old| {
                    let new = pair.new.count(worker).map_err(|failed| (failed, true))?;
                    Ok((old, new))
                });
            match counted {
                Ok((old, new)) => {
                    let same =
                        |a: &Number, b: &Number| (a.quantity, &a.case) == (b.quantity, &b.case);
                    for new in new {
                        if let Some(old) = old.iter().find(|old| same(old, &new)) {
                            found.numbers.push(Numbers {
                                runtime: self.launch.id.clone(),
                                kernel: pair.new.subject.kernel.clone(),
                                variant: pair.new.subject.variant.clone(),
                                quantity: new.quantity,
                                case: new.case,
                                old: old.value,
                                new: new.value,
                            });
                        }
                    }
                }
                Err(what) => failed = Some(what),
            }
        }
        if failed.is_none()
            && let Some(time) = time
        {
            if worker.has_operation("time") {
                match pair.time(worker, time, random) {
                    Ok(values) => {
                        for (of, values) in times.iter_mut().zip(values) {
                            of.push(values);
                        }
                    }
                    Err(what) => failed = Some(what),
                }
            } else if count {
                none(
                    "the adapter does not know the optional operation `time`".to_owned(),
                    false,
                );
            }
        }
        if let Some((failed, lost)) = failed {
            none(failed.0, lost);
            // Modules of a pair that failed may still be there; a fresh process has none.
            self.worker = None;
        }
    }
}

fn facts(worker: &mut Worker, module: u64) -> Result<assay_worker::protocol::Facts> {
    Ok(worker.facts(module)?)
}

fn drop_module(worker: &mut Worker, module: u64) -> Result<()> {
    Ok(worker.drop_module(module)?)
}

fn returned_zero(what: &str, call: Option<&Outcome>) -> Result<()> {
    match call {
        Some(Outcome::Returned(0)) => Ok(()),
        Some(Outcome::Returned(status)) => {
            Err(wrong(format!("`{what}` answered {status} where 0 is due")))
        }
        Some(Outcome::Failed(error)) => Err(wrong(format!("failed to {error}"))),
        None => Err(wrong("no call was made".to_owned())),
    }
}

fn wrong(reason: String) -> Failed {
    Failed(reason)
}

impl From<RunError> for Failed {
    fn from(error: RunError) -> Self {
        Failed(format!("failed to {error}"))
    }
}
