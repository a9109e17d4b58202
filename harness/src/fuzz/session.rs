//! One engine and one module: what it answers, step by step.

use super::generate::Random;
use crate::probe::{effective_budget, lacking};
use assay_worker::{GRACE, InstanceChoice, Launch, RunError, Worker, WorkerError};
use kernel_pack::Rejection;
use runtime_api::{Budget, Error, Limits, Options, Stage, Trap};
use runtime_call::{Call, Form, Invocation, Observation, Outcome, Read};
use serde::Serialize;
use std::time::{Duration, Instant};
use wasmparser::{CompositeInnerType, ValType, Validator, types::EntityType};

/// What a module may take on an engine, all steps together; then its worker is killed.
pub const MODULE_TIME: Duration = Duration::from_secs(20);
/// Budget of each entry. Modules end by themselves long before, on a machine that is not overwhelmed.
const TICKS: u64 = 500;
/// What a memory may grow to: it is hashed after every call.
const MOST_PAGES: u32 = 48;
/// How often each export is called.
const CALLS_PER_EXPORT: usize = 2;
/// Exports that are called.
const MOST_EXPORTS: usize = 16;
/// Arguments that are likelier than others to lead somewhere.
const ARGUMENTS: [u32; 10] = [
    0,
    1,
    2,
    7,
    64,
    65_535,
    65_536,
    0x7fff_ffff,
    0x8000_0000,
    u32::MAX,
];

/// A module with what is done to it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The bytes, binary or not.
    pub wasm: Vec<u8>,
    /// Features that it uses, or why the pre-pass refuses it.
    pub features: Result<Vec<&'static str>, Rejection>,
    /// What is called; nothing of a module that does not validate.
    pub plan: Plan,
}

/// What is called of a module: a function of its exports alone, so that a saved module repeats what was found with it.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Name of an export and its arguments.
    pub calls: Vec<(String, Vec<u32>)>,
    /// Pages of 64 KiB that the exported memory starts with, if there is one.
    pub memory: Option<u32>,
}

impl Subject {
    /// Looks at a module.
    pub fn new(wasm: Vec<u8>) -> Self {
        let limits = limits();
        let facts = kernel_pack::inspect_plain_module(
            &wasm,
            limits.max_memory_pages,
            limits.max_table_elements,
        );
        Self {
            features: facts.map(|facts| {
                let used = facts.features_used.iter();
                used.map(|feature| feature.as_str()).collect()
            }),
            plan: Plan::of(&wasm).unwrap_or_default(),
            wasm,
        }
    }
}

impl Plan {
    fn of(wasm: &[u8]) -> Option<Self> {
        let types = Validator::new().validate_all(wasm).ok()?;
        let types = types.as_ref();
        let mut plan = Plan::default();
        let mut callable = Vec::new();
        for (name, export) in types.core_exports()? {
            match export {
                EntityType::Func(id) => {
                    if let CompositeInnerType::Func(function) = &types.get(id)?.composite_type.inner
                        && function.params().len() <= 2
                        && function.params().iter().all(|kind| *kind == ValType::I32)
                        && function.results() == [ValType::I32]
                        && callable.len() < MOST_EXPORTS
                    {
                        callable.push((name.to_owned(), function.params().len()));
                    }
                }
                EntityType::Memory(memory) if name == "memory" => {
                    plan.memory = u32::try_from(memory.initial).ok();
                }
                _ => {}
            }
        }
        let mut arguments = Random::new(0, 0);
        for _ in 0..CALLS_PER_EXPORT {
            for (name, parameters) in &callable {
                let choose = |_| arguments.one_of(&ARGUMENTS);
                plan.calls
                    .push((name.clone(), (0..*parameters).map(choose).collect()));
            }
        }
        Some(plan)
    }
}

/// The memory of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Pages of 64 KiB.
    pub pages: u32,
    /// SHA-256 of all of it.
    pub sha256: String,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "ended")]
pub enum Seen {
    /// There is a fresh instance.
    Instantiated {
        /// Its memory, where it exports one.
        memory: Option<Memory>,
    },
    /// The call returned.
    Returned {
        /// Its result.
        value: i32,
        /// The memory afterwards, where the module exports one.
        memory: Option<Memory>,
    },
    /// The code was stopped.
    Trap {
        /// Where.
        stage: Stage,
        /// Why.
        trap: Trap,
    },
    /// The engine refuses the module.
    Rejected {
        /// The engine's words.
        message: String,
    },
    /// Anything else that no engine may answer.
    Wrong {
        /// What it said.
        message: String,
    },
    /// The worker died or broke the protocol.
    Crashed {
        /// What is known.
        message: String,
    },
    /// The worker was killed, because it did not end.
    Hung {
        /// What is known.
        message: String,
    },
}

