//! A module in a worker, with the budget that its manifest states.

use crate::conform::subject::Subject;
use assay_worker::{RunError, Worker};
use runtime_api::{Budget, BudgetKind, Info, Limits, Options, TICK};
use std::time::Duration;

/// What the harness allows a worker beyond the budgets of its calls, for moving memory and JSON on a loaded machine.
const ALLOWANCE: Duration = Duration::from_secs(10);
/// Fuel of a tick where an engine has fuel but no epochs and the manifest states no fuel: far above what a tick can burn.
const FUEL_PER_TICK: u64 = 100_000_000;

/// A subject loaded into a worker.
#[derive(Clone, Copy, Debug)]
pub struct Loaded {
    pub(in crate::conform) module: u64,
    pub(in crate::conform) budget: Budget,
    /// What the watchdog allows a run beyond budgets in time.
    pub(in crate::conform) allowance: Duration,
}

/// Loads a subject, with the budget of its manifest in the kind that the engine honours: time, else fuel, else none
/// and only the watchdog.
///
/// # Errors
/// The engine's refusal, or the worker's end.
pub fn load(worker: &mut Worker, subject: &Subject) -> Result<Loaded, RunError> {
    let budget = budget(worker.info(), subject);
    load_with(worker, subject, budget)
}

/// The same with a budget of one's own.
///
/// # Errors
/// What the worker or the engine says.
pub fn load_with(
    worker: &mut Worker,
    subject: &Subject,
    budget: Budget,
) -> Result<Loaded, RunError> {
    let options = options(subject, budget.kind());
    let in_time = TICK.saturating_mul(u32::try_from(subject.ticks).unwrap_or(u32::MAX));
    let module = match &subject.code {
        Some(code) => worker.load_code(&subject.wasm, code, &options)?,
        None => worker.load(&subject.wasm, &options)?,
    };
    if let Some(flags) = &subject.flags {
        worker.gather(module, &flags.export, flags.words, budget);
    }
    Ok(Loaded {
        module,
        budget,
        allowance: match budget {
            Budget::Epoch(_) => ALLOWANCE,
            Budget::Fuel(_) | Budget::None => ALLOWANCE.saturating_add(in_time),
        },
    })
}

/// How a subject is compiled, here and ahead of time.
pub fn options(subject: &Subject, metering: BudgetKind) -> Options {
    Options {
        limits: Limits {
            max_memory_pages: subject.max_pages,
            max_table_elements: subject.max_table_elements,
            max_stack_bytes: subject.max_stack_bytes,
        },
        metering,
    }
}

/// What a call of a subject may cost on an engine: time, else fuel, else nothing is counted and only the watchdog ends it.
pub fn budget(info: &Info, subject: &Subject) -> Budget {
    let can = |kind| info.capabilities.budgets.contains(&kind);
    if can(BudgetKind::Epoch) {
        Budget::Epoch(subject.ticks)
    } else if can(BudgetKind::Fuel) {
        Budget::Fuel(
            subject
                .fuel
                .unwrap_or(subject.ticks.saturating_mul(FUEL_PER_TICK)),
        )
    } else {
        Budget::None
    }
}
