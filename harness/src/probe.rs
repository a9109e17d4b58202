//! Any module on any engine: how it ended. In a worker process, so that nothing a module does reaches the harness.

use assay_worker::{GRACE, InstanceChoice, Launch, RunError, Worker, WorkerError};
use kernel_pack::{Code, Rejection};
use runtime_api::{Budget, BudgetKind, Capabilities, Error, Limits, Options, Stage, TICK, Trap};
use runtime_call::{Call, Invocation, Outcome as Ended};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Entries that are looked for where none is named.
const ENTRIES: [&str; 2] = ["run", kernel_abi::export::FORWARD];

/// What is done with a module.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The export that is called; its parameters, 0 or 1 i32, are found in the module.
    pub entry: Option<String>,
    /// The argument of an entry that takes one.
    pub argument: u32,
    /// What instantiation and the call may cost, each for itself.
    pub budget: Budget,
    /// What the module may use at most.
    pub limits: Limits,
    /// What everything may take together, compilation included; 500 ms later the worker is killed.
    pub timeout: Duration,
    /// Leaves the pre-pass out: engines see the bytes as they are.
    pub raw: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            entry: None,
            argument: 0,
            budget: Budget::Epoch(200),
            limits: Limits::default(),
            timeout: Duration::from_secs(10),
            raw: false,
        }
    }
}

/// How a module ended on an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The call returned.
    Returned,
    /// Code, or the engine on its behalf, was stopped.
    Trap,
    /// The module was refused, by the pre-pass or by the engine.
    Rejected,
    /// The engine cannot do what was asked.
    Unsupported,
    /// The worker died or broke the protocol.
    Crashed,
    /// The worker was killed when the time was over.
    TimedOut,
}

/// What came of a module on an engine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Engine id.
    pub runtime: String,
    /// How it ended.
    pub outcome: End,
    /// What the call returned.
    pub value: Option<i32>,
    /// Class of the trap, as the taxonomy spells it; also `ResourceLimit` of a module that the pre-pass rejects for it.
    pub trap: Option<&'static str>,
    /// Where it ended.
    pub stage: Option<Stage>,
    /// The engine's words, or the harness's.
    pub message: Option<String>,
    /// From the first request about the module to its end, in milliseconds; starting the worker is not part of it.
    pub elapsed_ms: f64,
    /// Whether the worker is gone: it died, or was killed.
    #[serde(skip)]
    pub worker_lost: bool,
}

/// Runs a module on an engine, in a worker of its own. Ends by itself within the settings' time and 500 ms, beside what
/// starting a worker takes.
pub fn probe(launch: &Launch, wasm: &[u8], settings: &Settings) -> Finding {
    // No worker is needed for what no engine may see.
    if let Err(refused) = pre_pass(wasm, settings) {
        return refusal(&launch.id, &refused);
    }
    match Worker::start(launch) {
        Ok(mut worker) => probe_on(&mut worker, &launch.id, wasm, settings),
        Err(error) => {
            let mut finding = Finding::new(&launch.id, End::Crashed);
            finding.message = Some(format!("failed to {error}"));
            finding
        }
    }
}

/// Runs a module in a worker that is there already; [`Finding::worker_lost`] says whether it still is.
pub fn probe_on(worker: &mut Worker, id: &str, wasm: &[u8], settings: &Settings) -> Finding {
    let (finding, module) = probe_keeping(worker, id, wasm, settings);
    if let Some(module) = module
        && !finding.worker_lost
    {
        // A worker that cannot forget a module is lost, and the next request finds that out.
        drop(worker.drop_module(module));
    }
    finding
}

/// As [`probe_on`], and leaves the module loaded.
pub(crate) fn probe_keeping(
    worker: &mut Worker,
    id: &str,
    wasm: &[u8],
    settings: &Settings,
) -> (Finding, Option<u64>) {
    let features = match pre_pass(wasm, settings) {
        Ok(features) => features,
        Err(refused) => return (refusal(id, &refused), None),
    };
    let capabilities = &worker.info().capabilities;
    if let Some(reason) = lacking(&features, capabilities) {
        return (unsupported(id, reason), None);
    }
    let Some(budget) = effective_budget(settings.budget, capabilities) else {
        let reason = no_budget(settings.budget, capabilities);
        return (unsupported(id, reason), None);
    };
    let start = Instant::now();
    let (mut finding, module) = run(worker, id, wasm, settings, budget, start);
    finding.elapsed_ms = milliseconds(start.elapsed());
    (finding, module)
}

/// The budget as given to the engine. One that has no ticks runs without a budget: the end of its worker stops any engine.
/// `None` where the engine cannot honour the budget.
pub(crate) fn effective_budget(budget: Budget, capabilities: &Capabilities) -> Option<Budget> {
    let has = |kind| capabilities.budgets.contains(&kind);
    match budget {
        budget if has(budget.kind()) => Some(budget),
        Budget::Epoch(_) if has(BudgetKind::None) => Some(Budget::None),
        _ => None,
    }
}

