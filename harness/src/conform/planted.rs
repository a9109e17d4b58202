//! Faults planted into the pack's own kernels, to see whether an engine tells of them: a trap, a loop without end, growth, a stray write, another
//! answer, each at a drawn call amid ordinary ones. An engine, or the adapter in front of it, that is honest where it sees a test has no way to see one
//! here: the modules are new in every run, and what is asked of them is what [`sequence`](super::sequence) asks of kernels.
//!
//! Kernels, cases, calls, places and words follow from the run's own seed. All engines are asked the same.

mod fault;
mod place;
mod timed;
mod tried;

use self::{
    fault::{Fault, TRAPS},
    place::Place,
    tried::{Tried, either, in_time},
};
use super::{
    forms,
    judge::Layer,
    observe::{self, Alone, Ended, Exchange, Loaded},
    placement::{self, index},
    plan,
    request::Request,
    run::{Session, Work},
    sequence::{
        Sequence, Stop, Why, bytes,
        planted::{self, Effect, Entered, Planted},
    },
    subject::{self, Prepared, Subject},
};
use crate::{basics::Finding, outcome::Outcome, output::Output, parallel, registry};
use assay_worker::{GRACE, Launch, RunError, Worker};
use fastrand::Rng;
use kernel_cases::case::{Case, Entry};
use kernel_pack::Pack;
use runtime_api::{Budget, BudgetKind, Error, Info, Stage, Trap};
use std::time::Duration;

/// Name of the file of all findings in a results folder.
pub const FILE: &str = "planted.json";
/// Number of checks; an engine of which fewer are known has not been looked at.
pub const COUNT: usize = 6;

/// Calls of a sequence.
const CALLS: usize = 24;
/// Cases that a sequence draws from.
const CASES: usize = 10;
/// Tensors of a case that is drawn.
const SMALL_BYTES: usize = 4 << 10;
/// Ordinary calls before something happens, at least.
const CALLS_BEFORE: u32 = 3;
/// Ticks of a call that has no end, from and to.
const ENDLESS_TICKS: std::ops::Range<u64> = 5..13;
/// Fuel of such a call, where an engine has no ticks.
const ENDLESS_FUEL: u64 = 20_000_000;
/// Ticks of every other call, at most.
const TICKS: u64 = 200;
/// How long after its deadline a call may be over, in this process.
const LATE: Duration = GRACE;
/// Pages that memory may grow by, beyond those of the largest call.
const ROOM: u32 = 5;
/// What the watchdog allows beyond budgets.
const ALLOWANCE: Duration = Duration::from_secs(4);
/// How often a check is made at most where the machine may have been busy.
const TRIES: u32 = 3;

/// What is planted, and what has to come of it.
struct Plant<'a> {
    work: &'a Work,
    alone: Vec<Option<Alone>>,
    sequence: Sequence,
    /// Where it happens.
    at: Entered,
    fault: Fault,
    /// The kernel with the fault in it.
    subject: Subject,
}

/// The checks: names, and what each plants into a drawn kernel.
type Draw = fn(&mut Rng, &Prepared, Place<'_>) -> Option<Fault>;
const CHECKS: [(&str, Draw); COUNT] = [
    ("a trap in a kernel", |random, _, _| {
        Some(Fault::Trap(index(random, TRAPS.len())))
    }),
    ("a kernel without end", |_, _, _| Some(Fault::Endless)),
    ("growth in a kernel", |random, _, place| {
        Some(Fault::Growth {
            limit: place.limit,
            by: place.room,
            refused: random.i32(1..),
        })
    }),
    ("a stray write of a kernel", |random, _, place| {
        Some(Fault::Stray {
            at: place.free(random)?,
            word: random.u32(1..),
        })
    }),
    ("a wrong answer of a kernel", |random, prepared, _| {
        let words = prepared.case.output_size / 4;
        (words > 0).then(|| Fault::Answer {
            offset: 4 * random.u32(..words),
            word: random.u32(1..),
        })
    }),
    ("calls that are timed", |random, _, place| {
        Some(Fault::Count {
            at: place.free(random)?,
        })
    }),
];

/// [`on_all`] for a run: what kernels give without faults is what the first engine in this executable makes of it. Where there is none, the first
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
    let own = registry::in_this_executable(limit);
    let reference = own.first().or(launches.first());
    on_all(&launches, reference, pack, work, request.own_seed, output)
}

