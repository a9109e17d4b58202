//! The trap matrix: every class of trap, budget and limit, in every way that leads there, on an engine; the engine's state
//! after each; and how long it takes to interrupt it.

use crate::{
    expectations::Ledger,
    outcome::Outcome,
    probe::{self, End, Finding, Settings},
};
use anyhow::{Context, Result};
use assay_worker::{GRACE, InstanceChoice, Launch, RunError, Worker, WorkerError};
use case::Expect;
use runtime_api::{Budget, BudgetKind, Error, Limits, Options, Stage};
use runtime_call::{Call, Invocation, Outcome as Ended};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Duration,
};

mod case;
pub mod checks;
mod fixtures;
pub mod latency;
mod summary;
pub mod survey;

pub use case::Case;
pub use summary::Summary;
pub use survey::{Survey, TrapReport};

/// Name of the file of entries as they came.
pub const LINES: &str = survey::LINES;

/// Budget of everything that ends by itself.
const TICKS: u64 = 3000;
/// The same in fuel, for modules that are metered.
const FUEL: u64 = 1_000_000;
/// What compiling and running a fixture may take together.
const TIMEOUT: Duration = Duration::from_secs(60);
/// What each fixture's export `fine` returns, whatever its export `run` does.
const FINE: i32 = 42;
/// Counts its calls: a module that must not notice what happens to others.
const BYSTANDER: &str = r#"(module
  (memory (export "memory") 1)
  (func (export "bump") (result i32)
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
    (i32.load (i32.const 0))))"#;

/// What a case came to on an engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    /// Engine id.
    pub runtime: String,
    /// Class of trap.
    pub class: String,
    /// Name of the case, and of its file.
    pub case: String,
    /// What must come of it.
    pub expected: String,
    /// Whether it did.
    pub outcome: Outcome,
    /// What came of it.
    pub seen: String,
    /// Why it is unsupported or failed.
    pub detail: String,
    /// Whether a fresh instance of the same module works as it must.
    #[serde(default)]
    pub fresh: State,
    /// Whether another module in the same worker is undisturbed.
    #[serde(default)]
    pub bystander: State,
    /// What the case took, starting a worker and looking at the state not included.
    #[serde(default)]
    pub elapsed_ms: f64,
}

/// What is known of an instance after a case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It works.
    Sound,
    /// It does not.
    Broken,
    /// It cannot be told: the case did not run, or ended with its worker.
    #[default]
    Unknown,
}

/// Number of cases.
pub fn count() -> usize {
    fixtures::FIXTURES.len()
}

/// All cases, in the order of reports.
///
/// # Errors
/// If a fixture is not one.
pub fn cases() -> Result<Vec<Case>> {
    fixtures::FIXTURES
        .iter()
        .map(|(name, text)| {
            Case::parse(name, text).with_context(|| format!("failed to read fixture `{name}`"))
        })
        .collect()
}

/// Runs all cases on an engine, one after the other in one worker, which is replaced when it is lost. `done` is called after
/// each case.
pub fn run(
    launch: &Launch,
    cases: &[Case],
    done: &(dyn Fn(&CaseResult) + Sync),
) -> Vec<CaseResult> {
    let mut session = Session {
        launch,
        worker: None,
        bystanders: BTreeMap::new(),
    };
    let mut dead = None;
    cases
        .iter()
        .map(|case| {
            let result = match &dead {
                None => session.case(case).unwrap_or_else(|error| {
                    let message = format!("failed to {error}");
                    // An engine that cannot be started for one case is not waited for in the others.
                    dead = Some(message.clone());
                    result(launch, case, Outcome::Error, message)
                }),
                Some(message) => result(launch, case, Outcome::Error, message.clone()),
            };
            done(&result);
            result
        })
        .collect()
}

struct Session<'a> {
    launch: &'a Launch,
    worker: Option<Worker>,
    /// One per kind of budget: engines may keep what they compiled for each kind apart. Module, and calls so far.
    bystanders: BTreeMap<BudgetKind, (u64, i32)>,
}