/// That an engine cannot honour a budget, as a reason.
pub(crate) fn no_budget(budget: Budget, capabilities: &Capabilities) -> String {
    let has = capabilities.budgets.iter().map(ToString::to_string);
    format!(
        "the engine has no budget of the kind {}, only {}",
        budget.kind(),
        has.collect::<Vec<_>>().join(", ")
    )
}

/// Which of the features an engine lacks, as a reason.
pub(crate) fn lacking(features: &[&str], capabilities: &Capabilities) -> Option<String> {
    let lacks: Vec<&str> = features
        .iter()
        .copied()
        .filter(|used| {
            !capabilities
                .features
                .iter()
                .any(|has| has.as_str() == *used)
        })
        .collect();
    (!lacks.is_empty()).then(|| format!("the engine lacks {}", lacks.join(", ")))
}

fn run(
    worker: &mut Worker,
    id: &str,
    wasm: &[u8],
    settings: &Settings,
    budget: Budget,
    start: Instant,
) -> (Finding, Option<u64>) {
    let options = Options {
        limits: settings.limits,
        metering: budget.kind(),
    };
    let left = || settings.timeout.saturating_sub(start.elapsed());
    let module = match worker.load_within(wasm, &options, left().saturating_add(GRACE)) {
        Ok(module) => module,
        Err(error) => return (failed(id, Stage::Compile, &error, None), None),
    };
    let entry = settings.entry.clone().unwrap_or_else(|| {
        let exported = |name: &&&str| kernel_pack::entry_parameters(wasm, name).is_some();
        (*ENTRIES.iter().find(exported).unwrap_or(&ENTRIES[0])).to_owned()
    });
    // An entry of another type is for the engine to refuse.
    let parameters = kernel_pack::entry_parameters(wasm, &entry).unwrap_or(0);
    let call = Call {
        export: entry,
        arguments: vec![settings.argument; parameters.min(1)],
        budget,
    };
    // One exchange per entry into wasm: so each has the whole deadline, and a worker that had to be killed tells where.
    let steps = [
        (Stage::Instantiate, InstanceChoice::Fresh, Vec::new()),
        (Stage::Call, InstanceChoice::Same, vec![call]),
    ];
    let mut value = None;
    for (stage, instance, calls) in steps {
        let left = left();
        let deadline = settings.budget.time().filter(|deadline| *deadline <= left);
        // Half a second for all steps together, where the time as a whole is over.
        let rest = settings
            .timeout
            .saturating_add(GRACE)
            .saturating_sub(start.elapsed());
        let time = deadline.unwrap_or(left).saturating_add(GRACE).min(rest);
        let invocation = Invocation {
            pages: 0,
            writes: Vec::new(),
            calls,
            reads: Vec::new(),
        };
        let error = match worker.run_within(module, instance, budget, invocation, time) {
            Ok(observation) => match observation.calls.into_iter().next() {
                None => continue,
                Some(Ended::Returned(returned)) => {
                    value = Some(returned);
                    continue;
                }
                Some(Ended::Failed(error)) => RunError::Engine(error),
            },
            Err(error) => error,
        };
        return (failed(id, stage, &error, deadline), Some(module));
    }
    let mut finding = Finding::new(id, End::Returned);
    finding.value = value;
    (finding, Some(module))
}

/// Whether engines that could run a module ended alike. A crash, and an error that no engine may have, is no way to agree;
/// nor is it agreement where nobody ran.
pub fn agree(findings: &[Finding]) -> bool {
    let mut ran = findings
        .iter()
        .filter(|finding| finding.outcome != End::Unsupported);
    let Some(first) = ran.next() else {
        return false;
    };
    let sound = |finding: &Finding| {
        finding.outcome != End::Crashed && finding.trap != Some(trap_name_of_unmapped())
    };
    sound(first) && ran.all(|other| sound(other) && other.key() == first.key())
}

pub(crate) fn trap_name_of_unmapped() -> &'static str {
    Trap::EngineOther {
        engine: String::new(),
        text: String::new(),
    }
    .name()
}

impl Finding {
    fn new(id: &str, outcome: End) -> Self {
        Self {
            runtime: id.to_owned(),
            outcome,
            value: None,
            trap: None,
            stage: None,
            message: None,
            elapsed_ms: 0.0,
            worker_lost: false,
        }
    }

    /// What must be the same on all engines. Where a limit or an error of linking is noticed is the engine's choice.
    fn key(&self) -> (End, Option<i32>, Option<&'static str>, Option<Stage>) {
        let stage = self
            .stage
            .filter(|_| self.outcome == End::Trap && self.trap != Some(Trap::ResourceLimit.name()));
        (self.outcome, self.value, self.trap, stage)
    }
}

