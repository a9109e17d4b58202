//! One process of one engine: loads modules, times cells, checks what was timed, and only then hands the times over.

mod batch;
mod calls;
mod check;
mod memory;
mod part;
mod phases;
mod ring;
mod traps;

pub(super) use part::Part;

use super::{
    job::{Expect, Group, Job},
    native,
    record::{Cell, Engine, Key, Record, Sample, Twin},
    tables::is_yardstick,
};
use crate::{outcome::Outcome, registry::SLOW_COMPILERS};
use anyhow::Result;
use assay_worker::{InstanceChoice, Launch, RunError, Worker};
use fastrand::Rng;
use kernel_abi::export;
use runtime_api::{Budget, BudgetKind, Error, Info, Kind, Options};
use runtime_call::{Call, Invocation, Outcome as Returned};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How long a request to a worker may take that times or checks.
const WITHIN: Duration = Duration::from_secs(120);
/// Ticks of a timed call: ten minutes, which no call takes.
const TICKS: u64 = 60_000;
/// Fuel of a timed call: more than any call burns.
const FUEL: u64 = 1 << 50;
/// Elements of the largest tensors that interpreters get.
const INTERPRETED_ELEMENTS: u64 = 65_536;

/// The warm-up, as records state it.
pub(super) const WARM_UP: &str = "calls in batches of growing size, then one batch that lasts long enough: \
    round 0, kept in the records and left out of the tables";

/// How long and on what.
#[derive(Clone, Debug)]
pub(super) struct Effort {
    /// Of batches per cell and process.
    pub(super) time: Duration,
    /// Shortest batch.
    pub(super) batch: Duration,
    pub(super) budgets: Vec<BudgetKind>,
    /// Whether this is the desk check.
    pub(super) quick: bool,
    /// See [`Request::within_a_minute`](super::run::Request::within_a_minute).
    pub(super) within_a_minute: bool,
    /// Why nothing is timed, if nothing is.
    pub(super) refused: Option<String>,
}

/// A process of an engine.
pub(super) struct Session<'a> {
    launch: &'a Launch,
    process: u32,
    part: Part,
    effort: &'a Effort,
    worker: Worker,
    info: Info,
    random: Rng,
    /// How long the slowest module of the last group took to load.
    slowest_load: Duration,
    /// Of the group: nanoseconds of an element in a call that was timed on different inputs too.
    per_element: BTreeMap<(BudgetKind, Option<Twin>), f64>,
    /// Records go here.
    sink: &'a mut dyn FnMut(Record) -> Result<()>,
}

/// One of the things that run beside each other in a cell.
struct Lane {
    key: Key,
    budget: Budget,
    module: u64,
    iterations: u64,
    warm_up: u64,
    returned: i32,
    samples: Vec<Sample>,
    /// Requests for batches of a known size.
    requests: Vec<Request>,
    /// Set when it cannot go on.
    ended: Option<(Outcome, String)>,
}

/// A request for a batch.
#[derive(Clone, Copy)]
struct Request {
    /// How long it took by this process's clock.
    took: Duration,
    /// How long the worker says that its batch took.
    reported: Duration,
    /// Calls in it.
    calls: u64,
}

impl Lane {
    /// Another quantity of the same instance.
    fn beside(&self, quantity: &str) -> Lane {
        Lane {
            key: Key {
                quantity: quantity.to_owned(),
                ..self.key.clone()
            },
            samples: Vec::new(),
            requests: Vec::new(),
            ended: None,
            ..*self
        }
    }
}