/// Plants faults into kernels of a plan and asks all engines about them: [`COUNT`] findings for each. What kernels give without them is what the
/// engine `reference` makes of it; where there is none, nothing is planted.
pub fn on_all(
    launches: &[Launch],
    reference: Option<&Launch>,
    pack: &Pack,
    work: &[Work],
    seed: u64,
    output: &Output,
) -> Vec<Finding> {
    let plants = plants(reference, work, seed);
    let template = "{wide_bar} {pos}/{len} engines";
    let progress = output.progress_bar("planted faults", launches.len() as u64, template);
    let found = parallel::each(launches, parallel::processors(), |launch| {
        let found = on_engine(launch, pack, &plants);
        progress.inc(1);
        found
    });
    progress.finish_and_clear();
    found.into_iter().flatten().collect()
}

fn plants<'a>(
    reference: Option<&Launch>,
    work: &'a [Work],
    seed: u64,
) -> Vec<(&'static str, Result<Plant<'a>, String>)> {
    let base: Vec<&Work> = work
        .iter()
        .filter(|work| work.subject.variant == "base" && work.subject.standard.contract.is_ok())
        .collect();
    let mut random = placement::random(seed, &["planted"]);
    let draw = |(check, draw): (&'static str, Draw)| {
        let mut kernels = base.clone();
        placement::shuffle(&mut random, &mut kernels);
        let mut planted =
            Err("no kernel of the pack has calls that something can be planted in".to_owned());
        for work in kernels {
            planted = plant(reference, work, (check, draw), &mut random);
            if planted.is_ok() {
                break;
            }
        }
        (check, planted)
    };
    CHECKS.into_iter().map(draw).collect()
}

/// Draws a sequence of a kernel's cases, and what happens at one of its calls.
fn plant<'a>(
    reference: Option<&Launch>,
    work: &'a Work,
    (check, draw): (&'static str, Draw),
    random: &mut Rng,
) -> Result<Plant<'a>, String> {
    let small = |index: &usize| bytes(&work.cases[*index].case) <= SMALL_BYTES;
    let mut drawn: Vec<usize> = (0..work.cases.len()).filter(small).collect();
    placement::shuffle(random, &mut drawn);
    // Half of them are such that something can happen in, however many others there are.
    drawn.sort_by_key(|index| !can_be_planted_in(&work.cases[*index].case));
    let (planted_in, others) = drawn.split_at(drawn.len().min(CASES / 2));
    let mut others = others.to_vec();
    placement::shuffle(random, &mut others);
    others.truncate(CASES - planted_in.len());
    let mut drawn = [planted_in, &others].concat();
    let reference = reference.ok_or("there is no engine to compare with")?;
    let mut session = Session::new(reference);
    let loaded = session.load(&work.subject).map_err(|(_, why)| why)?;
    let mut alone: Vec<Option<Alone>> = work.cases.iter().map(|_| None).collect();
    for &index in &drawn {
        alone[index] = session.one(&work.subject, loaded, &work.cases[index]).1;
    }
    drawn.retain(|index| alone[*index].is_some());
    let sequence = Sequence::drawn(check, &drawn, CALLS, random);
    let mut entered = sequence.entered(&work.cases);
    entered.retain(|at| at.call > CALLS_BEFORE && can_be_planted_in(&work.cases[at.index].case));
    placement::shuffle(random, &mut entered);
    let (limit, room) = limit(work, &drawn);
    for at in entered {
        let prepared = &work.cases[at.index];
        let place = prepared.second.again(at.seed);
        let Ok(placed) = subject::place(&prepared.case, &work.subject, &place) else {
            continue;
        };
        let place = Place {
            placed: &placed,
            heap_base: work.subject.heap_base,
            limit,
            room,
        };
        let Some(fault) = draw(random, prepared, place) else {
            continue;
        };
        let own = &work.subject;
        let wasm = fault.plant(&own.wasm, &own.entry_point, at.call);
        let (ticks, fuel) = match fault {
            Fault::Endless => (random.u64(ENDLESS_TICKS), Some(ENDLESS_FUEL)),
            _ => (own.ticks.min(TICKS), own.fuel),
        };
        let subject = Subject {
            wasm: wasm.map_err(|error| format!("failed to {error}"))?,
            max_pages: limit,
            ticks,
            fuel,
            ..own.clone()
        };
        return Ok(Plant {
            work,
            alone,
            sequence,
            at,
            fault,
            subject,
        });
    }
    Err(format!(
        "{} has no call that something can be planted in",
        work.subject.kernel
    ))
}

