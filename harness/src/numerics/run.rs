//! Runs the numeric instructions on an engine, in a worker of its own.

use super::{
    Finding, Plan,
    operation::Type,
    plan::{CONSTANT_BYTES, CONSTANTS, Given, PAGES, Part, Probe, module},
};
use crate::{expectations::Ledger, outcome::Outcome};
use assay_worker::{InstanceChoice, Launch, RunError, Worker, WorkerError};
use runtime_api::{Budget, BudgetKind, Limits, Options};
use runtime_call::{Call, Form, Invocation, Outcome as Ended, Read, Write};
use std::time::Duration;

/// Budget of each call: 3 s. The slowest interpreters need a fraction of a second.
const TICKS: u64 = 300;
/// Budget where an engine has no ticks.
const FUEL: u64 = 10_000_000;
/// What the watchdog allows on top of budgets.
const ALLOWANCE: Duration = Duration::from_secs(5);
/// A worker that was lost so often is not started again: the run must end.
const MAX_LOST: u32 = 3;

/// Runs all instructions on an engine; one finding for each, in the order of the plan. `done` is told how many there are more.
pub fn run(launch: &Launch, plan: &Plan, done: &(dyn Fn(usize) + Sync)) -> Vec<Finding> {
    let mut session = Session {
        launch,
        worker: None,
        lost: 0,
    };
    let mut findings = Vec::new();
    for part in &plan.modules {
        for (probe, (outcome, detail)) in part.probes.iter().zip(session.part(part)) {
            findings.push(Finding {
                runtime: launch.id.clone(),
                operation: probe.operation.name.clone(),
                feature: part.feature.map(str::to_owned),
                outcome,
                cases: (probe.tuples.len() + probe.constants.len()) as u64,
                detail,
            });
        }
        done(part.probes.len());
    }
    findings
}

type Judged = (Outcome, String);

struct Session<'a> {
    launch: &'a Launch,
    worker: Option<Worker>,
    /// How many workers ended or were killed.
    lost: u32,
}