impl Session<'_> {
    fn case(&mut self, case: &Case) -> Result<CaseResult, WorkerError> {
        let launch = self.launch;
        let worker = match &mut self.worker {
            Some(worker) => worker,
            none => {
                self.bystanders.clear();
                none.insert(Worker::start(launch)?)
            }
        };
        let capabilities = worker.info().capabilities.clone();
        let version = worker.info().version.clone();
        if let Some(reason) = case.unsupported(&capabilities) {
            let unsupported = result(launch, case, Outcome::Unsupported, reason);
            return Ok(CaseResult {
                seen: "unsupported".to_owned(),
                ..unsupported
            });
        }
        let settings = Settings {
            budget: case.budget.unwrap_or_else(|| generous(BudgetKind::Epoch)),
            timeout: TIMEOUT,
            // The engine itself is asked, not the pre-pass.
            raw: true,
            ..Settings::default()
        };
        let kind = probe::effective_budget(settings.budget, &capabilities).map(Budget::kind);
        // Before the case, so that there is something to disturb.
        let before = kind.map(|kind| bump(worker, &mut self.bystanders, kind));
        let (finding, module) = probe::probe_keeping(worker, &launch.id, &case.wasm, &settings);
        let mut judged = judge(launch, case, &finding);
        if let Some(Err(what)) = before {
            judged.fail(&format!("another module, before: {what}"));
        }
        let known = match Ledger::built_in() {
            Ok(ledger) => ledger.traps(&launch.id, &version, case.name),
            Err(error) => {
                judged.fail(&format!("failed to {error}"));
                None
            }
        };
        if finding.worker_lost {
            self.worker = None;
            if finding.outcome == End::Crashed
                && let Some(known) = known
            {
                judged.outcome = Outcome::KnownFailure;
                judged.detail.clone_from(&known.reason);
            }
            return Ok(judged);
        }
        if judged.outcome == Outcome::Pass
            && let Some(known) = known.filter(|known| !known.may_pass)
        {
            let reason = &known.reason;
            judged.fail(&format!(
                "it holds, and is expected to fail ({reason}): remove it from the expectations"
            ));
        }
        if let Some(kind) = kind {
            if let Some(module) = module {
                let found = fresh(worker, case, module, kind);
                judged.fresh = judged.state(found, "a fresh instance");
                // A worker that cannot forget a module is in no state to go on.
                if let Err(error) = worker.drop_module(module) {
                    judged.fail(&format!("failed to {error}"));
                }
            }
            let found = bump(worker, &mut self.bystanders, kind);
            judged.bystander = judged.state(found, "another module");
        }
        if judged.outcome.is_bad() {
            self.worker = None;
        }
        Ok(judged)
    }
}

fn result(launch: &Launch, case: &Case, outcome: Outcome, detail: String) -> CaseResult {
    CaseResult {
        runtime: launch.id.clone(),
        class: case.class.clone(),
        case: case.name.to_owned(),
        expected: case.expected(),
        outcome,
        seen: String::new(),
        detail,
        fresh: State::Unknown,
        bystander: State::Unknown,
        elapsed_ms: 0.0,
    }
}

fn judge(launch: &Launch, case: &Case, finding: &Finding) -> CaseResult {
    // What the engine's capabilities leave out was not asked.
    let outcome = if case.holds(finding) {
        Outcome::Pass
    } else {
        Outcome::Fail
    };
    let mut judged = result(launch, case, outcome, String::new());
    judged.elapsed_ms = finding.elapsed_ms;
    judged.seen = describe(finding);
    let message = finding.message.clone().unwrap_or_default();
    if finding.worker_lost {
        judged.detail = message;
    } else if outcome != Outcome::Pass {
        judged.detail = format!(
            "{} where {} is due: {message}",
            judged.seen, judged.expected
        );
    }
    judged
}

fn describe(finding: &Finding) -> String {
    let stage = match finding.stage {
        None => "",
        Some(Stage::Compile) => "compile ",
        Some(Stage::Instantiate) => "instantiate ",
        Some(Stage::Call) => "call ",
    };
    match (finding.outcome, finding.value, finding.trap) {
        (End::Returned, Some(value), _) => format!("returned {value}"),
        (End::Returned, None, _) => "returned nothing".to_owned(),
        (End::Trap, _, Some(trap)) => format!("{stage}{trap}"),
        (End::Trap, _, None) => format!("{stage}trap"),
        (End::Rejected, ..) => format!("{stage}rejected"),
        (End::Unsupported, ..) => "unsupported".to_owned(),
        (End::Crashed, ..) => format!("{stage}crashed"),
        (End::TimedOut, ..) => format!("{stage}timed out"),
    }
}

