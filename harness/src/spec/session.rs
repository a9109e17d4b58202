//! A worker of an engine, in which the checks of scripts are made; started again where one was lost.

use super::{
    judged::{Judged, judge, judged, pass, trapped, words},
    plan::{Due, Step, Unit, What},
    rewrite::{bits_of, diagnose},
    value::Shown,
};
use crate::{outcome::Outcome, probe::lacking};
use assay_worker::{InstanceChoice, Launch, RunError, Worker, WorkerError};
use runtime_api::{Budget, BudgetKind, Error, Info, Limits, Options, Stage};
use runtime_call::{Call, Invocation, Outcome as Ended};
use std::time::Duration;

/// Budget of each call and instantiation: 5 s.
const TICKS: u64 = 500;
/// Budget where an engine has no ticks.
const FUEL: u64 = 1_000_000_000;
/// What a request may take, whatever the budgets; the worker is killed then.
const REQUEST_TIME: Duration = Duration::from_secs(60);
/// What loading may take: some engines are compilers, and they may not be alone on the machine.
const LOAD_TIME: Duration = Duration::from_secs(120);
/// Steps in one request.
const BATCH: usize = 256;
/// A worker that was lost so often is not started again: the run must end.
const MAX_LOST: u32 = 12;
/// Wrong results that are looked at closely, at most: an engine that has nothing right costs no more.
const MAX_DIAGNOSES: u32 = 200;

/// What scripts may use at most: all of a 32-bit memory, and more elements than any script has.
const LIMITS: Limits = Limits {
    max_memory_pages: 65_536,
    max_table_elements: 10_000_000,
    max_stack_bytes: 512 * 1024,
};

/// An engine, and how often its worker was lost.
pub(super) struct Session<'a> {
    launch: &'a Launch,
    worker: Option<Worker>,
    /// Who the worker says it is.
    pub(super) info: Option<Info>,
    /// How many workers ended or were killed.
    lost: u32,
    diagnoses: u32,
}

impl<'a> Session<'a> {
    /// No worker was started yet.
    pub(super) fn new(launch: &'a Launch) -> Self {
        Self {
            launch,
            worker: None,
            info: None,
            lost: 0,
            diagnoses: 0,
        }
    }

    /// Judges the checks of a unit, in their order.
    pub(super) fn unit(&mut self, unit: &Unit) -> Vec<Judged> {
        let all = |judged: Judged| vec![judged; 1 + unit.steps().len()];
        let worker = match self.worker() {
            Ok(worker) => worker,
            Err(why) => return all(judged(Outcome::Error, why)),
        };
        if let Some(reason) = lacking(&unit.needs, &worker.info().capabilities) {
            return all(judged(Outcome::Unsupported, reason));
        }
        let options = options(worker);
        let loaded = worker.load_within(&unit.wasm, &options, LOAD_TIME);
        match &unit.what {
            What::Refused => vec![self.refused(loaded)],
            What::Traps(due) => vec![self.traps(loaded, due)],
            What::Runs { steps, .. } => match loaded.and_then(|module| {
                self.start(module)?;
                Ok(module)
            }) {
                Ok(module) => {
                    let steps = self.steps(unit, steps, module);
                    std::iter::once(pass()).chain(steps).collect()
                }
                Err(error) => all(self.failed(&error)),
            },
        }
    }

    /// Makes an instance.
    fn start(&mut self, module: u64) -> Result<(), RunError> {
        self.exchange(module, InstanceChoice::Fresh, Vec::new())
            .map(|_| ())
    }

    fn refused(&mut self, loaded: Result<u64, RunError>) -> Judged {
        match loaded {
            Ok(module) => {
                self.drop_module(module);
                judged(Outcome::Fail, "accepted")
            }
            Err(RunError::Engine(Error::Rejected {
                stage: Stage::Compile,
                ..
            })) => pass(),
            Err(error) => self.failed(&error),
        }
    }

    fn traps(&mut self, loaded: Result<u64, RunError>, due: &Due) -> Judged {
        let module = match loaded {
            Ok(module) => module,
            Err(error) => return self.failed(&error),
        };
        let judged = match self.start(module) {
            Ok(()) => judged(Outcome::Fail, "instantiated"),
            Err(RunError::Engine(Error::Trap {
                stage: Stage::Instantiate,
                trap,
            })) => trapped(&trap, due),
            Err(error) => self.failed(&error),
        };
        self.drop_module(module);
        judged
    }

