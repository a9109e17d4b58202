//! The shared adapter suite: what every adapter must do alike, as one list of checks over `dyn Runtime`.
//!
//! A check ends as [`Outcome::Pass`], [`Outcome::Fail`] or [`Outcome::Unsupported`]. A check names the capabilities
//! it needs: unclaimed, it is unsupported; claimed, it must pass. Modules are text here and binary for the engine.
//! Endless loops are counters to 2^36, so that an engine that cannot be stopped fails late instead of never.

mod batches;
mod budgets;
mod calls;
mod limits;
mod memory;
mod numbers;
mod refusals;
mod traps;

use crate::{Budget, BudgetKind, Capabilities, Error, Instance, Limits, Module, Options, Runtime};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Checks that must pass at least, whatever an engine leaves unsupported: an empty run is no pass.
pub const MINIMUM_PASSES: usize = 60;

/// Result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable dotted name of the check, its area first.
    pub name: &'static str,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it must be.
    Pass,
    /// Otherwise, in words.
    Fail(String),
    /// The engine cannot, with the reason.
    Unsupported(String),
}

/// Runs all checks, in a fixed order. A panic inside the adapter is a failed check.
pub fn check(runtime: &dyn Runtime) -> Vec<Finding> {
    run(runtime, |_| true)
}

/// Runs the checks of these names only; a name that is no check's has no finding.
pub fn check_named(runtime: &dyn Runtime, names: &[&str]) -> Vec<Finding> {
    run(runtime, |name| names.contains(&name))
}

fn run(runtime: &dyn Runtime, chosen: impl Fn(&str) -> bool) -> Vec<Finding> {
    checks()
        .iter()
        .filter(|check| chosen(check.name))
        .map(|check| Finding {
            name: check.name,
            outcome: check.outcome(runtime),
        })
        .collect()
}

/// Runs all checks for an adapter's own tests and returns the findings, so that the test can pin what is unsupported.
///
/// # Panics
/// If a check fails or fewer than [`MINIMUM_PASSES`] pass; the message lists every finding that is not a pass.
pub fn assert_passes(runtime: &dyn Runtime) -> Vec<Finding> {
    let findings = check(runtime);
    let passes = count(&findings, |outcome| *outcome == Outcome::Pass);
    let failures = count(&findings, |outcome| matches!(outcome, Outcome::Fail(_)));
    let others: Vec<String> = findings
        .iter()
        .filter(|finding| finding.outcome != Outcome::Pass)
        .map(|finding| format!("{}: {:?}", finding.name, finding.outcome))
        .collect();
    assert!(
        failures == 0 && passes >= MINIMUM_PASSES,
        "{}: {passes} of {} checks passed (at least {MINIMUM_PASSES} must), {failures} failed:\n{}",
        runtime.info().id,
        findings.len(),
        others.join("\n")
    );
    findings
}

/// Names of the checks that ended as unsupported.
pub fn unsupported(findings: &[Finding]) -> Vec<&'static str> {
    names(findings, |outcome| {
        matches!(outcome, Outcome::Unsupported(_))
    })
}

/// Names of the checks that failed.
pub fn failed(findings: &[Finding]) -> Vec<&'static str> {
    names(findings, |outcome| matches!(outcome, Outcome::Fail(_)))
}

fn names(findings: &[Finding], wanted: impl Fn(&Outcome) -> bool) -> Vec<&'static str> {
    findings
        .iter()
        .filter(|finding| wanted(&finding.outcome))
        .map(|finding| finding.name)
        .collect()
}

fn count(findings: &[Finding], wanted: impl Fn(&Outcome) -> bool) -> usize {
    names(findings, wanted).len()
}

