//! The order of a run: processes after processes, in each all engines in an order drawn from the seed.

use super::{
    job::{self, Scope},
    native,
    record::{self, Cell, End, Key, Record, Run},
    session::{Effort, Part, Session, WARM_UP},
};
use crate::{
    conform::plan,
    machine::Fingerprint,
    results::{Lines, PackIdentity},
};
use anyhow::Result;
use assay_worker::Launch;
use fastrand::Rng;
use kernel_pack::Pack;
use runtime_api::BudgetKind;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// Processes of an engine for goals alone, in each round.
const FOR_GOALS: u32 = 4;

/// A module that takes an engine longer to load is slow; see [`Request::within_a_minute`].
const SLOW_LOAD: Duration = Duration::from_millis(150);

/// What was asked for.
pub struct Request<'a> {
    /// The verified pack.
    pub pack: &'a Pack,
    /// Engines that are ready, native workers among them.
    pub launches: &'a [Launch],
    /// Engines that are not, with the reason.
    pub absent: Vec<(String, String)>,
    /// Kernel ids and globs; empty means all.
    pub kernels: &'a [String],
    /// Kinds of budget.
    pub budgets: Vec<BudgetKind>,
    /// Processes per engine.
    pub processes: u32,
    /// Of batches per cell and process.
    pub time: Duration,
    /// Order and inputs.
    pub seed: u64,
    /// A desk check: fewer sizes, shorter batches.
    pub quick: bool,
    /// A desk check of which nobody said how much it shall do: modules that an engine is slow to load are measured in its first process
    /// only, and no thousand modules are loaded.
    pub within_a_minute: bool,
    /// When groups that have not begun are left out.
    pub limit: Duration,
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Groups that are done.
    pub done: u64,
    /// All groups.
    pub all: u64,
}

/// What became of a run.
pub struct Outcome {
    /// All records, as they were written.
    pub records: Vec<Record>,
    /// What could not be made, with the reason.
    pub notes: Vec<String>,
}

/// Measures, and writes each record as it comes.
///
/// # Errors
/// Usage for kernels that the pack does not have; if records cannot be written; if the native kernels are wrong.
pub fn run(request: &Request<'_>, lines: &mut Lines, step: &dyn Fn(Step)) -> Result<Outcome> {
    let start = Instant::now();
    let scope = Scope {
        seed: request.seed,
        quick: request.quick,
    };
    let (groups, notes) = job::groups(request.pack, request.kernels, scope)?;
    let fingerprint = Fingerprint::take();
    let effort = Effort {
        time: request.time,
        batch: request
            .time
            .div_f64(10.0)
            .clamp(Duration::from_micros(200), Duration::from_millis(2)),
        budgets: request.budgets.clone(),
        quick: request.quick,
        within_a_minute: request.within_a_minute,
        refused: fingerprint
            .emulated
            .as_ref()
            .map(|how| format!("not measured (emulated): {how}")),
    };
    let identity = PackIdentity::of(request.pack);
    let mut records = Vec::new();
    let mut sink = |record: Record| {
        lines.push(&record)?;
        records.push(record);
        Ok(())
    };
    sink(Record::Run(Box::new(Run {
        format: record::FORMAT,
        fingerprint,
        pack: record::Pack {
            name: identity.name,
            version: identity.version,
            key: identity.key,
            manifest_sha256: identity.manifest_sha256,
        },
        seed: request.seed,
        processes: request.processes,
        seconds: request.time.as_secs_f64(),
        quick: request.quick,
        budgets: request.budgets.clone(),
        warm_up: WARM_UP.to_owned(),
        absent: request.absent.clone(),
    })))?;

    let mut random = Rng::with_seed(request.seed);
    let for_goals = |engine: &str| match engine {
        _ if request.quick => 0,
        yardstick if yardstick.starts_with(native::BASELINE) => 0,
        _ => FOR_GOALS,
    };
    let all_for_goals: u32 = (request.launches.iter())
        .map(|launch| for_goals(&launch.id))
        .sum();
    let engines = request.launches.len() as u64;
    let mut progress = Step {
        done: 0,
        all: u64::from(request.processes)
            * (engines * (groups.len() as u64 + 1) + u64::from(all_for_goals)),
    };
    // Processes for goals have numbers of their own.
    let mut next_process = request.processes;
    let mut left_out = 0;
    // Engine and group.
    let mut slow: BTreeSet<(String, usize)> = BTreeSet::new();
    for process in 0..request.processes {
        let mut sessions = Vec::new();
        for launch in request.launches {
            sessions.extend([
                (launch, Part::Everything, process),
                (launch, Part::Twin, process),
            ]);
            for _ in 0..for_goals(&launch.id) {
                sessions.push((launch, Part::Goals, next_process));
                next_process += 1;
            }
        }
        random.shuffle(&mut sessions);
        for (launch, part, process) in sessions {
            let mut order: Vec<usize> = (0..groups.len()).collect();
            random.shuffle(&mut order);
            order.retain(|index| {
                let again = process > 0 && slow.contains(&(launch.id.clone(), *index));
                !again && part.has(&launch.id, &groups[*index])
            });
            let seed = random.u64(..);
            // What is not in the scope of this process counts as done.
            let size = match (part, order.len()) {
                (Part::Twin | Part::Goals, _) => 1,
                (Part::Everything, in_scope) => {
                    progress.done += (groups.len() - in_scope) as u64;
                    in_scope as u64
                }
            };
            if order.is_empty() {
                progress.done += size;
                step(progress);
                continue;
            }
            if start.elapsed() >= request.limit {
                left_out += size;
                progress.done += size;
                step(progress);
                continue;
            }
            let session = Session::start(launch, process, part, &effort, seed, &mut sink)?;
            let mut session = match session {
                Ok(session) => session,
                Err(reason) => {
                    sink(Record::Cell(Cell {
                        key: Key {
                            runtime: launch.id.clone(),
                            kernel: "worker".to_owned(),
                            variant: "base".to_owned(),
                            case: String::new(),
                            budget: BudgetKind::None,
                            twin: part.twin(),
                            quantity: "start".to_owned(),
                        },
                        process,
                        outcome: crate::outcome::Outcome::Error,
                        detail: reason,
                        size: String::new(),
                        elements: 0,
                        bytes: 0,
                        operations: None,
                        warm_up: 0,
                    }))?;
                    progress.done += size;
                    continue;
                }
            };
            for index in order {
                if start.elapsed() >= request.limit {
                    left_out += u64::from(part == Part::Everything);
                } else {
                    let group = &groups[index];
                    let refusal = match &group.subject {
                        Some(subject) if session.info().engine != "native" => {
                            plan::gate(request.pack, session.info(), subject).err()
                        }
                        _ => None,
                    };
                    session.group(group, refusal)?;
                    if request.within_a_minute
                        && part == Part::Everything
                        && session.slowest_load() >= SLOW_LOAD
                    {
                        slow.insert((launch.id.clone(), index));
                    }
                }
                if part == Part::Everything {
                    progress.done += 1;
                    step(progress);
                }
            }
            if part != Part::Everything {
                progress.done += 1;
                step(progress);
            }
        }
    }
    sink(Record::End(End {
        seconds: start.elapsed().as_secs_f64(),
        left_out,
        groups: progress.all,
    }))?;
    Ok(Outcome { records, notes })
}