impl<'a> Session<'a> {
    /// Starts a process.
    ///
    /// # Errors
    /// The inner one is the worker's; the outer one that records cannot be written.
    pub(super) fn start(
        launch: &'a Launch,
        process: u32,
        part: Part,
        effort: &'a Effort,
        seed: u64,
        sink: &'a mut dyn FnMut(Record) -> Result<()>,
    ) -> Result<Result<Self, String>> {
        let worker = match Worker::start(launch) {
            Ok(worker) => worker,
            Err(error) => return Ok(Err(format!("failed to {error}"))),
        };
        let info = worker.info().clone();
        sink(Record::Engine(Engine {
            runtime: launch.id.clone(),
            process,
            twin: part.twin(),
            info: info.clone(),
        }))?;
        Ok(Ok(Self {
            launch,
            process,
            part,
            effort,
            worker,
            info,
            random: Rng::with_seed(seed),
            slowest_load: Duration::ZERO,
            per_element: BTreeMap::new(),
            sink,
        }))
    }

    /// Whether it runs native code in place of modules: an engine that only says so is none.
    pub(super) fn is_native(&self) -> bool {
        self.info.engine == "native" && is_yardstick(&self.launch.id)
    }

    /// What the engine's process is, for the pack's gate.
    pub(super) fn info(&self) -> &Info {
        &self.info
    }

    /// How long the slowest module of the last group took to load.
    pub(super) fn slowest_load(&self) -> Duration {
        self.slowest_load
    }

    /// Times a group. `refusal` says why the pack does not let it run here.
    ///
    /// # Errors
    /// If records cannot be written.
    pub(super) fn group(&mut self, group: &Group, refusal: Option<String>) -> Result<()> {
        self.slowest_load = Duration::ZERO;
        self.per_element.clear();
        let native = self.is_native();
        let others = self.is_of_others();
        if (group.native_only && (!native || others)) || (native && group.native.is_none()) {
            return Ok(());
        }
        let mut modules = BTreeMap::new();
        for job in &group.jobs {
            // Interpreters are looked at up to 64 Ki elements, in variants at that size alone: a line goes through their times.
            let large = job.elements > INTERPRETED_ELEMENTS || group.variant != "base";
            let elsewhere = self.info.kind == Kind::Interpreter && large && !job.budgets;
            let small = others && job.elements < check::OTHERS_ELEMENTS;
            if !self.part.wants(&self.launch.id, group, job) || elsewhere || small {
                continue;
            }
            let budgets = self.budgets(group, job);
            let refused = refusal.clone().or_else(|| self.refused());
            let emulated = self.effort.refused.is_some() && refusal.is_none();
            if let Some(reason) = &refused
                && !emulated
            {
                for (budget, twin) in budgets {
                    let key = self.key(group, job, budget, twin, "call");
                    self.cell(job, key, Outcome::Unsupported, reason.clone(), 0)?;
                }
                continue;
            }
            if matches!(job.expect, Expect::Trap { .. }) {
                self.traps(group, job, refused, &mut modules)?;
            } else {
                self.job(group, job, &budgets, &mut modules)?;
            }
        }
        if self.part == Part::Everything && refusal.is_none() && self.refused().is_none() {
            self.facts(group, &modules)?;
            if self.process == 0 && !native {
                self.smallest_memory(group, &mut modules)?;
            }
        }
        for module in modules.into_values().flatten() {
            // A worker that is gone has forgotten it already.
            drop(self.worker.drop_module(module));
        }
        Ok(())
    }

    /// Why this process times nothing.
    fn refused(&self) -> Option<String> {
        if let Some(reason) = &self.effort.refused {
            return Some(reason.clone());
        }
        (!self.worker.has_operation("time"))
            .then(|| "the adapter does not know the optional operation `time`".to_owned())
    }

    /// Why a worker that times does not know this operation or kind of it.
    fn unknown(&self, operation: &str) -> Option<String> {
        (!self.worker.has_operation(operation)).then(|| {
            format!(
                "the adapter does not know the optional operation or kind of `time` `{operation}`"
            )
        })
    }

    /// How untrusted code is compiled here: with epochs, where the engine has them.
    fn usual(&self) -> BudgetKind {
        let epoch = BudgetKind::Epoch;
        if self.effort.budgets.contains(&epoch) && self.info.capabilities.budgets.contains(&epoch) {
            epoch
        } else {
            BudgetKind::None
        }
    }