fn checks() -> Vec<Check> {
    [
        calls::checks(),
        memory::checks(),
        limits::checks(),
        traps::checks(),
        budgets::checks(),
        batches::checks(),
        refusals::checks(),
        numbers::checks(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

struct Check {
    name: &'static str,
    needs: Vec<Need>,
    run: Box<dyn Fn(&Subject<'_>) -> Verdict>,
}

impl Check {
    fn new(
        name: &'static str,
        needs: &[Need],
        run: impl Fn(&Subject<'_>) -> Verdict + 'static,
    ) -> Self {
        Self {
            name,
            needs: needs.to_vec(),
            run: Box::new(run),
        }
    }

    fn outcome(&self, runtime: &dyn Runtime) -> Outcome {
        let capabilities = &runtime.info().capabilities;
        if let Some(missing) = self.needs.iter().find(|need| !need.is_met(capabilities)) {
            return Outcome::Unsupported(format!("the engine does not claim {missing:?}"));
        }
        let run = catch_unwind(AssertUnwindSafe(|| (self.run)(&Subject { runtime })));
        match run {
            Ok(Ok(())) => Outcome::Pass,
            Ok(Err(Stop::Fail(message))) => Outcome::Fail(message),
            Ok(Err(Stop::Unsupported(reason))) if self.needs.is_empty() => {
                Outcome::Unsupported(reason)
            }
            Ok(Err(Stop::Unsupported(reason))) => Outcome::Fail(format!(
                "claims {:?} and answers unsupported: {reason}",
                self.needs
            )),
            Err(panic) => Outcome::Fail(format!("the adapter panicked: {}", panic_text(&*panic))),
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_else(|| "no text".to_owned())
}

/// A capability without which a check does not apply.
#[derive(Clone, Copy, Debug)]
enum Need {
    Feature(&'static str),
    Budget(BudgetKind),
    MemoryLimit,
    TableLimit,
    StackLimit,
}

impl Need {
    fn is_met(self, capabilities: &Capabilities) -> bool {
        match self {
            Need::Feature(name) => capabilities.features.iter().any(|feature| feature == name),
            Need::Budget(kind) => capabilities.budgets.contains(&kind),
            Need::MemoryLimit => capabilities.memory_limit,
            Need::TableLimit => capabilities.table_limit,
            Need::StackLimit => capabilities.stack_limit,
        }
    }
}

type Verdict = Result<(), Stop>;

enum Stop {
    Fail(String),
    Unsupported(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error {
            Error::Unsupported { reason } => Stop::Unsupported(reason),
            other => Stop::Fail(format!("failed to {other}")),
        }
    }
}

fn fail<T>(message: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Fail(message.into()))
}

fn require(condition: bool, message: impl FnOnce() -> String) -> Verdict {
    if condition { Ok(()) } else { fail(message()) }
}

fn require_equal<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Verdict {
    require(found == expected, || {
        format!("{what}: {found:?} instead of {expected:?}")
    })
}

/// The error that must be there.
fn require_error<T>(what: &str, result: crate::Result<T>) -> Result<Error, Stop> {
    match result {
        Ok(_) => fail(format!("{what}: went well, an error is expected")),
        Err(error) => Ok(error),
    }
}

fn binary(text: &str) -> Result<Vec<u8>, Stop> {
    wat::parse_str(text).map_err(|error| Stop::Fail(format!("the suite's own module: {error}")))
}

/// The engine under test with the short cuts that checks use.
struct Subject<'a> {
    runtime: &'a dyn Runtime,
}

impl Subject<'_> {
    fn module(&self, text: &str) -> Result<Box<dyn Module>, Stop> {
        self.module_with(text, &options(BudgetKind::None))
    }

    fn module_with(&self, text: &str, options: &Options) -> Result<Box<dyn Module>, Stop> {
        Ok(self.runtime.compile(&binary(text)?, options)?)
    }

    fn instance(&self, text: &str) -> Result<Box<dyn Instance>, Stop> {
        Ok(self.module(text)?.instantiate(Budget::None)?)
    }

    fn instance_with(&self, text: &str, options: &Options) -> Result<Box<dyn Instance>, Stop> {
        Ok(self.module_with(text, options)?.instantiate(Budget::None)?)
    }

    /// The budgets under which code can be run here: unlimited and a generous one of each claimed kind.
    fn generous_budgets(&self) -> Vec<Budget> {
        [
            Budget::None,
            Budget::Epoch(6000),
            Budget::Fuel(10_000_000_000),
        ]
        .into_iter()
        .filter(|budget| {
            *budget == Budget::None
                || self
                    .runtime
                    .info()
                    .capabilities
                    .budgets
                    .contains(&budget.kind())
        })
        .collect()
    }
}

fn options(metering: BudgetKind) -> Options {
    Options {
        limits: Limits::default(),
        metering,
    }
}

fn call(instance: &mut dyn Instance, export: &str, arguments: &[u32]) -> crate::Result<i32> {
    call_within(instance, export, arguments, Budget::None)
}

fn call_within(
    instance: &mut dyn Instance,
    export: &str,
    arguments: &[u32],
    budget: Budget,
) -> crate::Result<i32> {
    let entry = instance.entry(export, arguments.len())?;
    instance.call(entry, arguments, budget)
}
