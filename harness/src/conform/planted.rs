//! Faults planted into the pack's own kernels, to see whether an engine tells of them: a trap, a loop without end, growth, a stray write, another
//! answer, each at a drawn call amid ordinary ones. An engine, or the adapter in front of it, that is honest where it sees a test has no way to see one
//! here: the modules are new in every run, and what is asked of them is what [`sequence`](super::sequence) asks of kernels.
//!
//! Kernels, cases, calls, places and words follow from the run's own seed. All engines are asked the same.

mod draw;
mod fault;
mod place;
mod timed;
mod tried;

use self::{
    fault::{Fault, TRAPS},
    tried::{Tried, either, in_time},
};
use super::{
    forms,
    judge::Layer,
    observe::{self, Alone, Ended, Exchange, Loaded},
    plan,
    request::Request,
    run::Work,
    sequence::{
        Sequence, Stop, Why,
        planted::{self, Effect, Entered, Planted},
    },
    subject::Subject,
};
use crate::{
    basics::Finding,
    outcome::Outcome,
    output::Output,
    registry,
    suite::{self, Suite},
};
use assay_worker::{GRACE, Launch, RunError, Worker};
use kernel_cases::case::Entry;
use kernel_pack::Pack;
use runtime_api::{Budget, BudgetKind, Error, Info, Stage, Trap};
use std::time::Duration;

/// Name of the file of all findings in a results folder.
pub const FILE: &str = "planted.json";
/// Number of checks; an engine of which fewer are known has not been looked at.
pub const COUNT: usize = 6;

/// How long after its deadline a call may be over, in this process.
const LATE: Duration = GRACE;
/// What the watchdog allows beyond budgets.
const ALLOWANCE: Duration = Duration::from_secs(4);
/// How often a check is made at most where the machine may have been busy.
const TRIES: u32 = 3;

/// What is planted, and what has to come of it.
struct Plant<'a> {
    work: &'a Work,
    alone: Vec<Option<Alone>>,
    sequence: Sequence,
    /// Where it happens, and in which function.
    at: Entered,
    entry: Entry,
    /// Whether fuel is the budget, where an engine counts it.
    by_fuel: bool,
    fault: Fault,
    /// The kernel with the fault in it.
    subject: Subject,
}

/// [`on_all`] for a run: what kernels give without faults is what the first engine in this executable that can work makes of it. Where there is none, the first
/// engine is compared with itself: other checks compare it with what is right.
pub fn of_run(
    launches: &[Launch],
    pack: &Pack,
    work: &[Work],
    request: &Request,
    output: &Output,
) -> Vec<Finding> {
    let limit = Some(request.limits.of_preparation("the planted faults"));
    let launches = launches.iter().map(|launch| launch.limited(limit));
    let launches: Vec<Launch> = launches.collect();
    let mut references = registry::in_this_executable(limit);
    if references.is_empty() {
        references.extend(launches.first().cloned());
    }
    on_all(&launches, &references, pack, work, request.own_seed, output)
}

/// Plants faults into kernels of a plan and asks all engines about them: [`COUNT`] findings for each. What kernels give without them is what the
/// first of the engines `references` that can work makes of it; where there is none, nothing is planted.
pub fn on_all(
    launches: &[Launch],
    references: &[Launch],
    pack: &Pack,
    work: &[Work],
    seed: u64,
    output: &Output,
) -> Vec<Finding> {
    let plants = draw::plants(references, work, seed);
    let found = suite::on_all(&OnEngines { pack, plants }, launches, output);
    found.into_iter().flatten().collect()
}

/// What was planted, for engines to be asked about it.
struct OnEngines<'a> {
    pack: &'a Pack,
    plants: Vec<Planting<'a>>,
}

impl Suite for OnEngines<'_> {
    type Findings = Vec<Finding>;
    const NAME: &'static str = "planted faults";
    const STEPS: &'static str = "engines";

    fn run(&self, launch: &Launch, done: &(dyn Fn(usize) + Sync)) -> Vec<Finding> {
        let found = on_engine(launch, self.pack, &self.plants);
        done(1);
        found
    }
}