    /// The kinds of budget of a job, and the one that comes twice: no budget where budgets are compared.
    fn budgets(&self, group: &Group, job: &Job) -> Vec<(BudgetKind, Option<Twin>)> {
        if self.is_native() || self.part == Part::Twin {
            return vec![(BudgetKind::None, None)];
        }
        // Each module of theirs is compiled for no more than is needed.
        let slow = SLOW_COMPILERS.contains(&self.launch.id.as_str());
        if !job.budgets || (slow && group.variant != "base") {
            let first = self.effort.budgets.first().copied();
            return vec![(first.unwrap_or(BudgetKind::None), None)];
        }
        let mut budgets: Vec<_> = self
            .effort
            .budgets
            .iter()
            .map(|budget| (*budget, None))
            .collect();
        if let Some((first, _)) = budgets.first().copied()
            && job.beside
            && (!slow || job.apart)
        {
            budgets.push((first, Some(Twin::Beside)));
        }
        budgets
    }

    fn key(
        &self,
        group: &Group,
        job: &Job,
        budget: BudgetKind,
        twin: Option<Twin>,
        quantity: &str,
    ) -> Key {
        Key {
            runtime: self.launch.id.clone(),
            kernel: group.kernel.clone(),
            variant: group.variant.clone(),
            case: job.case.clone(),
            budget,
            twin: twin.or(self.part.twin()),
            quantity: quantity.to_owned(),
        }
    }

    fn cell(
        &mut self,
        job: &Job,
        key: Key,
        outcome: Outcome,
        detail: String,
        warm_up: u64,
    ) -> Result<()> {
        (self.sink)(Record::Cell(Cell {
            key,
            process: self.process,
            outcome,
            detail,
            size: job.size.to_owned(),
            elements: job.elements,
            bytes: job.bytes,
            operations: job.operations,
            warm_up,
        }))
    }

    /// Loads the group's module for a kind of budget, once for each twin.
    fn load(
        &mut self,
        group: &Group,
        budget: BudgetKind,
        twin: Option<Twin>,
        modules: &mut Modules,
    ) -> Result<u64, (Outcome, String)> {
        if let Some(Some(module)) = modules.get(&(budget, twin)) {
            return Ok(*module);
        }
        if !self.info.capabilities.budgets.contains(&budget) {
            return Err((
                Outcome::Unsupported,
                format!("the engine has no budget of kind {budget}"),
            ));
        }
        let options = Options {
            limits: group.limits,
            metering: budget,
        };
        let start = Instant::now();
        let loaded = match (&group.native, self.is_native()) {
            (Some(name), true) => self.worker.load(&native::module(name), &options),
            _ => self.worker.load(&group.wasm, &options),
        };
        self.slowest_load = self.slowest_load.max(start.elapsed());
        match loaded {
            Ok(module) => {
                modules.insert((budget, twin), Some(module));
                Ok(module)
            }
            Err(error) => Err(self.failed(error, modules)),
        }
    }

    /// How a request ended that did not end well. A worker that was lost is started again, its modules are gone.
    fn failed(&mut self, error: RunError, modules: &mut Modules) -> (Outcome, String) {
        let text = format!("failed to {error}");
        match error {
            RunError::Engine(Error::Unsupported { .. }) => (Outcome::Unsupported, text),
            RunError::Engine(_) => (Outcome::Fail, text),
            RunError::Worker(_) => {
                modules.clear();
                if let Ok(worker) = Worker::start(self.launch) {
                    self.worker = worker;
                }
                (Outcome::Error, text)
            }
        }
    }