/// A step of an engine with a module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What was done.
    pub did: String,
    /// How it ended.
    #[serde(flatten)]
    pub seen: Seen,
}

/// What an engine made of a module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It lacks what the module needs.
    Unsupported(String),
    /// Its steps. They differ between engines after the first one that ended differently.
    Steps(Vec<Step>),
}

/// An engine: a worker, and a new one where it was lost.
pub struct Session {
    launch: Launch,
    worker: Option<Worker>,
    /// Id and version, as the last worker said them.
    identity: Option<(String, String)>,
}

/// What every engine is held to.
fn limits() -> Limits {
    Limits {
        max_memory_pages: MOST_PAGES,
        ..Limits::default()
    }
}

impl Session {
    /// Nothing runs yet.
    pub fn new(launch: Launch) -> Self {
        Self {
            launch,
            worker: None,
            identity: None,
        }
    }

    /// Id and version of the engine, as its worker says them; `None` before the first answer.
    pub fn identity(&self) -> Option<(String, String)> {
        self.identity.clone()
    }

    /// Shows a module to the engine. Ends within [`MODULE_TIME`], beside what starting a worker takes.
    ///
    /// # Errors
    /// If no worker can be started.
    pub fn answer(&mut self, subject: &Subject) -> Result<Answer, WorkerError> {
        let worker = match &mut self.worker {
            Some(worker) => worker,
            none => none.insert(Worker::start(&self.launch)?),
        };
        let info = worker.info();
        self.identity = Some((info.id.clone(), info.version.clone()));
        let capabilities = &info.capabilities;
        if let Ok(features) = &subject.features
            && let Some(reason) = lacking(features, capabilities)
        {
            return Ok(Answer::Unsupported(reason));
        }
        let Some(budget) = effective_budget(Budget::Epoch(TICKS), capabilities) else {
            return Ok(Answer::Unsupported(
                "the engine has no budget in time".to_owned(),
            ));
        };
        let mut exchange = Exchange {
            worker,
            subject,
            budget,
            start: Instant::now(),
            steps: Vec::new(),
        };
        let lost = exchange.carry_out();
        let steps = exchange.steps;
        if lost {
            self.worker = None;
        }
        Ok(Answer::Steps(steps))
    }
}

struct Exchange<'a> {
    worker: &'a mut Worker,
    subject: &'a Subject,
    budget: Budget,
    start: Instant,
    steps: Vec<Step>,
}