impl Session<'_> {
    /// Judges every instruction of a module.
    fn part(&mut self, part: &Part) -> Vec<Judged> {
        let worker = match self.worker() {
            Ok(worker) => worker,
            Err(why) => return vec![(Outcome::Error, why); part.probes.len()],
        };
        if let Some(feature) = part.feature
            && !worker
                .info()
                .capabilities
                .features
                .iter()
                .any(|has| has == feature)
        {
            let reason = format!("the engine does not list the feature `{feature}`");
            return vec![(Outcome::Unsupported, reason); part.probes.len()];
        }
        match worker.load(&part.wasm, &options(worker)) {
            Ok(loaded) => {
                let lost = self.lost;
                let judged = |probe| {
                    // With its worker the module is lost: what is left runs in modules of its own.
                    if self.lost == lost {
                        self.probe(loaded, probe)
                    } else {
                        self.alone(probe)
                    }
                };
                part.probes.iter().map(judged).collect()
            }
            Err(error) => {
                self.note(&error);
                // One instruction may be to blame, so each gets a module of its own.
                let mut judged: Vec<_> =
                    part.probes.iter().map(|probe| self.alone(probe)).collect();
                if judged.iter().all(|(outcome, _)| *outcome == Outcome::Pass)
                    && let Some(first) = judged.first_mut()
                {
                    let detail = format!(
                        "the module `{}` of all of them alone failed to {error}",
                        part.name
                    );
                    *first = (Outcome::Fail, detail);
                }
                judged
            }
        }
    }

    /// Judges one instruction in a module of its own.
    fn alone(&mut self, probe: &Probe) -> Judged {
        let wasm = match module([probe]) {
            Ok(wasm) => wasm,
            Err(error) => return (Outcome::Error, format!("{error:#}")),
        };
        let worker = match self.worker() {
            Ok(worker) => worker,
            Err(why) => return (Outcome::Error, why),
        };
        match worker.load(&wasm, &options(worker)) {
            Ok(loaded) => self.probe(loaded, probe),
            Err(error) => self.refused(&error),
        }
    }

    /// Judges one instruction of a loaded module.
    fn probe(&mut self, module: u64, probe: &Probe) -> Judged {
        let worker = match self.worker() {
            Ok(worker) => worker,
            Err(why) => return (Outcome::Error, why),
        };
        let budget = budget(worker);
        let records = probe.records(None);
        let count = probe.tuples.len() as u32;
        let mut calls = vec![Call {
            export: probe.export().to_owned(),
            arguments: vec![count],
            budget,
        }];
        let mut reads = vec![Read {
            at: 0,
            length: records.len() as u32,
            form: Form::Bytes,
        }];
        let mut due = vec![(count * probe.stride()) as i32];
        if !probe.constants.is_empty() {
            calls.push(Call {
                export: probe.constant_export(),
                arguments: vec![CONSTANTS],
                budget,
            });
            reads.push(Read {
                at: CONSTANTS,
                length: probe.constant_bytes(),
                form: Form::Bytes,
            });
            due.push(CONSTANTS as i32);
        }
        let invocation = Invocation {
            pages: 0,
            writes: vec![Write::Bytes {
                at: 0,
                bytes: records,
            }],
            calls,
            reads,
        };
        let ran = worker.run(module, InstanceChoice::Fresh, budget, invocation, ALLOWANCE);
        let observed = match ran {
            Ok(observed) => observed,
            Err(error) => return self.refused(&error),
        };
        for (call, due) in observed.calls.iter().zip(due) {
            match call {
                Ended::Returned(value) if *value == due => {}
                Ended::Returned(value) => {
                    let detail =
                        format!("the loop over its operands returned {value} where {due} is due");
                    return (Outcome::Fail, detail);
                }
                Ended::Failed(error) => return self.refused(&error.clone().into()),
            }
        }
        // The client has checked that there are as many reads as were asked for.
        let constants = observed.reads.get(1).map_or(&[][..], |read| &read.0);
        match observed.reads.first() {
            Some(records) => {
                let (judged, detail) = compare(probe, &records.0, constants);
                self.expect(probe.export(), judged, detail)
            }
            None => (Outcome::Error, "nothing was read".to_owned()),
        }
    }

    /// Holds a result against the ledger. Only signalling NaNs can be known there: no kernel's value may depend on the bits of
    /// a NaN, so kernels cannot tell.
    fn expect(&self, operation: &str, judged: Given, detail: String) -> Judged {
        let ledger = match Ledger::built_in() {
            Ok(ledger) => ledger,
            Err(error) => return (Outcome::Error, format!("failed to {error}")),
        };
        let info = self.worker.as_ref().map(Worker::info);
        let known = info.and_then(|info| ledger.numerics(&info.id, &info.version, operation));
        match (judged, known) {
            (Given::Right, Some(known)) if !known.may_pass => (
                Outcome::Fail,
                format!(
                    "it holds, and is expected to fail ({}): remove it from the expectations",
                    known.reason
                ),
            ),
            (Given::Right, _) => (Outcome::Pass, detail),
            (Given::Signalling, Some(known)) => (Outcome::KnownFailure, known.reason.clone()),
            (Given::Signalling | Given::Wrong, _) => (Outcome::Fail, detail),
        }
    }

    /// The worker, started if there is none.
    fn worker(&mut self) -> Result<&mut Worker, String> {
        if self.lost >= MAX_LOST {
            return Err("not run: the worker hung, or was lost too often".to_owned());
        }
        match self
            .worker
            .take()
            .map_or_else(|| Worker::start(self.launch), Ok)
        {
            Ok(worker) => Ok(self.worker.insert(worker)),
            Err(error) => {
                self.lost += 1;
                Err(format!("failed to {error}"))
            }
        }
    }

    fn note(&mut self, error: &RunError) {
        if let RunError::Worker(_) = error {
            self.worker = None;
            // One that hangs takes long each time, and would hang again.
            let hangs = matches!(error, RunError::Worker(WorkerError::TimedOut { .. }));
            self.lost += if hangs { MAX_LOST } else { 1 };
        }
    }

    fn refused(&mut self, error: &RunError) -> Judged {
        self.note(error);
        let outcome = match error {
            // Features that it lacks are not asked for.
            RunError::Engine(_) => Outcome::Fail,
            RunError::Worker(_) => Outcome::Error,
        };
        (outcome, format!("failed to {error}"))
    }
}