    fn job(
        &mut self,
        group: &Group,
        job: &Job,
        budgets: &[(BudgetKind, Option<Twin>)],
        modules: &mut Modules,
    ) -> Result<()> {
        let mut lanes = Vec::new();
        for (kind, twin) in budgets {
            let key = self.key(group, job, *kind, *twin, "call");
            let prepared = self
                .load(group, *kind, *twin, modules)
                .and_then(|module| self.place(job, module, amount(*kind), modules));
            match prepared {
                Ok(module) => lanes.push(Lane {
                    key,
                    budget: amount(*kind),
                    module,
                    iterations: 0,
                    warm_up: 0,
                    returned: 0,
                    samples: Vec::new(),
                    requests: Vec::new(),
                    ended: None,
                }),
                Err((outcome, detail)) => self.cell(job, key, outcome, detail, 0)?,
            }
        }
        if let Some(reason) = self.refused() {
            // Timing is refused, checking is not.
            for lane in lanes {
                let checked = self.check(job, &lane, true, modules);
                let (outcome, detail) =
                    checked.map_or_else(|bad| bad, |()| (Outcome::Unsupported, reason.clone()));
                self.cell(job, lane.key, outcome, detail, 0)?;
            }
            return Ok(());
        }
        self.refuse_batches(job, &lanes)?;
        self.calls(group, job, &mut lanes, modules);
        // Lanes share an instance: what the calls left of all of them is looked at before anything else is written there.
        let mut checked = Vec::new();
        for mut lane in lanes {
            let left = match lane.ended.take() {
                Some(ended) => Err(ended),
                None => self.left_and_again(job, &lane, modules),
            };
            checked.push((lane, left));
        }
        for (lane, left) in checked {
            match left.and_then(|()| self.is_no_trick(group, job, &lane, modules)) {
                Ok(()) => {
                    self.cell(job, lane.key, Outcome::Pass, String::new(), lane.warm_up)?;
                    for sample in lane.samples {
                        (self.sink)(Record::Sample(sample))?;
                    }
                }
                Err((outcome, detail)) => self.cell(job, lane.key, outcome, detail, 0)?,
            }
        }
        if job.phases && self.part != Part::Twin && !self.is_native() {
            for (kind, twin) in budgets {
                let wanted = self.part == Part::Everything || *kind == self.usual();
                if twin.is_none()
                    && wanted
                    && let Some(Some(module)) = modules.get(&(*kind, None)).copied()
                {
                    self.phases(group, job, *kind, module, modules)?;
                }
            }
        }
        Ok(())
    }

    /// A fresh instance with its inputs, before anything is timed.
    fn place(
        &mut self,
        job: &Job,
        module: u64,
        budget: Budget,
        modules: &mut Modules,
    ) -> Result<u64, (Outcome, String)> {
        let mut invocation = job.writing();
        if let Some(arguments) = job.init {
            invocation.calls.push(Call {
                export: export::INIT.to_owned(),
                arguments: arguments.to_vec(),
                budget,
            });
        }
        let observation = self
            .worker
            .run_within(module, InstanceChoice::Fresh, budget, invocation, WITHIN)
            .map_err(|error| self.failed(error, modules))?;
        match observation.calls.last() {
            None | Some(Returned::Returned(0)) => Ok(module),
            Some(Returned::Returned(status)) => Err((
                Outcome::Fail,
                format!("`{}` answered {status} where 0 is due", export::INIT),
            )),
            Some(Returned::Failed(error)) => Err((Outcome::Fail, format!("failed to {error}"))),
        }
    }
}

/// Nothing, or how a cell ends.
type Checked = Result<(), (Outcome, String)>;

/// Modules that the worker has, by metering and twin.
type Modules = BTreeMap<(BudgetKind, Option<Twin>), Option<u64>>;

fn amount(kind: BudgetKind) -> Budget {
    match kind {
        BudgetKind::None => Budget::None,
        BudgetKind::Epoch => Budget::Epoch(TICKS),
        BudgetKind::Fuel => Budget::Fuel(FUEL),
    }
}

fn nothing() -> Invocation {
    Invocation {
        pages: 0,
        writes: Vec::new(),
        calls: Vec::new(),
        reads: Vec::new(),
    }
}