impl Exchange<'_> {
    /// Fills in the steps; says whether the worker is lost.
    fn carry_out(&mut self) -> bool {
        let options = Options {
            limits: limits(),
            metering: self.budget.kind(),
        };
        let module = match self
            .worker
            .load_within(&self.subject.wasm, &options, self.left())
        {
            Ok(module) => module,
            Err(error) => return self.failed("load".to_owned(), error),
        };
        let lost = self.run(module);
        lost || self.worker.drop_module(module).is_err()
    }

    fn run(&mut self, module: u64) -> bool {
        let subject = self.subject;
        let mut pages = None;
        for (number, (export, arguments)) in subject.plan.calls.iter().enumerate() {
            if pages.is_none() {
                match self.instantiate(module) {
                    Ok(size) => pages = Some(size),
                    Err(lost) => return lost,
                }
            }
            let did = format!("call {number} of {export:?} with {arguments:?}");
            let call = Call {
                export: export.clone(),
                arguments: arguments.clone(),
                budget: self.budget,
            };
            // Memory never shrinks: what it was can be read.
            let known = pages.unwrap_or_default();
            let observed = self.exchange(module, InstanceChoice::Same, vec![call], known);
            let observation = match observed {
                Ok(observation) => observation,
                Err(error) => return self.failed(did, error),
            };
            match observation.calls.first() {
                Some(Outcome::Returned(value)) => {
                    let value = *value;
                    let memory = match self.memory(module, known, &observation) {
                        Ok(memory) => memory,
                        Err(error) => return self.failed(did, error),
                    };
                    pages = Some(memory.as_ref().map_or(0, |memory| memory.pages));
                    self.steps.push(Step {
                        did,
                        seen: Seen::Returned { value, memory },
                    });
                }
                Some(Outcome::Failed(error)) => {
                    let error = RunError::Engine(error.clone());
                    // The instance is gone; the next call has another one.
                    pages = None;
                    if !matches!(error, RunError::Engine(Error::Trap { .. })) {
                        return self.failed(did, error);
                    }
                    self.failed(did, error);
                }
                None => {
                    let message = "no call was made".to_owned();
                    self.steps.push(Step {
                        did,
                        seen: Seen::Wrong { message },
                    });
                    return false;
                }
            }
        }
        // A module that offers nothing to call is still instantiated.
        subject.plan.calls.is_empty() && self.instantiate(module).is_err_and(|lost| lost)
    }

    /// A fresh instance: pages of its memory, or whether the worker is lost.
    fn instantiate(&mut self, module: u64) -> Result<u32, bool> {
        let did = "instantiate".to_owned();
        let known = self.subject.plan.memory.unwrap_or_default();
        let made = self
            .exchange(module, InstanceChoice::Fresh, Vec::new(), known)
            .and_then(|observation| self.memory(module, known, &observation));
        match made {
            Ok(memory) => {
                let pages = memory.as_ref().map_or(0, |memory| memory.pages);
                self.steps.push(Step {
                    did,
                    seen: Seen::Instantiated { memory },
                });
                Ok(pages)
            }
            Err(error) => Err(self.failed(did, error)),
        }
    }

    /// One exchange, after which the first `pages` of memory are hashed.
    fn exchange(
        &mut self,
        module: u64,
        instance: InstanceChoice,
        calls: Vec<Call>,
        pages: u32,
    ) -> Result<Observation, RunError> {
        let read = Read {
            at: 0,
            length: pages.saturating_mul(65_536),
            form: Form::Sha256,
        };
        let invocation = Invocation {
            pages: 0,
            writes: Vec::new(),
            calls,
            reads: self.subject.plan.memory.map(|_| read).into_iter().collect(),
        };
        let time = self.budget.time().map_or(MODULE_TIME, |time| time + GRACE);
        let time = time.min(self.left());
        self.worker
            .run_within(module, instance, self.budget, invocation, time)
    }

    /// The whole memory after an exchange that hashed its first `known` pages.
    fn memory(
        &mut self,
        module: u64,
        known: u32,
        observation: &Observation,
    ) -> Result<Option<Memory>, RunError> {
        let Some(digest) = observation.reads.first() else {
            return Ok(None);
        };
        let pages = observation.pages;
        let mut sha256 = hex::encode(&digest.0);
        if pages != known {
            let whole = self.exchange(module, InstanceChoice::Same, Vec::new(), pages)?;
            sha256 = whole
                .reads
                .first()
                .map(|digest| hex::encode(&digest.0))
                .unwrap_or_default();
        }
        Ok(Some(Memory { pages, sha256 }))
    }

    fn left(&self) -> Duration {
        MODULE_TIME.saturating_sub(self.start.elapsed())
    }

    /// Notes a step that failed; says whether the worker is lost.
    fn failed(&mut self, did: String, error: RunError) -> bool {
        let lost = matches!(error, RunError::Worker(_));
        let seen = match error {
            RunError::Engine(Error::Trap { stage, trap }) => Seen::Trap { stage, trap },
            RunError::Engine(Error::Rejected { message, .. }) => Seen::Rejected { message },
            RunError::Worker(error @ WorkerError::TimedOut { .. }) => Seen::Hung {
                message: format!("failed to {error}"),
            },
            RunError::Worker(error) => Seen::Crashed {
                message: format!("failed to {error}"),
            },
            RunError::Engine(error) => Seen::Wrong {
                message: format!("failed to {error}"),
            },
        };
        self.steps.push(Step { did, seen });
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_follows_from_the_exports() {
        let subject = Subject::new(
            wat::parse_str(
                r#"(module (memory (export "memory") 2)
                  (func (export "a") (param i32 i32) (result i32) (i32.const 0))
                  (func (export "wide") (param i64) (result i32) (i32.const 0))
                  (func (export "") (result i32) (i32.const 0)))"#,
            )
            .unwrap(),
        );
        assert_eq!(subject.plan.memory, Some(2));
        let called: Vec<_> = subject.plan.calls.iter().map(|call| &*call.0).collect();
        assert_eq!(called, ["a", "", "a", ""]);
        assert_ne!(subject.plan.calls[0].1, subject.plan.calls[2].1);
        let none = Subject::new(b"nonsense".to_vec());
        assert!(none.plan.calls.is_empty() && none.features.is_err());
    }
}