/// Asks an engine about everything that was planted.
fn on_engine(launch: &Launch, pack: &Pack, plants: &[Planting<'_>]) -> Vec<Finding> {
    let mut worker = Worker::start(launch).map_err(|error| format!("failed to {error}"));
    let mut findings = Vec::new();
    for Planting {
        check,
        plants,
        left_out,
    } in plants
    {
        let (outcome, detail) = match (plants, &mut worker) {
            (Err(why), _) => why.clone(),
            (_, Err(why)) => (Outcome::Error, why.clone()),
            (Ok(plants), Ok(worker)) => {
                let plant = plants.of(worker.info(), pack);
                let (outcome, detail) = plant.ask(worker, pack);
                let of = plant.name();
                match outcome {
                    // What cannot be asked is so of any kernel.
                    Outcome::Unsupported => (outcome, detail),
                    _ => (outcome, format!("{of}: {detail}")),
                }
            }
        };
        let left_out = left_out.iter();
        let left_out = left_out.map(|why| format!("; nothing was planted into {why}"));
        findings.push(Finding {
            runtime: launch.id.clone(),
            check: (*check).to_owned(),
            outcome,
            detail: detail + &left_out.collect::<String>(),
        });
        // What failed may have lost its worker, or left it in a bad state.
        if worker.is_ok() && outcome.is_bad() {
            worker = Worker::start(launch).map_err(|error| format!("failed to {error}"));
        }
    }
    findings
}

type Asked = (Outcome, String);

/// A check, and what was planted for it.
struct Planting<'a> {
    check: &'static str,
    /// Or why nothing was, and whether that is an error.
    plants: Result<Plants<'a>, Asked>,
    /// Kernels that fail by themselves, and how.
    left_out: Vec<String>,
}

/// What was planted into a base module, and perhaps into a variant, for engines that run it.
struct Plants<'a> {
    variant: Option<Plant<'a>>,
    base: Plant<'a>,
}

impl Plants<'_> {
    /// The one for an engine.
    fn of(&self, info: &Info, pack: &Pack) -> &Plant<'_> {
        let runs = |plant: &&Plant<'_>| plan::gate(pack, info, &plant.work.subject).is_ok();
        self.variant.as_ref().filter(runs).unwrap_or(&self.base)
    }
}