fn pre_pass(wasm: &[u8], settings: &Settings) -> Result<Vec<&'static str>, Rejection> {
    if settings.raw {
        return Ok(Vec::new());
    }
    let limits = &settings.limits;
    let facts = kernel_pack::inspect_plain_module(
        wasm,
        limits.max_memory_pages,
        limits.max_table_elements,
    )?;
    Ok(facts
        .features_used
        .iter()
        .map(|feature| feature.as_str())
        .collect())
}

fn refusal(id: &str, refused: &Rejection) -> Finding {
    let mut finding = Finding::new(id, End::Rejected);
    finding.stage = Some(Stage::Compile);
    finding.message = Some(format!("pre-pass: {}: {}", refused.code, refused.message));
    if refused.code == Code::LimitExceeded {
        finding.trap = Some(Trap::ResourceLimit.name());
    }
    finding
}

fn unsupported(id: &str, reason: String) -> Finding {
    let mut finding = Finding::new(id, End::Unsupported);
    finding.message = Some(reason);
    finding
}

/// An error during `stage`; `deadline` is the budget that was over if a worker had to be killed.
fn failed(id: &str, stage: Stage, error: &RunError, deadline: Option<Duration>) -> Finding {
    let (outcome, trap, stage) = match error {
        RunError::Engine(Error::Trap { stage, trap }) => (End::Trap, Some(trap.name()), *stage),
        RunError::Engine(Error::Rejected { stage, .. }) => (End::Rejected, None, *stage),
        RunError::Engine(Error::Export { .. }) => (End::Rejected, None, Stage::Call),
        RunError::Engine(Error::Unsupported { .. }) => (End::Unsupported, None, stage),
        RunError::Worker(WorkerError::TimedOut { .. }) if deadline.is_some() => {
            (End::Trap, Some(Trap::EpochDeadline.name()), stage)
        }
        RunError::Worker(WorkerError::TimedOut { .. }) => (End::TimedOut, None, stage),
        RunError::Worker(_) | RunError::Engine(_) => (End::Crashed, None, stage),
    };
    let message = match (error, deadline) {
        (RunError::Engine(Error::Rejected { message, .. }), _) => message.clone(),
        (RunError::Engine(Error::Unsupported { reason }), _) => reason.clone(),
        (RunError::Engine(Error::Trap { trap, .. }), _) => trap.to_string(),
        (RunError::Worker(WorkerError::TimedOut { .. }), Some(deadline)) => format!(
            "the engine did not stop at its budget of {} ticks: its worker was killed 500 ms later",
            deadline.as_millis() / TICK.as_millis()
        ),
        (RunError::Worker(WorkerError::TimedOut { seconds, .. }), None) => {
            format!("the time was over: the worker was killed after {seconds:.1} s")
        }
        (error, _) => format!("failed to {error}"),
    };
    Finding {
        runtime: id.to_owned(),
        outcome,
        value: None,
        trap,
        stage: Some(stage),
        message: Some(message),
        elapsed_ms: 0.0,
        worker_lost: matches!(error, RunError::Worker(_)),
    }
}

/// Milliseconds, to the hundredth.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returned(value: i32) -> Finding {
        let mut finding = Finding::new("a", End::Returned);
        finding.value = Some(value);
        finding
    }

    fn trap(trap: Trap, stage: Stage) -> Finding {
        failed("b", stage, &Error::trap(stage, trap).into(), None)
    }

    #[test]
    fn agreement_is_about_what_the_specification_decides() {
        let lacks = unsupported("c", "no simd".to_owned());
        assert!(agree(&[returned(1), returned(1), lacks.clone()]));
        assert!(!agree(&[returned(1), returned(2)]));
        assert!(!agree(&[returned(1), trap(Trap::Unreachable, Stage::Call)]));
        assert!(!agree(&[
            trap(Trap::Unreachable, Stage::Instantiate),
            trap(Trap::Unreachable, Stage::Call)
        ]));
        assert!(agree(&[
            trap(Trap::ResourceLimit, Stage::Compile),
            trap(Trap::ResourceLimit, Stage::Instantiate)
        ]));
        assert!(!agree(&[lacks]), "nobody ran");
        assert!(!agree(&[]));
    }

    #[test]
    fn crashes_and_unmapped_errors_never_agree() {
        let crash = Finding::new("a", End::Crashed);
        assert!(!agree(&[crash.clone(), crash]));
        let other = trap(
            Trap::EngineOther {
                engine: "e".to_owned(),
                text: "?".to_owned(),
            },
            Stage::Call,
        );
        assert!(!agree(&[other.clone(), other]));
    }
}
