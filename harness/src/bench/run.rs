//! The order of a run: processes after processes, in each all engines in an order drawn from the seed.

use super::{
    job::{self, Group, Scope},
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
    let effort = request.effort(&fingerprint);
    let mut records = Vec::new();
    let mut sink = |record: Record| {
        lines.push(&record)?;
        records.push(record);
        Ok(())
    };
    sink(Record::Run(Box::new(request.record(fingerprint))))?;

    let mut random = Rng::with_seed(request.seed);
    let mut processes = Processes {
        request,
        groups: &groups,
        effort: &effort,
        start,
        step,
        progress: request.steps(groups.len()),
        left_out: 0,
        slow: BTreeSet::new(),
    };
    // Processes for goals have numbers of their own.
    let mut next_process = request.processes;
    for process in 0..request.processes {
        let mut sessions = Vec::new();
        for launch in request.launches {
            sessions.extend([
                (launch, Part::Everything, process),
                (launch, Part::Twin, process),
            ]);
            for _ in 0..request.for_goals(&launch.id) {
                sessions.push((launch, Part::Goals, next_process));
                next_process += 1;
            }
        }
        random.shuffle(&mut sessions);
        for session in sessions {
            processes.run(session, &mut random, &mut sink)?;
        }
    }
    let (left_out, groups) = (processes.left_out, processes.progress.all);
    sink(Record::End(End {
        seconds: start.elapsed().as_secs_f64(),
        left_out,
        groups,
    }))?;
    Ok(Outcome { records, notes })
}

impl Request<'_> {
    fn effort(&self, fingerprint: &Fingerprint) -> Effort {
        Effort {
            time: self.time,
            batch: self
                .time
                .div_f64(10.0)
                .clamp(Duration::from_micros(200), Duration::from_millis(2)),
            budgets: self.budgets.clone(),
            quick: self.quick,
            within_a_minute: self.within_a_minute,
            refused: fingerprint
                .emulated
                .as_ref()
                .map(|how| format!("not measured (emulated): {how}")),
        }
    }

    fn record(&self, fingerprint: Fingerprint) -> Run {
        let identity = PackIdentity::of(self.pack);
        Run {
            format: record::FORMAT,
            fingerprint,
            pack: record::Pack {
                name: identity.name,
                version: identity.version,
                key: identity.key,
                manifest_sha256: identity.manifest_sha256,
            },
            seed: self.seed,
            processes: self.processes,
            seconds: self.time.as_secs_f64(),
            quick: self.quick,
            budgets: self.budgets.clone(),
            warm_up: WARM_UP.to_owned(),
            absent: self.absent.clone(),
        }
    }

    /// Processes of an engine for goals alone, in each round.
    fn for_goals(&self, engine: &str) -> u32 {
        match engine {
            _ if self.quick => 0,
            yardstick if yardstick.starts_with(native::BASELINE) => 0,
            _ => FOR_GOALS,
        }
    }

    /// Nothing is done yet.
    fn steps(&self, groups: usize) -> Step {
        let for_goals: u32 = (self.launches.iter())
            .map(|launch| self.for_goals(&launch.id))
            .sum();
        let engines = self.launches.len() as u64;
        Step {
            done: 0,
            all: u64::from(self.processes) * (engines * (groups as u64 + 1) + u64::from(for_goals)),
        }
    }
}

/// Processes of all engines, one after the other, and how far they are.
struct Processes<'a> {
    request: &'a Request<'a>,
    groups: &'a [Group],
    effort: &'a Effort,
    start: Instant,
    step: &'a dyn Fn(Step),
    progress: Step,
    /// Groups that had no time.
    left_out: u64,
    /// Engine and group.
    slow: BTreeSet<(String, usize)>,
}

impl Processes<'_> {
    fn late(&self) -> bool {
        self.start.elapsed() >= self.request.limit
    }

    fn done(&mut self, size: u64) {
        self.progress.done += size;
        (self.step)(self.progress);
    }

    /// One process, with the groups that it is for, in an order drawn from `random`.
    fn run(
        &mut self,
        (launch, part, process): (&Launch, Part, u32),
        random: &mut Rng,
        sink: &mut dyn FnMut(Record) -> Result<()>,
    ) -> Result<()> {
        let mut order: Vec<usize> = (0..self.groups.len()).collect();
        random.shuffle(&mut order);
        order.retain(|index| {
            let again = process > 0 && self.slow.contains(&(launch.id.clone(), *index));
            !again && part.has(&launch.id, &self.groups[*index])
        });
        let seed = random.u64(..);
        // What is not in the scope of this process counts as done.
        let size = match (part, order.len()) {
            (Part::Twin | Part::Goals, _) => 1,
            (Part::Everything, in_scope) => {
                self.progress.done += (self.groups.len() - in_scope) as u64;
                in_scope as u64
            }
        };
        if order.is_empty() {
            self.done(size);
            return Ok(());
        }
        if self.late() {
            self.left_out += size;
            self.done(size);
            return Ok(());
        }
        let session = Session::start(launch, process, part, self.effort, seed, &mut *sink)?;
        let mut session = match session {
            Ok(session) => session,
            Err(reason) => {
                self.progress.done += size;
                return sink(not_started(launch, part, process, reason));
            }
        };
        for index in order {
            if self.late() {
                self.left_out += u64::from(part == Part::Everything);
            } else {
                self.group(&mut session, index, part, launch)?;
            }
            if part == Part::Everything {
                self.done(1);
            }
        }
        if part != Part::Everything {
            self.done(1);
        }
        Ok(())
    }

    fn group(
        &mut self,
        session: &mut Session<'_>,
        index: usize,
        part: Part,
        launch: &Launch,
    ) -> Result<()> {
        let group = &self.groups[index];
        let refusal = match &group.subject {
            Some(subject) if !session.is_native() => {
                plan::gate(self.request.pack, session.info(), subject).err()
            }
            _ => None,
        };
        session.group(group, refusal)?;
        let slow = session.slowest_load() >= SLOW_LOAD;
        if self.request.within_a_minute && part == Part::Everything && slow {
            self.slow.insert((launch.id.clone(), index));
        }
        Ok(())
    }
}

/// The record of a process that did not start.
fn not_started(launch: &Launch, part: Part, process: u32, reason: String) -> Record {
    Record::Cell(Cell {
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
    })
}