    /// Judges the steps of a module that has a fresh instance.
    ///
    /// After a trap the instance is gone, where a script goes on with it: a fresh one is made, and what has returned so far is
    /// done again. A step that ends the worker is found by going one by one.
    fn steps(&mut self, unit: &Unit, steps: &[Step], module: u64) -> Vec<Judged> {
        let mut module = Some(module);
        let mut judgements = Vec::with_capacity(steps.len());
        // Steps that returned, with what: they make the state.
        let mut returned: Vec<(usize, i32)> = Vec::new();
        let mut fresh = false;
        let mut batch = BATCH;
        while judgements.len() < steps.len() {
            let next = judgements.len();
            let number = match module {
                Some(number) => number,
                None => match self.load(unit) {
                    Ok(number) => {
                        fresh = true;
                        *module.insert(number)
                    }
                    Err(judged) => {
                        judgements.resize(steps.len(), judged);
                        break;
                    }
                },
            };
            let survey_has_state =
                matches!(&unit.what, What::Runs { survey, .. } if survey.has_state);
            let again: &[(usize, i32)] = if fresh && survey_has_state {
                &returned
            } else {
                &[]
            };
            let end = steps.len().min(next + batch);
            let calls: Vec<String> = again
                .iter()
                .map(|(step, _)| *step)
                .chain(next..end)
                .map(|step| steps[step].wrapper.export.clone())
                .collect();
            let instance = if fresh {
                InstanceChoice::Fresh
            } else {
                InstanceChoice::Same
            };
            let ended = match self.exchange(number, instance, calls) {
                Ok(ended) => ended,
                Err(RunError::Worker(error)) if batch > 1 => {
                    // Which step it was is found one by one.
                    self.note(&error);
                    batch = 1;
                    module = None;
                    continue;
                }
                Err(error) => {
                    if matches!(error, RunError::Worker(_)) {
                        module = None;
                    }
                    fresh = true;
                    judgements.push(self.failed(&error));
                    continue;
                }
            };
            let (replayed, new) = ended.split_at(again.len().min(ended.len()));
            if let Some(differs) = differs(steps, again, replayed) {
                judgements.push(differs);
                fresh = true;
                continue;
            }
            fresh = false;
            for ended in new {
                let index = judgements.len();
                if let Ended::Returned(value) = ended {
                    returned.push((index, *value));
                } else {
                    // Dropped with what it held, whatever the reason.
                    fresh = true;
                }
                let judged = judge(&steps[index], ended);
                let judged = match judged {
                    Some(judged) => judged,
                    None => {
                        let got = self.diagnose(unit, steps, &returned);
                        self::judged(Outcome::Fail, got)
                    }
                };
                judgements.push(judged);
            }
            // A diagnosis may have ended the worker.
            if self.worker.is_none() {
                module = None;
            }
        }
        if let Some(module) = module {
            self.drop_module(module);
        }
        judgements
    }

    /// Loads a unit's module again, into a new worker.
    fn load(&mut self, unit: &Unit) -> Result<u64, Judged> {
        let worker = self.worker().map_err(|why| judged(Outcome::Error, why))?;
        let options = options(worker);
        worker
            .load_within(&unit.wasm, &options, LOAD_TIME)
            .map_err(|error| self.failed(&error))
    }