impl Plant<'_> {
    /// Where it is, for people.
    fn name(&self) -> String {
        let what = match self.entry {
            Entry::Forward => "call",
            Entry::Backward => "gradient",
        };
        format!("{}, {what} {}", self.subject.name(), self.at.call)
    }

    fn ask(&self, worker: &mut Worker, pack: &Pack) -> Asked {
        let info = worker.info().clone();
        if let Err(reason) = plan::gate(pack, &info, &self.work.subject) {
            return (Outcome::Unsupported, reason);
        }
        if let Some(reason) = self.unsupported(worker, &info) {
            return (Outcome::Unsupported, reason);
        }
        let mut asked = self.patiently(worker, self.by_fuel);
        let both = [BudgetKind::Epoch, BudgetKind::Fuel];
        if let Tried::Told(what) = &asked
            && self.fault == Fault::Endless
            && both
                .iter()
                .all(|kind| info.capabilities.budgets.contains(kind))
        {
            // Who holds one kind of budget may let the other pass.
            asked = match self.patiently(worker, !self.by_fuel) {
                Tried::Told(other) => Tried::Told(format!("{what}; {other}")),
                untold => untold,
            };
        }
        match asked {
            Tried::Told(what) => (Outcome::Pass, what),
            Tried::Not(what) | Tried::Busy(what) => (Outcome::Fail, what),
            Tried::Error(what) => (Outcome::Error, what),
        }
    }

    fn unsupported(&self, worker: &Worker, info: &Info) -> Option<String> {
        let budgets = &info.capabilities.budgets;
        let interrupts = budgets.iter().any(|kind| *kind != BudgetKind::None);
        if !forms::compiles(info) {
            let reason = "the engine has no compiler on this machine, and a module that is new in every run was compiled on no other";
            return Some(reason.to_owned());
        }
        match self.fault {
            Fault::Endless if !interrupts => {
                Some("the engine states no budget that would end it".to_owned())
            }
            Fault::Growth { .. } if !info.capabilities.memory_limit => {
                Some("the engine states no limit of memory".to_owned())
            }
            Fault::Count { .. } if !worker.has_operation("time") => {
                Some("the adapter does not know the optional operation `time`".to_owned())
            }
            _ => None,
        }
    }

    /// Once, and with longer budgets where the machine may have been busy, or the kernel is slow.
    fn patiently(&self, worker: &mut Worker, by_fuel: bool) -> Tried {
        let mut asked = self.once(worker, 1, by_fuel);
        for again in 1..TRIES {
            if !matches!(asked, Tried::Busy(_)) {
                break;
            }
            asked = self.once(worker, 1 << (2 * again), by_fuel);
        }
        asked
    }

    fn once(&self, worker: &mut Worker, patience: u64, by_fuel: bool) -> Tried {
        let subject = Subject {
            ticks: self.subject.ticks.saturating_mul(patience),
            ..self.subject.clone()
        };
        let fuel = subject.fuel.filter(|_| by_fuel);
        // What was drawn may be less than an ordinary call of a slow kernel takes.
        let fuel = fuel.map(|fuel| fuel.saturating_mul(patience));
        let counts = worker
            .info()
            .capabilities
            .budgets
            .contains(&BudgetKind::Fuel);
        let budget = match fuel.filter(|_| counts) {
            Some(fuel) => Budget::Fuel(fuel),
            None => observe::budget(worker.info(), &subject),
        };
        let loaded = match observe::load_with(worker, &subject, budget) {
            Ok(loaded) => Loaded {
                allowance: match loaded.budget {
                    Budget::Epoch(_) => ALLOWANCE,
                    Budget::Fuel(_) | Budget::None => loaded.allowance,
                },
                ..loaded
            },
            Err(RunError::Engine(error)) => {
                return Tried::Not(format!("the module is refused: failed to {error}"));
            }
            Err(RunError::Worker(error)) => return Tried::Error(format!("failed to {error}")),
        };
        let module = loaded.module;
        let tried = match self.fault {
            Fault::Count { at } => timed::calls(worker, &subject, loaded, self, at),
            _ => self.sequence(worker, &subject, loaded),
        };
        // A worker that is gone has forgotten it already, and is not asked again.
        drop(worker.drop_module(module));
        tried
    }

    fn sequence(&self, worker: &mut Worker, subject: &Subject, loaded: Loaded) -> Tried {
        let planted = Planted {
            call: self.at.call,
            entry: self.entry,
            effect: match self.fault {
                Fault::Growth { by: 1, .. } => Effect::Page,
                Fault::Stray { at, word } => Effect::Stray { at, word },
                Fault::Answer { offset, word } => Effect::Answer { offset, word },
                Fault::Trap(_) | Fault::Endless | Fault::Growth { .. } | Fault::Count { .. } => {
                    Effect::Nothing
                }
            },
        };
        let mut used_up = 0;
        let exchange = Exchange {
            worker,
            subject,
            loaded,
            used_up: &mut used_up,
        };
        let (ended, took) = planted::run(
            exchange,
            &self.work.cases,
            &self.alone,
            &self.sequence,
            &planted,
        );
        self.judge(ended, took, loaded)
    }

    fn judge(&self, ended: Result<(), Stop>, took: Duration, loaded: Loaded) -> Tried {
        let due: &[Trap] = match &self.fault {
            Fault::Trap(way) => std::slice::from_ref(&TRAPS[*way].0),
            Fault::Endless if loaded.budget.time().is_none() => &[Trap::FuelExhausted],
            Fault::Endless => &[Trap::EpochDeadline],
            _ => &[],
        };
        let stop = match ended {
            Ok(()) if due.is_empty() => {
                let calls = self.sequence.len();
                return Tried::Told(format!("told in full, amid {calls} calls"));
            }
            Ok(()) => {
                return Tried::Not(format!("all calls returned, where {} is due", either(due)));
            }
            Err(stop) => stop,
        };
        let here = stop.step == self.at.step;
        let Why::Ended(Ended::Stopped(Error::Trap { stage, trap })) = &stop.why else {
            return match &stop.why {
                Why::Ended(Ended::Lost(_)) if here && self.fault == Fault::Endless => {
                    Tried::Not(format!("the call was not stopped: {stop}"))
                }
                Why::Ended(Ended::Lost(_)) => Tried::Error(stop.to_string()),
                _ => Tried::Not(self.untold(&stop)),
            };
        };
        let deadline = *trap == Trap::EpochDeadline;
        if here && *stage == Stage::Call && due.contains(trap) {
            let budget = loaded.budget.time().filter(|_| deadline);
            return match budget {
                Some(budget) => in_time(budget, took),
                None => Tried::Told(format!("ended by {trap}")),
            };
        }
        let drawn = self.fault == Fault::Endless && *trap == Trap::FuelExhausted;
        match deadline || drawn && stop.step < self.at.step {
            true => Tried::Busy(self.untold(&stop)),
            false => Tried::Not(self.untold(&stop)),
        }
    }

    /// What the harness knows to have happened, and what was seen.
    fn untold(&self, stop: &Stop) -> String {
        let layer = match &stop.why {
            Why::Wrong(layer, _) => *layer,
            Why::Ended(_) => Layer::L1,
        };
        let planted = match self.fault {
            Fault::Trap(way) => format!("the trap {}", TRAPS[way].0),
            Fault::Endless => "a loop without end".to_owned(),
            Fault::Growth { limit, by, .. } => {
                format!("growth by {by} pages, and none beyond the limit of {limit},")
            }
            Fault::Stray { at, .. } => format!("a word written at address {at}"),
            Fault::Answer { offset, .. } => {
                format!("a word written at byte {offset} of the output")
            }
            Fault::Count { .. } => "calls".to_owned(),
        };
        format!(
            "{planted} is due at step {}, and {layer:?} says {stop}",
            self.at.step
        )
    }
}