fn budget(worker: &Worker) -> Budget {
    let can = |kind| worker.info().capabilities.budgets.contains(&kind);
    if can(BudgetKind::Epoch) {
        Budget::Epoch(TICKS)
    } else if can(BudgetKind::Fuel) {
        Budget::Fuel(FUEL)
    } else {
        Budget::None
    }
}

fn options(worker: &Worker) -> Options {
    Options {
        limits: Limits {
            max_memory_pages: PAGES,
            ..Limits::default()
        },
        metering: budget(worker).kind(),
    }
}

/// Compares what memory holds after an operation with what is due; the worst of its results, and words for the first wrong one.
fn compare(probe: &Probe, records: &[u8], constants: &[u8]) -> (Given, String) {
    let operation = &probe.operation;
    let wrong = |detail: &str| (Given::Wrong, detail.to_owned());
    if records.len() != probe.tuples.len() * probe.stride() as usize
        || constants.len() != probe.constant_bytes() as usize
    {
        return wrong("other bytes were read than were asked for");
    }
    let results = probe.results(records);
    // Operands with the results as given: anything else that changed was written by mistake.
    if probe.records(Some(&results)) != records {
        return wrong("operands in memory, or bytes beside a result, changed");
    }
    let in_loop = results.into_iter().enumerate();
    let folded = probe
        .constants
        .iter()
        .zip(constants.chunks_exact(CONSTANT_BYTES as usize))
        .map(|(&index, bytes)| (index, probe.result(bytes)));
    let (mut signalling, mut wrong) = (0, 0);
    // The first result of the worse kind explains more than the first of all.
    let (mut first_signalling, mut first_wrong) = (None, None);
    for ((index, given), form) in in_loop
        .map(|result| (result, ""))
        .chain(folded.map(|result| (result, " of constants")))
    {
        let due = probe.due[index];
        let (number, first) = match operation.compare.judge(due, given) {
            Given::Right => continue,
            Given::Signalling => (&mut signalling, &mut first_signalling),
            Given::Wrong => (&mut wrong, &mut first_wrong),
        };
        *number += 1;
        first.get_or_insert_with(|| {
            let operands: Vec<String> = probe.tuples[index]
                .iter()
                .zip(&operation.operands)
                .map(|(&bits, operand)| show(operand.kind, bits))
                .collect();
            format!(
                "{}({}){form} gives {} where {} is due",
                operation.name,
                operands.join(", "),
                show(operation.result, given),
                show(operation.result, due)
            )
        });
    }
    let cases = probe.tuples.len() + probe.constants.len();
    match (first_wrong, first_signalling) {
        (Some(first), _) => {
            let bad = wrong + signalling;
            (
                Given::Wrong,
                format!("{first}; {bad} of {cases} results are wrong"),
            )
        }
        (None, Some(first)) => (
            Given::Signalling,
            format!("{first}; {signalling} of {cases} results are signalling NaNs"),
        ),
        (None, None) => (Given::Right, String::new()),
    }
}

/// Bits, and for floats the number they stand for.
fn show(kind: Type, bits: u128) -> String {
    let digits = (kind.width() / 4) as usize;
    let number = match kind {
        Type::F32 => format!(" = {:?}", f32::from_bits(bits as u32)),
        Type::F64 => format!(" = {:?}", f64::from_bits(bits as u64)),
        Type::I32 | Type::I64 | Type::V128 => String::new(),
    };
    format!("0x{bits:0digits$x}{number}")
}