    /// What the last of the steps that returned gave, in words.
    fn diagnose(&mut self, unit: &Unit, steps: &[Step], returned: &[(usize, i32)]) -> String {
        if self.diagnoses >= MAX_DIAGNOSES {
            return "other results (not looked at: there are too many)".to_owned();
        }
        self.diagnoses += 1;
        let unknown = "other results, which another call did not show again".to_owned();
        let What::Runs { survey, .. } = &unit.what else {
            return unknown;
        };
        let wrappers: Vec<_> = returned
            .iter()
            .map(|(step, _)| steps[*step].wrapper.clone())
            .collect();
        let Ok(diagnosis) = diagnose(survey, &wrappers) else {
            return unknown;
        };
        let calls: Vec<String> = wrappers
            .into_iter()
            .map(|wrapper| wrapper.export)
            .chain(diagnosis.words.iter().cloned())
            .collect();
        let Ok(worker) = self.worker() else {
            return unknown;
        };
        let options = options(worker);
        let ended = worker
            .load_within(&diagnosis.wasm, &options, LOAD_TIME)
            .and_then(|module| {
                let ended = self.exchange(module, InstanceChoice::Fresh, calls)?;
                self.drop_module(module);
                Ok(ended)
            });
        let ended = match ended {
            Ok(ended) => ended,
            Err(error) => {
                if let RunError::Worker(error) = &error {
                    self.note(error);
                }
                return unknown;
            }
        };
        let words: Vec<u32> = ended
            .iter()
            .skip(returned.len())
            .map_while(|ended| match ended {
                Ended::Returned(word) => Some(*word as u32),
                Ended::Failed(_) => None,
            })
            .collect();
        if words.len() != diagnosis.words.len() {
            return unknown;
        }
        let shown: Vec<String> = diagnosis
            .results
            .iter()
            .zip(bits_of(&diagnosis.results, &words))
            .map(|(kind, bits)| match kind {
                wasmparser::ValType::Ref(_) if bits == 1 => "a null reference".to_owned(),
                wasmparser::ValType::Ref(_) => "a reference that is not null".to_owned(),
                kind => Shown { kind: *kind, bits }.to_string(),
            })
            .collect();
        shown.join(", ")
    }

    fn exchange(
        &mut self,
        module: u64,
        instance: InstanceChoice,
        exports: Vec<String>,
    ) -> Result<Vec<Ended>, RunError> {
        let worker = self.worker.as_mut().ok_or_else(|| WorkerError::Protocol {
            id: self.launch.id.clone(),
            message: "it is gone".to_owned(),
        })?;
        let budget = budget(worker);
        let calls = exports
            .into_iter()
            .map(|export| Call {
                export,
                arguments: Vec::new(),
                budget,
            })
            .collect();
        let invocation = Invocation {
            pages: 0,
            writes: Vec::new(),
            calls,
            reads: Vec::new(),
        };
        let ran = worker.run_within(module, instance, budget, invocation, REQUEST_TIME)?;
        Ok(ran.calls)
    }

    /// The worker, started if there is none.
    fn worker(&mut self) -> Result<&mut Worker, String> {
        if self.lost >= MAX_LOST {
            return Err("not run: the worker was lost too often".to_owned());
        }
        match self
            .worker
            .take()
            .map_or_else(|| Worker::start(self.launch), Ok)
        {
            Ok(worker) => {
                self.info.get_or_insert_with(|| worker.info().clone());
                Ok(self.worker.insert(worker))
            }
            Err(error) => {
                self.lost += 1;
                Err(format!("failed to {error}"))
            }
        }
    }

    fn drop_module(&mut self, module: u64) {
        if let Some(worker) = self.worker.as_mut()
            && let Err(RunError::Worker(error)) = worker.drop_module(module)
        {
            self.note(&error);
        }
    }

    fn note(&mut self, error: &WorkerError) {
        self.worker = None;
        // One that hangs takes long each time.
        self.lost += if matches!(error, WorkerError::TimedOut { .. }) {
            3
        } else {
            1
        };
    }

    /// A check that ended in an error that no check wants.
    fn failed(&mut self, error: &RunError) -> Judged {
        let outcome = match error {
            RunError::Engine(Error::Unsupported { .. }) => Outcome::Unsupported,
            RunError::Engine(_) => Outcome::Fail,
            RunError::Worker(lost) => {
                self.note(lost);
                Outcome::Fail
            }
        };
        let how = match error {
            RunError::Worker(WorkerError::TimedOut { .. }) => "timed out: ",
            RunError::Worker(_) => "crashed: ",
            RunError::Engine(_) => "",
        };
        judged(outcome, format!("{how}failed to {error}"))
    }
}

/// How a step failed that was done again on a fresh instance and did otherwise than before.
fn differs(steps: &[Step], before: &[(usize, i32)], again: &[Ended]) -> Option<Judged> {
    let ((step, _), second) = before
        .iter()
        .zip(again)
        .find(|((_, first), second)| **second != Ended::Returned(*first))?;
    let line = steps[*step].check.line;
    let detail = format!(
        "the step of line {line}, done again on a fresh instance, {}",
        words(second)
    );
    Some(judged(Outcome::Fail, detail))
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
        limits: LIMITS,
        metering: budget(worker).kind(),
    }
}