impl CaseResult {
    fn state(&mut self, found: Result<(), String>, what: &str) -> State {
        match found {
            Ok(()) => State::Sound,
            Err(broken) => {
                self.fail(&format!("{what}, afterwards: {broken}"));
                State::Broken
            }
        }
    }

    fn fail(&mut self, what: &str) {
        self.outcome = Outcome::Fail;
        if !self.detail.is_empty() {
            self.detail += "; ";
        }
        self.detail += what;
    }
}

/// A budget that nothing which ends by itself uses up.
fn generous(kind: BudgetKind) -> Budget {
    match kind {
        BudgetKind::None => Budget::None,
        BudgetKind::Epoch => Budget::Epoch(TICKS),
        BudgetKind::Fuel => Budget::Fuel(FUEL),
    }
}

/// Whether a fresh instance of the module does what it must: `fine` returns, or instantiation ends as before.
fn fresh(worker: &mut Worker, case: &Case, module: u64, kind: BudgetKind) -> Result<(), String> {
    if let Expect::Trap(Stage::Instantiate, _) = case.expect {
        let settings = Settings {
            budget: case.budget.unwrap_or_else(|| generous(kind)),
            ..Settings::default()
        };
        let time = settings.budget.time().unwrap_or(TIMEOUT) + GRACE;
        let budget = probe::effective_budget(settings.budget, &worker.info().capabilities)
            .unwrap_or(Budget::None);
        let ran = worker.run_within(module, InstanceChoice::Fresh, budget, calls(vec![]), time);
        return match ran {
            Err(RunError::Engine(Error::Trap { trap, .. })) if trap.name() == case.class => Ok(()),
            Err(error) => Err(format!("failed to {error}")),
            Ok(_) => Err("it got an instance".to_owned()),
        };
    }
    let value = call(
        worker,
        module,
        InstanceChoice::Fresh,
        "fine",
        generous(kind),
    )?;
    if value == FINE {
        Ok(())
    } else {
        Err(format!("`fine` returned {value}, not {FINE}"))
    }
}

/// Calls the bystander of a kind of budget once more: it must count on.
fn bump(
    worker: &mut Worker,
    bystanders: &mut BTreeMap<BudgetKind, (u64, i32)>,
    kind: BudgetKind,
) -> Result<(), String> {
    let (module, count, choice) = match bystanders.entry(kind) {
        Entry::Occupied(loaded) => {
            let (module, count) = loaded.into_mut();
            (*module, count, InstanceChoice::Same)
        }
        Entry::Vacant(place) => {
            let wasm = wat::parse_str(BYSTANDER).map_err(|error| error.to_string())?;
            let options = Options {
                limits: Limits::default(),
                metering: kind,
            };
            let module = worker
                .load_within(&wasm, &options, TIMEOUT)
                .map_err(|error| format!("failed to {error}"))?;
            let (module, count) = place.insert((module, 0));
            (*module, count, InstanceChoice::Fresh)
        }
    };
    let value = call(worker, module, choice, "bump", generous(kind))?;
    *count += 1;
    if value == *count {
        Ok(())
    } else {
        Err(format!("call {count} of `bump` returned {value}"))
    }
}

fn calls(calls: Vec<Call>) -> Invocation {
    Invocation {
        pages: 0,
        writes: Vec::new(),
        calls,
        reads: Vec::new(),
    }
}

fn call(
    worker: &mut Worker,
    module: u64,
    instance: InstanceChoice,
    export: &str,
    budget: Budget,
) -> Result<i32, String> {
    let call = Call {
        export: export.to_owned(),
        arguments: Vec::new(),
        budget,
    };
    let time = TIMEOUT + GRACE;
    match worker.run_within(module, instance, budget, calls(vec![call]), time) {
        Ok(observation) => match observation.calls.first() {
            Some(Ended::Returned(value)) => Ok(*value),
            Some(Ended::Failed(error)) => Err(format!("failed to {error}")),
            None => Err("no call was made".to_owned()),
        },
        Err(error) => Err(format!("failed to {error}")),
    }
}