/// Whether a case is a call of the entry point with an output, where its descriptor says that it is.
fn can_be_planted_in(case: &Case) -> bool {
    case.entry == Entry::Forward && case.expects_output() && case.tweaks.is_empty()
}

/// Pages for the calls of these cases, and for what a host and a kernel may add, and how many of those are the kernel's: a device may have no room.
fn limit(work: &Work, cases: &[usize]) -> (u32, u32) {
    let pages = cases.iter().map(|&index| {
        let prepared = &work.cases[index];
        prepared.first.pages.max(prepared.second.pages)
    });
    let most = pages.max().unwrap_or_default();
    let most = most.max(work.subject.minimum_pages).saturating_add(ROOM);
    let limit = most.min(work.subject.max_pages);
    (limit, u32::from(limit == most))
}

/// Asks an engine about everything that was planted.
fn on_engine(
    launch: &Launch,
    pack: &Pack,
    plants: &[(&'static str, Result<Plant<'_>, String>)],
) -> Vec<Finding> {
    let mut worker = Worker::start(launch).map_err(|error| format!("failed to {error}"));
    let mut findings = Vec::new();
    for (check, plant) in plants {
        let (outcome, detail) = match (plant, &mut worker) {
            (Err(why), _) => (Outcome::Unsupported, why.clone()),
            (_, Err(why)) => (Outcome::Error, why.clone()),
            (Ok(plant), Ok(worker)) => {
                let (outcome, detail) = plant.ask(worker, pack);
                let of = format!("{}, call {}", plant.work.subject.kernel, plant.at.call);
                match outcome {
                    // What cannot be asked is so of any kernel.
                    Outcome::Unsupported => (outcome, detail),
                    _ => (outcome, format!("{of}: {detail}")),
                }
            }
        };
        findings.push(Finding {
            runtime: launch.id.clone(),
            check: (*check).to_owned(),
            outcome,
            detail,
        });
        // What failed may have lost its worker, or left it in a bad state.
        if worker.is_ok() && outcome.is_bad() {
            worker = Worker::start(launch).map_err(|error| format!("failed to {error}"));
        }
    }
    findings
}

type Asked = (Outcome, String);

impl Plant<'_> {
    fn ask(&self, worker: &mut Worker, pack: &Pack) -> Asked {
        let info = worker.info().clone();
        if let Err(reason) = plan::gate(pack, &info, &self.work.subject) {
            return (Outcome::Unsupported, reason);
        }
        if let Some(reason) = self.unsupported(worker, &info) {
            return (Outcome::Unsupported, reason);
        }
        let mut asked = self.once(worker, 1);
        for again in 1..TRIES {
            if !matches!(asked, Tried::Busy(_)) {
                break;
            }
            asked = self.once(worker, 1 << (2 * again));
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

    fn once(&self, worker: &mut Worker, patience: u64) -> Tried {
        let subject = Subject {
            ticks: self.subject.ticks.saturating_mul(patience),
            ..self.subject.clone()
        };
        let loaded = match observe::load(worker, &subject) {
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
            Fault::Endless => &[Trap::EpochDeadline, Trap::FuelExhausted],
            _ => &[],
        };
        let stop = match ended {
            Ok(()) if due.is_empty() => {
                return Tried::Told(format!("told in full, amid {CALLS} calls"));
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
        match deadline {
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
