//! A module with the call that it is measured by.

use crate::{
    bench::reference_case,
    conform::subject::{self, Prepared, Subject},
};
use assay_worker::{
    InstanceChoice, RunError, Worker,
    protocol::{Facts, Timed},
};
use kernel_abi::export;
use kernel_cases::truth::{self, Verdict};
use runtime_api::{Budget, BudgetKind, Limits, Options};
use runtime_call::{Call, Form, Invocation, Outcome, Read, Write};
use serde::Serialize;
use std::time::Duration;

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

/// A module with the call that it is measured by.
pub struct Measured {
    /// The module.
    pub subject: Subject,
    pub(super) prepared: Prepared,
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

/// Why there is no number.
pub(super) struct Failed(pub(super) String);

pub(super) type Result<T> = std::result::Result<T, Failed>;

impl Measured {
    /// Places the call of a module; the reason if there is none.
    ///
    /// # Errors
    /// The reason.
    pub fn new(subject: Subject) -> std::result::Result<Self, String> {
        let none = || "no built-in definition makes a call of it that is measured".to_owned();
        let kernel = subject.standard.definition.ok_or_else(none)?;
        let case = reference_case(kernel.id, SEED).ok_or_else(none)?;
        let prepared =
            subject::prepare(case, &subject, SEED).map_err(|error| format!("failed to {error}"))?;
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

    pub(super) fn count(&self, worker: &mut Worker) -> Result<Vec<Number>> {
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
    pub(super) fn load(&self, worker: &mut Worker, budget: Budget) -> Result<u64> {
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
    pub(super) fn check(
        &self,
        worker: &mut Worker,
        module: u64,
        budget: Budget,
        again: bool,
    ) -> Result<()> {
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
        if self.prepared.native.is_some() && output == self.prepared.native_output() {
            return Ok(());
        }
        match truth::judge(&self.prepared.case, output) {
            Verdict::Pass { .. } => Ok(()),
            Verdict::Fail(mismatch) => Err(wrong(format!("its output is wrong: {mismatch}"))),
            Verdict::NotApplicable(reason) | Verdict::Unknown(reason) => Err(wrong(format!(
                "its output is not the native build's, and cannot be judged: {reason}"
            ))),
        }
    }

    /// One batch: nanoseconds per call, and how many calls there were.
    pub(super) fn batch(
        &self,
        worker: &mut Worker,
        module: u64,
        iterations: u64,
    ) -> Result<(f64, u64)> {
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

fn facts(worker: &mut Worker, module: u64) -> Result<Facts> {
    Ok(worker.facts(module)?)
}

pub(super) fn drop_module(worker: &mut Worker, module: u64) -> Result<()> {
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
